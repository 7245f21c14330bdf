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

/// Blocks that are none of Python's.
#[derive(Debug, Default)]
pub struct NativeBlocks {
    /// Where they begin, in order.
    starts: Vec<u64>,
    /// How many bytes their chunks have, all together.
    pub bytes: u64,
}

impl NativeBlocks {
    /// Those of a capture that was taken just now; `None` where the C library is not glibc, or the heap of
    /// its malloc cannot be read. An object's own list of objects that is inconsistent leaves out what it
    /// would lead to, so that its buffers count.
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

    /// Whether a block that begins here is one of them.
    pub fn contains(&self, block: u64) -> bool {
        self.starts.binary_search(&block).is_ok()
    }
}
