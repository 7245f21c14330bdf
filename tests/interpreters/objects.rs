//! Every object of a heap with all the interpreter's own types, described from outside, against the
//! interpreter's own account: `sys.getsizeof`, `gc.get_referents`, its type's name.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::RangeInclusive;

use leakspy::memory::{Cached, Memory};
use leakspy::process::Process;
use leakspy::python::Python;
use leakspy::python::objects::{Disclosure, EdgeNames, Edges, Reader, TypeId, TypeTable};
use libtest_mimic::{Failed, Trial};
use serde::Deserialize;

use crate::support::{Interpreter, Target, cases, cases_with_numpy};

/// No target of these tests has more memory than this.
const EXTENT: u64 = 1 << 30;

/// Accepted differences, by kind of difference, type and minor versions; a type that ends in a dot stands for
/// all types with that prefix.
const EXPLAINED: &[(Difference, &str, RangeInclusive<u64>, &str)] = &[
    (Size, "StgDict", 8..=12, "it counts the format and shape of a C type, in blocks of their own"),
    (Size, "_ctypes.", 13..=15, "the same for the types themselves"),
    (Size, "ctypes._endian.", 13..=15, "the same"),
    (Missing, "_ctypes.PyCPointerType", 8..=12, "it shows what its StgDict holds, for that"),
    (Missing, "PyCapsule", 13..=15, "_socket.CAPI shows what is in the struct it points to"),
    (Missing, "module", 8..=9, "atexit shows what is in a list that its state points to"),
    (Missing, "module", 13..=15, "_decimal shows what is in tables that its state points to"),
];

/// Types with some bytes of unknown meaning; in any other type such bytes are a difference.
const UNKNOWN: &[&str] = &[
    "StgDict",
    "_ctypes.PyCArrayType",
    "_ctypes.PyCFuncPtrType",
    "_ctypes.PyCPointerType",
    "_ctypes.PyCSimpleType",
    "_ctypes.PyCStructType",
    "_ctypes.UnionType",
    "module",
    "ctypes._endian._swapped_struct_meta",
    "ctypes._endian._swapped_union_meta",
    "posix.ScandirIterator",
    "sqlite3.Cache",
    "sqlite3.Connection",
    "sqlite3.Cursor",
    "sqlite3.Node",
    "sqlite3.Statement",
];

/// The kinds of differences.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Difference {
    Name,
    Size,
    External,
    Missing,
    Excess,
    Held,
    Link,
    Unknown,
    Unreadable,
}
use Difference::*;

pub fn trials() -> Vec<Trial> {
    let mut trials = cases("heap_types", are_what_the_interpreter_says);
    trials.extend(cases("reference_counts", are_those_counted));
    trials.extend(cases_with_numpy("numpy_arrays", own_their_data));
    trials
}

/// The fixture's own account.
#[derive(Deserialize)]
struct Truth {
    objects: Vec<Row>,
    held: Vec<(u64, Vec<u64>)>,
    names: Vec<(u64, u64, String)>,
    external: Vec<(u64, u64)>,
    paths: Vec<(Vec<u64>, Vec<String>)>,
}

/// An object: its address, its type, its size, whether it is tracked, its referents.
type Row = (u64, String, i64, bool, Vec<u64>);

fn are_what_the_interpreter_says(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let (_target, process, truth) = start(interpreter)?;
    let python = Python::attach(&process)?;
    let memory = Cached::new(&process);
    let types = TypeTable::new(&memory, &python, EXTENT);
    let mut check = Check::new(Reader::new(&memory, &types), interpreter, &truth);
    for row in &truth.objects {
        check.object(row);
    }
    for (holder, things) in &truth.held {
        check.held(*holder, things);
    }
    for (holder, thing, how) in &truth.names {
        check.link(*holder, *thing, how);
    }
    for (object, bytes) in &truth.external {
        check.external(*object, *bytes);
    }
    for (objects, how) in &truth.paths {
        check.path(objects, how);
    }
    assert!(truth.objects.len() > 30_000, "only {} objects were compared", truth.objects.len());
    check.report()
}

