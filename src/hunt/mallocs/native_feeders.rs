//! Who makes native memory grow: calls of the C library's allocator are followed by a guardian
//! ([`follow`](super::follow)), and the stacks of those whose blocks stay are what feeds the growth.
//!
//! It is an estimate, from some hundred calls a second: blocks that live for long and yet are freed in
//! the end count like those that leak.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::survivors::Survivors;
use crate::guardian::client::{Guarded, WatchError};
use crate::guardian::spawn;
use crate::heap::NativeBlocks;
use crate::heap::rss::malloc::other_allocator;
use crate::hunt::inserts::feeders::{Feeder, WatchOptions};
use crate::hunt::messages::{FollowRequest, Functions, News};
use crate::process::{Image, Pauses, Process, ProcessError};
use crate::python::{CodeCache, Python, RawStack};

/// How long a block must be there to be one that stays.
const STAYS: Duration = Duration::from_secs(1);
/// How often blocks are looked at again, and how long after they were made.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// With so many blocks that stay no more are wanted.
const ENOUGH: usize = 200;

/// Calls being followed.
#[derive(Debug)]
pub struct Following {
    process: Process,
    python: Python,
    guarded: Guarded,
    survivors: Survivors,
    begun: Instant,
    looked: Instant,
    code: CodeCache,
    raw: RawStack,
}

impl Following {
    /// Begins to follow the calls of a process whose C library is glibc; `None` where it is another, or
    /// another allocator is in its place.
    pub fn start(
        process: &Process,
        python: &Python,
        options: &WatchOptions,
    ) -> Result<Option<Following>, WatchError> {
        let (pid, started) = (process.pid(), process.started());
        let process = Process::open(pid)?;
        let Some(functions) = functions(&process)? else { return Ok(None) };
        let request =
            FollowRequest { pid, started, way: options.way, functions, limits: options.limits };
        let guarded = Guarded::start(&options.guardian, spawn::Work::Follow, &request)?;
        Ok(Some(Following {
            process,
            python: python.clone(),
            guarded,
            survivors: Survivors::default(),
            begun: Instant::now(),
            looked: Instant::now(),
            code: CodeCache::new(),
            raw: RawStack::default(),
        }))
    }

    /// Waits for news, but no longer than `timeout`, and takes them in.
    pub fn step(&mut self, timeout: Duration) -> Result<(), WatchError> {
        let until = Instant::now() + timeout;
        while !self.has_ended() {
            let left = until.saturating_duration_since(Instant::now());
            let Some(news) = self.guarded.next(left)? else { break };
            self.take(news);
        }
        if self.looked.elapsed() >= LOOK_EVERY {
            self.looked = Instant::now();
            let before = self.begun.elapsed().saturating_sub(LOOK_EVERY);
            self.survivors.look(&self.process, before);
        }
        Ok(())
    }

    /// Whether it has begun: until then nothing can be seen.
    pub fn has_begun(&self) -> bool {
        self.guarded.way().is_some()
    }

    /// Whether enough has been seen.
    pub fn is_settled(&self) -> bool {
        self.survivors.count(self.begun.elapsed().saturating_sub(STAYS)) >= ENOUGH
    }

    /// Whether nothing more will come.
    pub fn has_ended(&self) -> bool {
        self.guarded.has_ended()
    }

    /// Asks the guardian to let the process go. Go on with [`Following::step`] until it has.
    pub fn stop(&mut self) {
        self.guarded.stop();
    }

    /// For how long threads stood still.
    pub fn pauses(&self) -> Pauses {
        self.guarded.pauses()
    }

    /// The stacks whose blocks stay and are among these, which are those of a capture that was taken just
    /// now.
    pub fn feeders(&mut self, native: &NativeBlocks) -> Vec<Feeder> {
        self.survivors.keep(|block| native.contains(block));
        self.survivors.feeders(self.begun.elapsed().saturating_sub(STAYS))
    }

    fn take(&mut self, news: News) {
        for block in news.blocks {
            self.raw.frames = block.frames;
            self.raw.complete = block.complete;
            let stack = self.code.resolve_stack(&self.process, &self.python, &self.raw);
            let made = self.begun.elapsed();
            self.survivors.add(&self.process, block.address, block.bytes, stack, made);
        }
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
