//! Where an object has the pointers to buffers of its own: in the fixed part of its struct. Its items and the
//! values of C data belong to the program, and may point anywhere.

use super::ancestry::Ancestor;
use super::type_info::Body;
use crate::memory::{Memory, u64_at};

/// The base of all types of ctypes, and fields of `CDataObject` (Modules/_ctypes/ctypes.h).
const C_DATA: &str = "_ctypes._CData";
pub(super) mod c_data {
    /// `b_ptr`: where its memory is.
    pub const MEMORY: usize = 16;
    /// `b_needsfree`, a byte or more: whether that is its own.
    pub const IS_OWN: usize = 24;
    /// `b_size`, in bytes.
    pub const SIZE: usize = 40;
}
/// Types that hold pointers of others.
const FOREIGN: &[&str] = &["PyCapsule", "types.CapsuleType"];

/// Where the objects of a type have the pointers to their buffers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct OwnBuffers {
    /// The bytes from an object's address on in which they are.
    within: u64,
    is_c_data: bool,
    /// Whether such a buffer has pointers to further ones, as the blocks of a deque do.
    pub lead_on: bool,
}

impl OwnBuffers {
    /// Those of the type with these ancestors in C, with a fixed part of this size.
    pub fn of<'a>(
        mut in_c: impl Iterator<Item = &'a Ancestor> + Clone,
        body: Body,
        basic_size: u64,
    ) -> OwnBuffers {
        let is_c_data = in_c.clone().any(|ancestor| ancestor.name == C_DATA);
        let is_foreign = in_c.any(|ancestor| FOREIGN.contains(&&*ancestor.name));
        OwnBuffers {
            within: if is_foreign { 0 } else { basic_size },
            is_c_data,
            lead_on: matches!(body, Body::Deque | Body::OrderedDict),
        }
    }

    /// The bytes from this object's address on in which its own pointers are.
    #[inline]
    pub fn within(&self, memory: &impl Memory, object: u64) -> u64 {
        if !self.is_c_data {
            return self.within;
        }
        let head = memory.lend(object, c_data::IS_OWN + 8);
        let is_own = head.and_then(|head| u64_at(head, c_data::IS_OWN)).unwrap_or_default();
        // Its pointer is right before.
        if is_own as u8 != 0 { c_data::IS_OWN as u64 } else { 0 }
    }
}