/// Compares the objects found with the truth.
struct Check<'a, M> {
    interpreter: &'a Interpreter,
    reader: Reader<'a, M>,
    edges: Edges,
    types: HashMap<u64, &'a str>,
    differences: BTreeMap<(Difference, String), Vec<String>>,
}

impl<'a, M: Memory> Check<'a, M> {
    fn new(reader: Reader<'a, M>, interpreter: &'a Interpreter, truth: &'a Truth) -> Check<'a, M> {
        Check {
            interpreter,
            reader,
            edges: Edges::new(),
            types: truth.objects.iter().map(|row| (row.0, row.1.as_str())).collect(),
            differences: BTreeMap::new(),
        }
    }

    fn object(&mut self, (address, kind, size, _, referents): &Row) {
        let shape = match self.reader.describe(*address, &mut self.edges) {
            Ok(shape) => shape,
            Err(error) => return self.differ(Unreadable, kind, format!("{address:#x}: {error}")),
        };
        let found = self.reader.type_of(*address).expect("its type is known");
        if found.name != *kind {
            return self.differ(Name, kind, found.name.clone());
        }
        if shape.conservative && !UNKNOWN.contains(&kind.as_str()) && !is_own(kind) {
            self.differ(Unknown, kind, String::new());
        }
        let truly: HashSet<u64> = referents.iter().copied().collect();
        let edges = &self.edges;
        let shown: HashSet<u64> = edges.shown.iter().copied().collect();
        let candidates: HashSet<u64> = edges.candidates.iter().copied().collect();
        let missing: Vec<u64> =
            truly.difference(&shown).filter(|child| !candidates.contains(child)).copied().collect();
        let excess: Vec<u64> = shown.difference(&truly).copied().collect();
        let held = edges.held.clone();
        let full = shape.shallow + shape.header;
        if full as i64 != *size && full + self.counted_elsewhere(kind, &held) != *size as u64 {
            self.differ(Size, kind, format!("{address:#x}: expected {size}, found {full}"));
        }
        if self.reader.is_interned_strings(*address) {
            assert!(shown.is_empty(), "the table of interned strings does not hold them");
            return;
        }
        if self.values_are_shown_by_the_instance(&missing, &excess) {
            return;
        }
        if !missing.is_empty() {
            self.differ(Missing, kind, format!("{address:#x}: {}", self.types_of(&missing)));
        }
        if !excess.is_empty() {
            self.differ(Excess, kind, format!("{address:#x}: {}", self.types_of(&excess)));
        }
    }

    /// What `sys.getsizeof` includes and leakspy counts elsewhere: the `bytes` behind an `io.BytesIO`, a `bytearray`
    /// or a `Pickler`, which are separate objects. And 3.11 and 3.12 add a header to static types, which have
    /// none.
    fn counted_elsewhere(&mut self, kind: &str, held: &[u64]) -> u64 {
        let minor = self.interpreter.version[1];
        let is_type = kind == "type" || kind.starts_with("_ctypes.");
        if is_type && matches!(minor, 11 | 12) {
            return 16;
        }
        let buffer =
            held.iter().find(|child| self.types.get(child).is_none_or(|it| *it == "bytes"));
        let has_buffer =
            |kind: &str| ["bytesio", "bytearray", "pickler"].iter().any(|end| kind.ends_with(end));
        match (kind.to_lowercase(), buffer) {
            (kind, Some(buffer)) if has_buffer(&kind) => {
                let mut edges = Edges::new();
                let shape = self.reader.describe(*buffer, &mut edges);
                shape.map_or(0, |shape| shape.shallow)
            }
            _ => 0,
        }
    }

    /// 3.13.0 reports the values of an instance as the instance's, even where a dict has them; later versions
    /// report the dict, and the values as the dict's.
    fn values_are_shown_by_the_instance(&mut self, missing: &[u64], excess: &[u64]) -> bool {
        if self.interpreter.version[..2] != [3, 13] || self.interpreter.version[2] > 4 {
            return false;
        }
        if missing.is_empty() {
            // The dict itself, or another that only this object refers to.
            return !excess.is_empty();
        }
        let mut edges = Edges::new();
        let mut of_dicts = HashSet::new();
        for dict in excess {
            if self.reader.describe(*dict, &mut edges).is_ok() {
                of_dicts.extend(edges.shown.iter().copied());
            }
        }
        missing.iter().all(|child| of_dicts.contains(child))
    }

    fn held(&mut self, holder: u64, things: &[u64]) {
        let kind = self.type_of(holder).to_owned();
        if let Err(error) = self.reader.describe(holder, &mut self.edges) {
            return self.differ(Unreadable, &kind, error.to_string());
        }
        let has =
            |thing: &&u64| self.edges.shown.contains(thing) || self.edges.held.contains(thing);
        let lacking: Vec<u64> = things.iter().filter(|thing| !has(thing)).copied().collect();
        if !lacking.is_empty() {
            self.differ(Held, &kind, self.types_of(&lacking));
        }
    }

    fn external(&mut self, object: u64, bytes: u64) {
        let shape = self.reader.describe(object, &mut self.edges);
        let found = shape.map(|shape| shape.external);
        if found != Ok(bytes) {
            let kind = self.type_of(object).to_owned();
            self.differ(External, &kind, format!("expected {bytes}, found {found:?}"));
        }
    }

    fn link(&mut self, holder: u64, thing: u64, how: &str) {
        let found = self.reader.link(holder, thing, Disclosure::Keys);
        let found = found.map(|link| link.to_string());
        if found.as_deref() != Some(how) {
            let kind = self.type_of(holder).to_owned();
            self.differ(Link, &kind, format!("expected {how}, found {found:?}"));
        }
    }

    fn path(&mut self, objects: &[u64], how: &[String]) {
        let steps = self.reader.path(objects);
        let found: Vec<String> = steps.iter().map(|step| step.link.to_string()).collect();
        let end = steps.last().map(|step| step.object);
        if found != how || end != objects.last().copied() {
            let kind = self.type_of(objects[0]).to_owned();
            self.differ(Link, &kind, format!("expected {how:?}, found {found:?}"));
        }
    }

    fn differ(&mut self, what: Difference, kind: &str, detail: String) {
        let minor = self.interpreter.version[1];
        let is_explained = EXPLAINED.iter().any(|(explained, name, minors, _)| {
            let same = name == &kind || name.ends_with('.') && kind.starts_with(name);
            *explained == what && same && minors.contains(&minor)
        });
        if !is_explained {
            self.differences.entry((what, kind.to_owned())).or_default().push(detail);
        }
    }

    fn type_of(&self, address: u64) -> &'a str {
        self.types.get(&address).copied().unwrap_or("?")
    }

