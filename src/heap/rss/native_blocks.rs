//! The malloc blocks in use that Python does not own: those of libraries, extension modules and the
//! interpreter itself.

use std::io;

use super::malloc::Malloc;
use super::owners::{Owners, Whose, each_block};
use crate::heap::analysis::processors;
use crate::heap::capture::copy::Capture;
use crate::heap::support::nice::politely;
use crate::process::Process;
use crate::python::Python;

/// Blocks that Python does not own.
#[derive(Debug, Default)]
pub struct NativeBlocks {
    /// Their addresses, in order.
    starts: Vec<u64>,
    /// The total size of their chunks, in bytes.
    pub bytes: u64,
}

impl NativeBlocks {
    /// The native blocks of a capture taken just now; `None` if the C library is not glibc, or its malloc's
    /// heap cannot be read. A collector's list that does not close is not an error: objects missed because of
    /// it make their buffers count as native.
    pub fn of(
        process: &Process,
        python: &Python,
        capture: &Capture<'_>,
    ) -> io::Result<Option<NativeBlocks>> {
        let Some(malloc) = Malloc::of(process, python, capture)? else { return Ok(None) };
        politely(|| {
            let owners = Owners::find(capture, python, Some(&malloc), processors(), false);
            let owners = owners.map_err(io::Error::other)?;
            let mut native = NativeBlocks::default();
            each_block(capture, Some(&malloc), |chunk| {
                if owners.of(capture, chunk.block()) == Whose::Other {
                    native.starts.push(chunk.block());
                    native.bytes = native.bytes.saturating_add(chunk.size);
                }
            });
            native.starts.sort_unstable();
            Ok(Some(native))
        })
    }

    /// Whether a native block begins here.
    pub fn contains(&self, block: u64) -> bool {
        self.starts.binary_search(&block).is_ok()
    }
}
