//! The local variables of a thread's frames.
//!
//! They are read while the thread is stopped, because they change with each line that runs; so there is a limit.

use serde::{Deserialize, Serialize};

use super::Python;
use super::layout::Frames;
use super::objects::{Disclosure, EdgeNames, Link, Reader, Role};
use crate::memory::Memory;

/// The most variables that are read of all threads together, and of one frame.
pub const MOST_LOCALS: usize = 2_000;
const MOST_OF_A_FRAME: usize = 100;

/// A local variable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Local {
    /// Its name.
    pub name: String,
    /// The name of the type of its value.
    pub r#type: String,
    /// Its value, shortened, if that may be shown and its type has one to show.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

impl Python {
    /// The local variables of each frame of a thread, innermost first, as far as `left` suffices: it is reduced by
    /// their number. Frames after that are missing.
    pub(super) fn locals_of<M: Memory>(
        &self,
        reader: Reader<'_, M>,
        thread: u64,
        disclosure: Disclosure,
        left: &mut usize,
    ) -> Vec<Vec<Local>> {
        let mut frames = Vec::new();
        for frame in self.frame_addresses(reader.memory(), thread) {
            if *left == 0 {
                break;
            }
            let locals = self.locals_of_frame(reader, frame, disclosure, *left);
            *left -= locals.len();
            frames.push(locals);
        }
        frames
    }

    fn locals_of_frame<M: Memory>(
        &self,
        reader: Reader<'_, M>,
        frame: u64,
        disclosure: Disclosure,
        most: usize,
    ) -> Vec<Local> {
        let mut found = Vec::new();
        match self.layout.frames {
            Frames::Objects(_) => reader.roles(frame, &mut found),
            Frames::Interpreter(_) => reader.frame_roles(frame, &mut found),
        }
        let is_local = |(_, role): &(u64, Role)| matches!(role, Role::Local(..));
        let local = |(object, role): (u64, Role)| {
            let Some(Link::Local(name)) = reader.words(role) else { return None };
            let object = in_cell(reader, object)?;
            Some(Local {
                name,
                r#type: reader.type_of(object).ok()?.name.clone(),
                value: reader.value(object, disclosure),
            })
        };
        let locals = found.into_iter().filter(is_local).filter_map(local);
        locals.take(most.min(MOST_OF_A_FRAME)).collect()
    }
}

/// The value of a variable that functions share, or the object itself; `None` where the variable has no value.
fn in_cell<M: Memory>(reader: Reader<'_, M>, object: u64) -> Option<u64> {
    let info = reader.type_of(object).ok()?;
    if info.name != "cell" || info.made_in_python {
        return Some(object);
    }
    let mut found = Vec::new();
    reader.roles(object, &mut found);
    let is_contents = |(_, role): &&(u64, Role)| *role == Role::Field("cell_contents");
    found.iter().find(is_contents).map(|(contents, _)| *contents)
}
