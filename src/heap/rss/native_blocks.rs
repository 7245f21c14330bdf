//! The malloc blocks in use that Python does not own: those of libraries, extension modules and the
//! interpreter itself.

use rustc_hash::{FxHashMap, FxHashSet};

/// Blocks that Python does not own.
#[derive(Debug, Default)]
pub struct NativeBlocks {
    /// Addresses that are asked about.
    wanted: FxHashSet<u64>,
    /// Those of them at which such a block begins.
    found: FxHashSet<u64>,
    /// How many blocks there are.
    pub count: u64,
    /// The total size of their chunks, in bytes, whether or not they have been written to.
    pub bytes: u64,
    /// How many there are of each chunk size in bytes.
    pub sizes: FxHashMap<u64, u64>,
}

impl NativeBlocks {
    /// None yet; `wanted` are the addresses that will be asked about.
    pub fn among(wanted: impl IntoIterator<Item = u64>) -> NativeBlocks {
        NativeBlocks { wanted: wanted.into_iter().collect(), ..NativeBlocks::default() }
    }

    /// Adds a block with a chunk of this size.
    pub(super) fn add(&mut self, block: u64, chunk: u64) {
        self.count += 1;
        self.bytes = self.bytes.saturating_add(chunk);
        *self.sizes.entry(chunk).or_default() += 1;
        if self.wanted.contains(&block) {
            self.found.insert(block);
        }
    }

    /// Whether a native block begins at this address, one of the wanted.
    pub fn contains(&self, block: u64) -> bool {
        self.found.contains(&block)
    }
}
