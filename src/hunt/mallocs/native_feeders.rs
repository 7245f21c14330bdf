//! The code that makes native memory grow: a guardian follows calls of the C library's allocator
//! ([`follow`](super::follow)), and the stacks whose blocks stay are the feeders.
//!
//! This is an estimate from a few hundred calls a second: long-lived blocks that are freed eventually count
//! as leaked.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use super::blocks::{Block, Follow, Functions};
use super::survivors::Survivors;
use crate::guardian::client::{Guardian, GuardianError, Tagged};
use crate::heap::NativeBlocks;
use crate::heap::rss::malloc::other_allocator;
use crate::hunt::inserts::feeders::WatchOptions;
use crate::hunt::inserts::insert_counts::SeenStack;
use crate::process::{Image, Pauses, Process, ProcessError};
use crate::python::{CodeCache, Python};

/// How old a block must be to count as one that stays.
const STAYS: Duration = Duration::from_secs(1);
/// How often blocks are checked again, and how long after they were made.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Following stops after this many blocks that stay.
const ENOUGH: usize = 200;

/// Calls being followed.
#[derive(Debug)]
pub struct Following {
    process: Process,
    python: Python,
    guardian: Guardian,
    reports: Receiver<Tagged<Vec<Block>>>,
    survivors: Survivors,
    begun: Instant,
    looked: Instant,
    code: CodeCache,
}

impl Following {
    /// Starts following the calls of a process whose C library is glibc; `None` where it is another, or where
    /// another allocator replaces glibc's.
    pub fn start(
        process: &Process,
        python: &Python,
        options: &WatchOptions,
    ) -> Result<Option<Following>, GuardianError> {
        let Some(functions) = functions(process)? else { return Ok(None) };
        let request = options.request(process, Follow { functions });
        let (sender, reports) = channel();
        let guardian = Guardian::start(&options.guardian, &request, sender)?;
        Ok(Some(Following {
            process: Process::open(process.pid())?,
            python: python.clone(),
            guardian,
            reports,
            survivors: Survivors::default(),
            begun: Instant::now(),
            looked: Instant::now(),
            code: CodeCache::new(),
        }))
    }

    /// For how long calls have been followed.
    pub fn lasted(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Waits for reports, but no longer than `timeout`, and takes them in.
    pub fn step(&mut self, timeout: Duration) -> Result<(), GuardianError> {
        let until = Instant::now() + timeout;
        while !self.has_ended() {
            let left = until.saturating_duration_since(Instant::now());
            let Some(blocks) = self.guardian.next(&self.reports, left)? else { break };
            blocks.into_iter().for_each(|block| self.take(block));
        }
        if self.looked.elapsed() >= LOOK_EVERY {
            self.looked = Instant::now();
            let before = self.begun.elapsed().saturating_sub(LOOK_EVERY);
            self.survivors.look(&self.process, before);
        }
        Ok(())
    }

    /// Whether following has begun: until then nothing can be seen.
    pub fn has_begun(&self) -> bool {
        self.guardian.way().is_some()
    }

    /// Whether enough has been seen.
    pub fn is_settled(&self) -> bool {
        self.survivors.count(self.begun.elapsed().saturating_sub(STAYS)) >= ENOUGH
    }

    /// Whether nothing more will come.
    pub fn has_ended(&self) -> bool {
        self.guardian.has_ended()
    }

    /// Asks the guardian to let the process go. Call [`Following::step`] until it has.
    pub fn stop(&mut self) {
        self.guardian.stop();
    }

    /// How long threads stood still.
    pub fn pauses(&self) -> Pauses {
        self.guardian.toll().pauses()
    }

    /// The stacks whose blocks stay and are among `native`, the blocks of a capture taken just now.
    pub fn feeders(&mut self, native: &NativeBlocks) -> Vec<SeenStack> {
        self.survivors.keep(|block| native.contains(block));
        self.survivors.feeders(self.begun.elapsed().saturating_sub(STAYS))
    }

    fn take(&mut self, block: Block) {
        let Block { address, bytes, frames, complete } = block;
        let stack = self.code.resolve_frames(&self.process, &self.python, &frames, complete);
        self.survivors.add(&self.process, address, bytes, stack, self.begun.elapsed());
    }
}

/// The functions of glibc's allocator; `None` where there is none, or another is used.
fn functions(process: &Process) -> Result<Option<Functions>, ProcessError> {
    let maps = process.maps()?;
    if other_allocator(maps.iter()).is_some() {
        return Ok(None);
    }
    let is_libc = |path: &PathBuf| {
        let name = path.file_name().map(|name| name.to_string_lossy());
        name.is_some_and(|name| name.starts_with("libc.so.") || name.starts_with("libc-2."))
    };
    let first = maps.iter().find(|it| it.offset == 0 && it.path.as_ref().is_some_and(is_libc));
    let Some(image) = first.and_then(|it| Image::open(process.pid(), it).ok()) else {
        return Ok(None);
    };
    let address = |name| image.dynamic_symbol(name).map(|symbol| symbol.address);
    let all = ["malloc", "calloc", "realloc", "aligned_alloc"].map(address);
    let [Some(malloc), Some(calloc), Some(realloc), Some(aligned_alloc)] = all else {
        return Ok(None);
    };
    Ok(Some(Functions { malloc, calloc, realloc, aligned_alloc }))
}
