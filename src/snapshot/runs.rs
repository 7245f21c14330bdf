//! Addresses of objects: runs of pages, and positions in them, which are small numbers.

use crate::heap::Graph;

/// Bytes of a page.
pub(super) const PAGE: u64 = 4096;
/// Bytes of a word.
pub(super) const WORD: u64 = 8;

/// The pages that have objects, in the order of the numbers of the objects.
#[derive(Debug, Default)]
pub(super) struct Runs {
    /// Sorted by address.
    runs: Vec<Run>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    address: u64,
    pages: u64,
    /// The number of pages before it, in the order of numbers.
    before: u64,
}

impl Runs {
    /// Finds the pages of all objects.
    pub fn of(graph: &Graph) -> Runs {
        let mut runs: Vec<Run> = Vec::new();
        for (before, address) in (0..).zip(graph.pages(PAGE)) {
            match runs.last_mut() {
                Some(last) if last.address + last.pages * PAGE == address => last.pages += 1,
                _ => runs.push(Run { address, pages: 1, before }),
            }
        }
        runs.sort_unstable_by_key(|run| run.address);
        Runs { runs }
    }

    fn in_order(&self) -> Vec<Run> {
        let mut runs = self.runs.clone();
        runs.sort_unstable_by_key(|run| run.before);
        runs
    }

    /// The address of each run, in the order of numbers.
    pub fn addresses(&self) -> impl Iterator<Item = u64> {
        self.in_order().into_iter().map(|run| run.address)
    }

    /// The number of pages of each run.
    pub fn pages(&self) -> impl Iterator<Item = u64> {
        self.in_order().into_iter().map(|run| run.pages)
    }

    /// The position of an address among the words of all runs.
    pub fn word(&self, address: u64) -> Option<u64> {
        let after = self.runs.partition_point(|run| run.address <= address);
        let run = self.runs.get(after.checked_sub(1)?)?;
        let inside = address - run.address;
        (inside < run.pages * PAGE).then_some((run.before * PAGE + inside) / WORD)
    }
}