    fn types_of(&self, addresses: &[u64]) -> String {
        let names: BTreeSet<&str> =
            addresses.iter().map(|address| self.type_of(*address)).collect();
        names.into_iter().collect::<Vec<_>>().join(", ")
    }

    /// All differences by type, with some examples.
    fn report(self) -> Result<(), Failed> {
        if self.differences.is_empty() {
            return Ok(());
        }
        let line = |((what, kind), details): (&(Difference, String), &Vec<String>)| {
            let examples = details.iter().take(3).cloned().collect::<Vec<_>>().join(" | ");
            format!("{what:?} {kind}, {} times: {examples}\n", details.len())
        };
        Err(self.differences.iter().map(line).collect::<String>().into())
    }
}

/// Whether this is a class of the fixture.
fn is_own(kind: &str) -> bool {
    kind.starts_with("specimens")
}

/// No object has more references than it counts, and most have exactly as many. The missing ones are
/// references of C code: static variables, tables of modules, running frames.
fn are_those_counted(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let (_target, process, truth) = start(interpreter)?;
    let python = Python::attach(&process)?;
    let memory = Cached::new(&process);
    let types = TypeTable::new(&memory, &python, EXTENT);
    let reader = Reader::new(&memory, &types);
    let mut edges = Edges::new();
    let mut found: HashMap<u64, u32> = HashMap::new();
    let mut maybe: HashMap<u64, u32> = HashMap::new();
    let mut ids: HashMap<u64, TypeId> = HashMap::new();
    let mut queue: Vec<u64> = truth.objects.iter().map(|row| row.0).collect();
    let mut seen: HashSet<u64> = queue.iter().copied().collect();
    while let Some(object) = queue.pop() {
        let shape = reader.describe(object, &mut edges)?;
        ids.insert(object, shape.type_id);
        for child in edges.shown.iter().chain(&edges.held) {
            *found.entry(*child).or_default() += 1;
            if seen.insert(*child) {
                queue.push(*child);
            }
        }
        for word in &edges.candidates {
            *maybe.entry(*word).or_default() += 1;
        }
    }
    let (mut exact, mut mortal) = (0, 0);
    let mut excess: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (object, id) in &ids {
        let count = memory.u32(*object)?;
        let immortal_from = if interpreter.version[1] >= 12 { 1 << 31 } else { 900_000_000 };
        if count >= immortal_from {
            continue;
        }
        mortal += 1;
        let of = |counts: &HashMap<u64, u32>| counts.get(object).copied().unwrap_or_default();
        exact += usize::from(count == of(&found) || count == of(&found) + of(&maybe));
        let name = types.get(*id).map_or("?", |info| info.name.as_str());
        // The constants of the modules that 3.11 has frozen are not counted.
        let is_frozen = interpreter.version[1] == 11 && name == "bool";
        if count < of(&found) && !is_frozen {
            let detail = format!("{object:#x} counts {count}, found {}", of(&found));
            excess.entry(name).or_default().push(detail);
        }
    }
    let share = exact as f64 / mortal as f64;
    println!("{}: {:.2} % of {mortal} reference counts are exact", interpreter.name, share * 100.0);
    if share < 0.95 || !excess.is_empty() {
        return Err(format!("exact: {share}; too many references: {excess:#?}").into());
    }
    Ok(())
}

