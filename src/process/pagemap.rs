//! Which pages of a process are populated: `/proc/PID/pagemap`.
//!
//! An anonymous page that was never touched reads as zeros, and reading it makes the kernel do some work on
//! behalf of the target. So large, mostly untouched mappings (above all stacks) are not read as a whole.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use crate::memory::PAGE;

/// Entries read at once.
const ENTRIES: usize = 512;
/// Bytes of an entry.
const ENTRY: usize = 8;
/// `present` and `swapped`, of `Documentation/admin-guide/mm/pagemap.rst`.
const OCCUPIED: u64 = PRESENT | 1 << 62;
const PRESENT: u64 = 1 << 63;
/// The bits for a page of a file or of shared memory, and for a page mapped by this process alone.
const IDENTIFIED: u64 = 1 << 61 | 1 << 56;

/// What the page map says about a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageState {
    /// It is not in memory.
    Absent,
    /// It is in memory, and belongs to this process alone or to a file.
    Own,
    /// It is mapped either to a page shared with another process or to the zero page.
    Doubtful,
}

/// The page map of a process.
#[derive(Debug)]
pub struct PageMap {
    file: File,
}

impl PageMap {
    /// Opens it; needs the same permission as reading the memory.
    pub fn open(pid: i32) -> io::Result<PageMap> {
        Ok(PageMap { file: File::open(format!("/proc/{pid}/pagemap"))? })
    }

    /// Calls `each` with the addresses and the state of every page of `range`.
    pub fn each(
        &self,
        range: Range<u64>,
        mut each: impl FnMut(Range<u64>, PageState),
    ) -> io::Result<()> {
        self.entries(range, |page, entry| {
            let state = match entry {
                entry if entry & PRESENT == 0 => PageState::Absent,
                entry if entry & IDENTIFIED != 0 => PageState::Own,
                _ => PageState::Doubtful,
            };
            each(page..page.saturating_add(PAGE), state);
        })
    }

    /// Appends to `runs` the pages of `range` that are in memory or swapped out, adjacent pages as one run.
    /// The range must begin and end at a page boundary.
    pub fn occupied(&self, range: Range<u64>, runs: &mut Vec<Range<u64>>) -> io::Result<()> {
        let first = runs.len();
        self.entries(range, |start, entry| {
            if entry & OCCUPIED != 0 {
                match runs.get_mut(first..).unwrap_or_default().last_mut() {
                    Some(run) if run.end == start => run.end += PAGE,
                    _ => runs.push(start..start + PAGE),
                }
            }
        })
    }

    /// Calls `each` with the address and the entry of every page of `range`.
    fn entries(&self, range: Range<u64>, mut each: impl FnMut(u64, u64)) -> io::Result<()> {
        let mut entries = [0; ENTRIES * ENTRY];
        let mut page = range.start / PAGE;
        let end = range.end / PAGE;
        while page < end {
            let count = (end - page).min(ENTRIES as u64) as usize;
            let bytes = entries.get_mut(..count * ENTRY).unwrap_or_default();
            self.file.read_exact_at(bytes, page * ENTRY as u64)?;
            for entry in bytes.as_chunks::<ENTRY>().0 {
                each(page * PAGE, u64::from_le_bytes(*entry));
                page += 1;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use memmap2::MmapMut;

    use super::*;

    #[test]
    fn what_was_touched_is_occupied() {
        let mut mapping = MmapMut::map_anon(1000 * PAGE as usize).expect("memory is there");
        for page in [0, 1, 2, 600, 999] {
            mapping[page * PAGE as usize] = 1;
        }
        let start = mapping.as_ptr() as u64;
        let map = PageMap::open(std::process::id() as i32).expect("our own");
        let mut runs = Vec::new();
        map.occupied(start..start + 1000 * PAGE, &mut runs).expect("it can be read");
        let pages: Vec<_> =
            runs.iter().map(|run| (run.start - start) / PAGE..(run.end - start) / PAGE).collect();
        assert_eq!(pages, [0..3, 600..601, 999..1000]);
    }
}
