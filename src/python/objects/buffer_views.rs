//! Views of buffers: `memoryview`, and `numpy.ndarray` without data of its own.

use super::buffers::numpy;
use super::reader::Reader;
use super::type_info::{Body, TypeInfo};
use crate::memory::Memory;
use crate::python::at;

/// `PyMemoryViewObject`: `mbuf`, and `view.len`; `_PyManagedBufferObject.master.obj`.
const MANAGED_BUFFER: usize = 24;
const LENGTH: usize = 72;
const OWNER: usize = 40;
/// The longest chain of views of views that is followed.
const MOST_VIEWS: usize = 16;

/// A view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BufferView {
    /// The bytes that it shows.
    pub length: u64,
    /// The object that owns them.
    pub owner: u64,
}

impl TypeInfo {
    /// Whether its objects may be views.
    pub fn may_be_view(&self) -> bool {
        self.body == Body::NdArray || self.name == "memoryview" && !self.made_in_python
    }

    /// Whether its objects only connect a view with what it shows.
    pub fn connects_views(&self) -> bool {
        self.name == "managedbuffer" && !self.made_in_python
    }
}

impl<M: Memory> Reader<'_, M> {
    /// What a view shows, and the owner at the end of the chain; `None` for an object that is no view.
    pub fn buffer_view(&self, object: u64) -> Option<BufferView> {
        let (length, mut owner) = self.one_view(object)?;
        for _ in 0..MOST_VIEWS {
            match self.one_view(owner) {
                Some((_, next)) => owner = next,
                None => return Some(BufferView { length, owner }),
            }
        }
        None
    }

    fn one_view(&self, object: u64) -> Option<(u64, u64)> {
        let info = self.type_of(object).ok().filter(|info| info.may_be_view())?;
        let word = |address| self.memory.u64(address).ok();
        if info.body == Body::NdArray {
            let array = numpy::read(self.memory, object, self.types.context.extent).ok()?;
            let base =
                word(at(object, numpy::BASE)).filter(|&base| base != 0 && !array.owns_data)?;
            return Some((array.count.saturating_mul(array.item_size), base));
        }
        let managed = word(at(object, MANAGED_BUFFER)).filter(|&buffer| buffer != 0)?;
        let owner = word(at(managed, OWNER)).filter(|&owner| owner != 0)?;
        Some((word(at(object, LENGTH))?, owner))
    }
}
