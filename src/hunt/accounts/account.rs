//! The resident set at one capture, divided up.

use std::io;
use std::time::Duration;

use super::place::Place;
use crate::heap::{Capture, Composition, CompositionError, NativeBlocks, RawResidency};
use crate::process::Process;
use crate::python::Python;

/// What the memory of a process is made of at one moment of a hunt.
#[derive(Debug, Clone, Copy)]
pub struct Account {
    /// When, counted from the start of the hunt.
    pub at: Duration,
    /// The resident set, divided up.
    pub composition: Composition,
    /// How many native blocks there are.
    pub blocks: u64,
    /// Their size in bytes, whether or not they have been written to.
    pub block_bytes: u64,
}

impl Account {
    /// The account of a snapshot file. It does not say how many native blocks there were.
    pub fn kept(at: Duration, composition: Composition) -> Account {
        Account { at, composition, blocks: 0, block_bytes: composition.native() }
    }

    /// Divides up the memory of a process of which this capture was taken, with what was resident in the pause, and
    /// finds which of the `wanted` addresses are native blocks.
    ///
    /// # Errors
    /// The kernel does not say which pages are in memory, or the process has ended.
    pub fn of(
        process: &Process,
        python: &Python,
        capture: &Capture<'_>,
        residency: io::Result<RawResidency>,
        strict: bool,
        at: Duration,
        wanted: impl IntoIterator<Item = u64>,
    ) -> Result<(Account, NativeBlocks), CompositionError> {
        let mut native = NativeBlocks::among(wanted);
        let composition = Composition::with_native_blocks(
            process,
            python,
            capture,
            residency.map(RawResidency::parse),
            strict,
            &mut native,
        )?;
        let account = Account { at, composition, blocks: native.count, block_bytes: native.bytes };
        Ok((account, native))
    }

    /// How much is at this place, in bytes.
    pub fn bytes(&self, place: Place) -> f64 {
        place.of(&self.composition) as f64
    }

    /// Whether malloc's heap could be read, so that its blocks are known.
    pub fn knows_malloc(&self) -> bool {
        self.composition.facts.malloc_arenas.is_some()
    }
}
