//! The code that makes native memory grow: a guardian follows calls of the C library's allocator or of `mmap`
//! ([`follow`](super::follow)), and the stacks whose blocks stay are the feeders.
//!
//! This is an estimate from a few hundred calls a second: long-lived blocks that are freed eventually count
//! as leaked.

use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use super::blocks::Block;
use super::functions::Growing;
use super::survivors::{Made, Survivors};
use crate::guardian::client::{Guardian, GuardianError, Tagged};
use crate::heap::NativeBlocks;
use crate::heap::rss::malloc::{is_mapped_chunk, size_in_use};
use crate::hunt::inserts::feeders::WatchOptions;
use crate::hunt::inserts::insert_counts::SeenStack;
use crate::process::glibc::can_be_given;
use crate::process::{Mapping, Pauses, Process};
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
    growing: Growing,
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
    /// Starts following the calls that make memory of this kind, of a process whose C library is glibc; `None` where
    /// it is another, or where another allocator replaces glibc's.
    ///
    /// # Errors
    /// The process has ended or may not be read, or the guardian cannot be started.
    pub fn start(
        process: &Process,
        python: &Python,
        growing: Growing,
        options: &WatchOptions,
    ) -> Result<Option<Following>, GuardianError> {
        let Some(follow) = growing.functions(process)? else { return Ok(None) };
        let request = options.request(process, follow);
        let (sender, reports) = channel();
        let guardian = Guardian::start(&options.guardian, &request, sender)?;
        Ok(Some(Following {
            growing,
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
            let in_use = InUse::now(&self.growing, &self.process);
            self.survivors.look(|address| in_use.chunk(address), before);
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

    /// The blocks that are followed.
    pub fn blocks(&self) -> impl Iterator<Item = u64> {
        self.survivors.addresses()
    }

    /// What is followed.
    pub fn growing(&self) -> &Growing {
        &self.growing
    }

    /// The stacks whose blocks stay and are among `native`, the blocks of a capture taken just now; or the stacks
    /// whose mappings stay and serve neither malloc nor Python's allocator.
    pub fn feeders(&mut self, native: &NativeBlocks) -> Vec<SeenStack> {
        match self.growing {
            Growing::Blocks(_) => self.survivors.keep(|block| native.contains(block)),
            Growing::Mappings => {
                let arenas = self.python.arenas(&self.process).unwrap_or_default();
                let is_arena =
                    |page| arenas.iter().any(|arena| (arena.start..arena.end).contains(&page));
                let is_chunk = |page| is_mapped_chunk(&self.process, page);
                self.survivors.keep(|page| !is_arena(page) && !is_chunk(page));
            }
        }
        self.survivors.feeders(self.begun.elapsed().saturating_sub(STAYS))
    }

    fn take(&mut self, block: Block) {
        let Block { address, bytes, stands_for, frames, complete } = block;
        let stack = self.code.resolve_frames(&self.process, &self.python, &frames, complete);
        let made = Made { bytes, stands_for, at: self.begun.elapsed() };
        let chunk = InUse::now(&self.growing, &self.process).chunk(address);
        let is_plausible = match self.growing {
            Growing::Blocks(_) => chunk.is_some_and(|chunk| can_be_given(bytes, chunk)),
            Growing::Mappings => chunk.is_some(),
        };
        self.survivors.add(address, made, chunk.filter(|_| is_plausible), stack);
    }
}

/// What is in use at this moment.
enum InUse<'a> {
    /// The words around a block say that it is.
    Blocks(&'a Process),
    /// The list of mappings does.
    Mappings(Vec<Mapping>),
}

impl InUse<'_> {
    fn now<'a>(growing: &Growing, process: &'a Process) -> InUse<'a> {
        match growing {
            Growing::Blocks(_) => InUse::Blocks(process),
            // A process that has ended maps nothing.
            Growing::Mappings => InUse::Mappings(process.maps().unwrap_or_default()),
        }
    }

    /// The size of the chunk at this address, if one is in use; 0 for a mapping, whose size may change when another
    /// joins it.
    fn chunk(&self, address: u64) -> Option<u64> {
        match self {
            InUse::Blocks(process) => size_in_use(*process, address),
            InUse::Mappings(maps) => {
                let next = maps.partition_point(|it| it.end <= address);
                let mapping = maps.get(next).filter(|it| it.start <= address)?;
                let is_anonymous = mapping.inode == 0 && !mapping.shared && mapping.writable;
                is_anonymous.then_some(0)
            }
        }
    }
}
