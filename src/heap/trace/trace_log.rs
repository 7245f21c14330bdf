//! What one thread records about the objects it finds, in the order of finding, which differs from run to
//! run. Objects are identified by their slots, because numbers are assigned after all are found.

use super::notes::{Notes, UNKNOWN};
use crate::heap::ids::{NodeId, Slot};
use crate::heap::support::huge_vec::room_for;
use crate::python::objects::{Shape, TypeId};

/// Stands for a type: the facts are kept separately.
const UNUSUAL: u16 = u16::MAX;

/// Objects and their references.
#[derive(Debug)]
pub(crate) struct TraceLog {
    /// Objects that refer to others.
    pub containers: Vec<Entry>,
    /// Objects without references.
    pub leaves: Vec<Entry>,
    /// The targets that each container refers to.
    pub spans: Vec<Span>,
    /// The targets of references; some are not objects.
    pub targets: Vec<Target>,
    /// Facts that do not fit an entry, by slot.
    pub unusual: Vec<(Slot, UnusualFacts)>,
    /// The maximum number of references recorded.
    most_targets: usize,
}

/// An object.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    pub slot: Slot,
    pub facts: Facts,
}

/// The type and the size of an object in few bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts {
    type_id: u16,
    size: u16,
}

/// The facts of an object that is large, owns bytes elsewhere, could not be read, or has a type with a large
/// number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct UnusualFacts {
    /// Its type; [`UNKNOWN`] if it could not be read.
    pub type_id: TypeId,
    /// Its full size.
    pub size: u64,
    /// The part of that which it owns elsewhere.
    pub external: u64,
}

/// A range of targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Span {
    pub start: u32,
    pub end: u32,
}

/// The target of a reference: a slot, until that is replaced by the number of the object there. Both share
/// one place, because references take more memory than anything else known of a heap.
#[derive(Debug, Clone, Copy)]
#[repr(transparent)]
pub(crate) struct Target(u32);

impl Target {
    /// The target at this slot.
    #[inline]
    pub fn at(slot: Slot) -> Target {
        Target(slot.0)
    }

    /// The slot, before numbering.
    #[inline]
    pub fn slot(self) -> Slot {
        Slot(self.0)
    }

    /// The object with this number.
    #[inline]
    pub fn numbered(node: NodeId) -> Target {
        Target(node.0)
    }

    /// The number, after numbering.
    #[inline]
    pub fn node(self) -> NodeId {
        NodeId(self.0)
    }
}

impl Facts {
    /// They are kept separately.
    pub const UNUSUAL: Facts = Facts { type_id: UNUSUAL, size: 0 };

    /// The type and the size; `None` if they are kept separately.
    #[inline]
    pub fn get(self) -> Option<(TypeId, u64)> {
        (self.type_id != UNUSUAL).then_some((TypeId(self.type_id.into()), self.size.into()))
    }
}

impl UnusualFacts {
    /// Those of an object that could not be read.
    pub const UNKNOWN: UnusualFacts = UnusualFacts { type_id: UNKNOWN, size: 0, external: 0 };

    /// The same in few bytes, if they fit.
    pub(crate) fn usual(&self) -> Option<Facts> {
        let type_id = u16::try_from(self.type_id.0).ok().filter(|&id| id != UNUSUAL)?;
        let size = u16::try_from(self.size).ok().filter(|_| self.external == 0)?;
        Some(Facts { type_id, size })
    }
}

impl TraceLog {
    /// One of this many logs, whose references together can be numbered with 32 bits, for a capture of this
    /// many slots.
    pub fn one_of(logs: usize, slots: usize) -> TraceLog {
        // More than most heaps need: unused room costs nothing, and growing costs a copy.
        let logs = logs.max(1);
        let containers = slots / 16 / logs;
        TraceLog {
            containers: room_for(containers),
            leaves: room_for(2 * containers),
            spans: room_for(containers),
            targets: room_for(5 * containers),
            unusual: Vec::new(),
            most_targets: u32::MAX as usize / logs,
        }
    }
}

/// The facts in few bytes; those that do not fit are kept separately.
fn noted(facts: UnusualFacts, slot: Slot, unusual: &mut Vec<(Slot, UnusualFacts)>) -> Facts {
    facts.usual().unwrap_or_else(|| {
        unusual.push((slot, facts));
        Facts::UNUSUAL
    })
}

impl Notes for TraceLog {
    #[inline]
    fn edge(&mut self, slot: Slot) {
        if self.targets.len() < self.most_targets {
            self.targets.push(Target::at(slot));
        }
    }

    fn object(&mut self, slot: Slot, shape: Option<&Shape>, is_container: bool) {
        let facts = shape.map_or(UnusualFacts::UNKNOWN, |shape| {
            let Shape { type_id, external, .. } = *shape;
            let size = shape.shallow.saturating_add(shape.header).saturating_add(external);
            UnusualFacts { type_id, size, external }
        });
        let entry = Entry { slot, facts: noted(facts, slot, &mut self.unusual) };
        if is_container {
            let start = self.spans.last().map_or(0, |span| span.end);
            self.containers.push(entry);
            self.spans.push(Span { start, end: self.targets.len() as u32 });
        } else {
            self.leaves.push(entry);
        }
    }
}
