//! A cache of whole pages, each read once, for many small reads close together.
//!
//! A read of a live process costs a system call, about as much as copying a page. Names, code objects and
//! line tables lie close together, so most of them are on a page already read. A page is never read again, so
//! use this to read the target once, not to watch it.

use std::cell::RefCell;

use rustc_hash::FxHashMap;

use super::{Memory, PAGE, ReadError};

/// Beyond this many pages the cache is cleared.
const MOST_PAGES: usize = 16_384;

/// Another memory, and its pages that have been read.
#[derive(Debug)]
pub struct Cached<M> {
    memory: M,
    pages: RefCell<FxHashMap<u64, Box<[u8; PAGE as usize]>>>,
}

impl<M: Memory> Cached<M> {
    /// An empty cache.
    pub fn new(memory: M) -> Cached<M> {
        Cached { memory, pages: RefCell::default() }
    }
}

impl<M: Memory> Memory for Cached<M> {
    fn read(&self, address: u64, buffer: &mut [u8]) -> Result<(), ReadError> {
        let length = buffer.len();
        let inside = (address % PAGE) as usize;
        if inside + length > PAGE as usize {
            return self.memory.read(address, buffer);
        }
        let mut pages = self.pages.borrow_mut();
        let start = address - inside as u64;
        if !pages.contains_key(&start) {
            let mut page = Box::new([0; PAGE as usize]);
            self.memory.read(start, page.as_mut_slice())?;
            if pages.len() >= MOST_PAGES {
                pages.clear();
            }
            pages.insert(start, page);
        }
        let page = pages.get(&start).and_then(|page| page.get(inside..inside + length));
        buffer.copy_from_slice(page.ok_or(ReadError::Unmapped { address, length })?);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// Every byte is the low byte of its address; reads are counted, and end at `0x3000`.
    struct Counting(Cell<usize>);

    impl Memory for Counting {
        fn read(&self, address: u64, buffer: &mut [u8]) -> Result<(), ReadError> {
            self.0.set(self.0.get() + 1);
            if address.saturating_add(buffer.len() as u64) > 0x3000 {
                return Err(ReadError::Unmapped { address, length: buffer.len() });
            }
            for (address, byte) in (address..).zip(buffer) {
                *byte = address as u8;
            }
            Ok(())
        }
    }

    #[test]
    fn a_page_is_read_once() {
        let memory = Cached::new(Counting(Cell::new(0)));
        assert_eq!(memory.array(0x1ffc), Ok([0xfc, 0xfd, 0xfe, 0xff]));
        assert_eq!(memory.array(0x1001), Ok([1, 2]));
        assert_eq!(memory.memory.0.get(), 1);
        assert_eq!(memory.array(0x1ffe), Ok([0xfe, 0xff, 0, 1]), "across pages");
        assert_eq!(memory.u8(0x3000), Err(ReadError::Unmapped { address: 0x3000, length: 4096 }));
        assert!(memory.array::<8>(u64::MAX - 7).is_err());
    }
}
