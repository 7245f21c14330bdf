//! What a tracer records about the objects it finds, and the inconsistencies it meets.

use crate::heap::ids::Slot;
use crate::python::objects::{Shape, TypeId};

/// Stands for the type of an object that could not be described.
pub(crate) const UNKNOWN: TypeId = TypeId(u32::MAX);

/// Receives the objects that are found.
pub(crate) trait Notes: Send {
    /// The next object to be described refers to this slot, if there is an object.
    fn edge(&mut self, slot: Slot);
    /// The object at this slot, without a shape if it could not be read completely. A container refers to
    /// others; its edges have been passed before.
    fn object(&mut self, slot: Slot, shape: Option<&Shape>, is_container: bool);
}

/// Inconsistencies of a capture. One taken in a pause has hardly any.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Inconsistencies {
    /// Lists of the collector that do not close.
    pub open_lists: u64,
    /// References that do not lead to an object.
    pub dangling: u64,
    /// Objects that could not be read completely.
    pub unreadable: u64,
}

impl Inconsistencies {
    /// All inconsistencies together.
    pub fn count(&self) -> u64 {
        self.open_lists + self.dangling + self.unreadable
    }
}
