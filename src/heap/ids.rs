//! Types for the numbers of a heap, so that the compiler keeps them apart: a [`Slot`] is a place in a
//! capture, a [`NodeId`] a node of the object graph, a [`RootId`] a GC root. All are 32 bits wide, because
//! there can be hundreds of millions of each.

/// A place in a capture: the number of an eight-byte word of its buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(transparent)]
pub struct Slot(pub u32);

impl Slot {
    /// Bytes of a slot.
    pub const BYTES: u64 = 8;

    /// Where it begins in the buffer, in bytes.
    #[inline]
    pub const fn offset(self) -> u64 {
        self.0 as u64 * Slot::BYTES
    }

    /// The slot this many words after this one.
    #[inline]
    pub const fn plus(self, words: u32) -> Slot {
        Slot(self.0.saturating_add(words))
    }
}

/// A node of the object graph: the super-root, a GC root, or an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(transparent)]
pub struct NodeId(pub u32);

impl NodeId {
    /// The super-root, which leads to all GC roots.
    pub const ROOT: NodeId = NodeId(0);
    /// Stands for "no node".
    pub const NONE: NodeId = NodeId(u32::MAX);

    /// The node as an index into a table with an entry for each.
    #[inline]
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// The nodes from this one up to another, excluding that.
    #[inline]
    pub fn up_to(
        self,
        end: NodeId,
    ) -> impl DoubleEndedIterator<Item = NodeId> + ExactSizeIterator + Clone {
        (self.0..end.0).map(NodeId)
    }
}

/// A GC root: its place among [`Graph::roots`](super::Graph::roots).
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    serde::Serialize,
    serde::Deserialize,
)]
#[repr(transparent)]
pub struct RootId(pub u32);

impl RootId {
    /// The node that stands for it: roots follow the super-root.
    #[inline]
    pub const fn node(self) -> NodeId {
        NodeId(self.0.saturating_add(1))
    }

    /// The root as an index into a table with an entry for each.
    #[inline]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}
