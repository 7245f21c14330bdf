//! What a tracer records about the objects it finds, and the inconsistencies it meets.

use crate::heap::ids::Slot;
use crate::python::objects::{Shape, TypeId};

/// In place of the type of an object that could not be described.
pub(crate) const UNKNOWN: TypeId = TypeId(u32::MAX);

/// What is kept of the objects that are found.
pub(crate) trait Notes: Send {
    /// The object that is described next refers to what is at this slot, if that is an object.
    fn edge(&mut self, slot: Slot);
    /// What is at this slot, without the shape if it could not be read whole. A container refers to
    /// others; its edges have been given.
    fn object(&mut self, slot: Slot, shape: Option<&Shape>, is_container: bool);
}

/// What does not fit together in a capture. In one that was made in a pause there is hardly any.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Inconsistencies {
    /// Lists of the collector that do not close.
    pub open_lists: u64,
    /// References that lead to what is no object.
    pub dangling: u64,
    /// Objects that could not be read whole.
    pub unreadable: u64,
}

impl Inconsistencies {
    /// All of them together.
    pub fn count(&self) -> u64 {
        self.open_lists + self.dangling + self.unreadable
    }
}