/// Data is counted once, as external memory of the array that owns it.
fn own_their_data(interpreter: &Interpreter) -> Result<(), Failed> {
    let mut target = Target::start(interpreter, "numpy_arrays", &[]);
    let rows: Vec<(u64, u64, Vec<u64>)> = serde_json::from_value(target.ask("arrays"))?;
    let process = Process::open(target.pid())?;
    let python = Python::attach(&process)?;
    let types = TypeTable::new(&process, &python, EXTENT);
    let reader = Reader::new(&process, &types);
    let mut edges = Edges::new();
    for (array, owned, held) in rows {
        let shape = reader.describe(array, &mut edges)?;
        let name = types.get(shape.type_id).map(|info| info.name.clone());
        assert_eq!(shape.external, owned, "{name:?} at {array:#x}");
        assert!(shape.shallow < 1000 && !shape.conservative, "{name:?}: {shape:?}");
        for thing in held {
            assert!(edges.held.contains(&thing), "{name:?} at {array:#x} holds {thing:#x}");
        }
    }
    Ok(())
}

/// Runs the fixture and has it write down its truth.
fn start(interpreter: &'static Interpreter) -> Result<(Target, Process, Truth), Failed> {
    let folder = interpreter.scratch();
    let path = folder.path().join("truth.json");
    let inside = interpreter.inside(&path).to_string_lossy().into_owned();
    let target = Target::start(interpreter, "heap_types", &[&inside]);
    let truth = serde_json::from_slice(&std::fs::read(path)?)?;
    let process = Process::open(target.pid())?;
    Ok((target, process, truth))
}
