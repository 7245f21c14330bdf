//! Checks that a layout fits the interpreter at hand, before anything is read with it.
//!
//! Each check follows pointers that would lead nowhere if the offsets were wrong: the type `type`, the
//! threads of the main interpreter, the collector's list heads, the dicts of `sys` and of all modules.
//!
//! Only what is always there is asked for. A program may put whatever it likes into `sys.modules` and `sys`, and an
//! interpreter that ends empties both before it calls the last finalizers, which may take for ever.

use std::fmt;

use super::dicts::get;
use super::layout::GcPlace;
use super::objects::{string, type_name, type_of};
use super::version::Version;
use super::{Python, at};
use crate::memory::{Memory, ReadError, u64_at};

/// How often a list head is read: a running interpreter relinks its lists all the time.
const LIST_READS: usize = 1000;
/// The low bits of list links that a collection (and the incremental collector of 3.14.0 to 3.14.4)
/// uses as marks.
const LINK_MARKS: u64 = 3;

/// What did not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Invalid {
    /// There is no interpreter state, or it has not made its own types yet.
    NoInterpreter,
    /// Memory that should be there cannot be read.
    Read {
        /// What was checked.
        what: &'static str,
        /// Why not.
        error: ReadError,
    },
    /// Something unexpected was found.
    Different {
        /// What was checked.
        what: &'static str,
        /// What should be there.
        expected: String,
        /// What is there.
        found: String,
    },
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Invalid::NoInterpreter => f.write_str("there is no interpreter state"),
            Invalid::Read { what, error } => write!(f, "{what}: {error}"),
            Invalid::Different { what, expected, found } => {
                write!(f, "{what}: expected {expected}, found {found}")
            }
        }
    }
}

impl Python {
    /// Checks the layout against the interpreter in memory, and returns the version that `sys.version` says, if
    /// it is there and plausible.
    pub fn validate<M: Memory>(&self, memory: &M) -> Result<Option<Version>, Invalid> {
        self.check_type(memory)?;
        let main = self.check_main_interpreter(memory)?;
        self.check_collector(memory, main)?;
        self.check_dict(memory, "the dict of sys", at(main, self.layout.interpreter.sys_dict))?;
        self.check_object(memory, "sys.modules", at(main, self.layout.interpreter.modules))?;
        Ok(self.version_in_sys(memory, main))
    }

    /// `type(type) is type`, and its name is `type`.
    fn check_type<M: Memory>(&self, memory: &M) -> Result<(), Invalid> {
        let what = "the type of type";
        let kind = type_of(memory, &self.layout, self.types.kind).map_err(read(what))?;
        same_address(what, self.types.kind, kind)?;
        let name = type_name(memory, &self.layout, kind).map_err(read("the name of type"))?;
        let mro = memory.u64(at(kind, self.layout.types.mro)).map_err(read("the bases of type"))?;
        if mro == 0 {
            return Err(Invalid::NoInterpreter);
        }
        if name == "type" { Ok(()) } else { Err(different("the name of type", "type", name)) }
    }

    /// The main interpreter is the last of the list, and its threads belong to it.
    fn check_main_interpreter<M: Memory>(&self, memory: &M) -> Result<u64, Invalid> {
        let layout = &self.layout;
        let what = "the interpreters";
        let main =
            memory.u64(at(self.runtime, layout.runtime.interpreters_main)).map_err(read(what))?;
        if main == 0 {
            return Err(Invalid::NoInterpreter);
        }
        let all = self.interpreters(memory).map_err(read(what))?;
        let last = all.last().copied().ok_or(Invalid::NoInterpreter)?;
        same_address("the last of the interpreters", main, last)?;

        let what = "the main interpreter's threads";
        let thread = memory.u64(at(main, layout.interpreter.threads_head)).map_err(read(what))?;
        if thread == 0 {
            return Err(Invalid::NoInterpreter);
        }
        let interpreter = memory.u64(at(thread, layout.thread.interpreter)).map_err(read(what))?;
        same_address("the interpreter of its newest thread", main, interpreter)?;
        Ok(main)
    }

    /// The version at the beginning of `sys.version`.
    fn version_in_sys<M: Memory>(&self, memory: &M, main: u64) -> Option<Version> {
        let layout = &self.layout;
        let dict = memory.u64(at(main, layout.interpreter.sys_dict)).ok()?;
        let text = get(memory, layout, dict, "version").ok()??;
        let version = Version::from_text(&string(memory, layout, text).ok()?)?;
        ((version.major, version.minor) == (3, self.version.minor)).then_some(version)
    }

    /// A pointer to a dict, or to nothing.
    fn check_dict<M: Memory>(
        &self,
        memory: &M,
        what: &'static str,
        pointer: u64,
    ) -> Result<(), Invalid> {
        match self.check_object(memory, what, pointer)? {
            Some(name) if name != "dict" => Err(different(what, "a dict", name)),
            _ => Ok(()),
        }
    }

    /// A pointer to an object whose type has a name, which is returned, or to nothing.
    fn check_object<M: Memory>(
        &self,
        memory: &M,
        what: &'static str,
        pointer: u64,
    ) -> Result<Option<String>, Invalid> {
        let object = memory.u64(pointer).map_err(read(what))?;
        if object == 0 {
            return Ok(None);
        }
        let kind = type_of(memory, &self.layout, object).map_err(read(what))?;
        let metatype = type_of(memory, &self.layout, kind).map_err(read(what))?;
        type_of(memory, &self.layout, metatype).map_err(read(what))?;
        Ok(Some(type_name(memory, &self.layout, kind).map_err(read(what))?))
    }

    /// The neighbours of the collector's list heads link back to them.
    fn check_collector<M: Memory>(&self, memory: &M, main: u64) -> Result<(), Invalid> {
        let gc = &self.layout.gc;
        let state = match gc.place {
            GcPlace::Runtime(offset) => at(self.runtime, offset),
            GcPlace::Interpreter(offset) => at(main, offset),
        };
        let generations = [0, 24, 48].map(|place| gc.generations.wrapping_add(place));
        for head in generations.into_iter().chain([gc.permanent]) {
            let head = at(state, head);
            let mut outcome = Ok(());
            for _ in 0..LIST_READS {
                outcome = check_list(memory, head);
                if outcome.is_ok() {
                    break;
                }
            }
            outcome?;
        }
        Ok(())
    }
}

/// Checks a list head {next, prev}: one of its neighbours must link back to it. Either may fail to: the
/// backward links hold counts during a collection, and a thread preempted while it appends an object has set
/// only the forward link.
fn check_list<M: Memory>(memory: &M, head: u64) -> Result<(), Invalid> {
    let what = "the collector's lists";
    let links: [u8; 16] = memory.array(head).map_err(read(what))?;
    let linked = |neighbour, offset| {
        let address = u64_at(&links, neighbour).unwrap_or_default() & !LINK_MARKS;
        let back = memory.u64(at(address, offset)).map_err(read(what))? & !LINK_MARKS;
        same_address("the collector's list", head, back)
    };
    linked(0, 8).or_else(|_| linked(8, 0))
}

fn read(what: &'static str) -> impl Fn(ReadError) -> Invalid {
    move |error| Invalid::Read { what, error }
}

fn different(what: &'static str, expected: &str, found: String) -> Invalid {
    Invalid::Different { what, expected: expected.to_owned(), found }
}

fn same_address(what: &'static str, expected: u64, found: u64) -> Result<(), Invalid> {
    if expected == found {
        return Ok(());
    }
    Err(different(what, &format!("{expected:#x}"), format!("{found:#x}")))
}
