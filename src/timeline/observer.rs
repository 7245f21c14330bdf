//! Sampling processes again and again.
//!
//! Figures that the kernel counts anyway are read each time. Those that cost more, PSS, USS and Python's
//! arenas, are read less often the longer a read takes. Nothing is ever paused.

use std::sync::Arc;
use std::time::Duration;

use super::counters::Counters;
use super::followed::Followed;
use super::pace::Pace;
use super::sample::Sample;
use crate::process::{Process, ProcessError};
use crate::python::{Frame, Python, short_path};

/// How often command lines, which a program may change, and arenas are read.
const SELDOM: Duration = Duration::from_secs(1);
/// The maximum length of a command line, in characters.
const LONGEST_COMMAND: usize = 120;
/// A jump is a growth of the resident set between two samples by at least this many bytes, and by at least
/// one part in this many.
const JUMP: u64 = 1 << 20;
const JUMP_PART: u64 = 50;

/// What to observe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Whether the descendants of the process are followed.
    pub subprocesses: bool,
    /// Whether Python's counters are read.
    pub counters: bool,
    /// Whether the running stack is recorded at each jump of the resident set.
    pub stacks: bool,
    /// How often the proportional and the unique set are read; zero for never.
    pub shares: Duration,
}

/// Samples a process and its descendants.
#[derive(Debug)]
pub struct Observer {
    options: Options,
    dear: Dear,
    followed: Followed<Notes>,
}

/// Costly reads, paced in rounds over all processes, so that their cost stays small however many there are.
#[derive(Debug)]
struct Dear {
    shares: Pace,
    arenas: Pace,
}

/// The state kept for a process.
#[derive(Debug)]
struct Notes {
    command: Arc<str>,
    commands: Pace,
    counters: Counters,
    rss: Option<u64>,
}

impl Notes {
    fn new() -> Notes {
        Notes {
            command: "".into(),
            commands: Pace::new(SELDOM),
            counters: Counters::new(),
            rss: None,
        }
    }
}

impl Observer {
    /// Starts observing a process.
    pub fn new(process: Process, options: Options) -> Observer {
        Observer {
            options,
            dear: Dear { shares: Pace::new(options.shares), arenas: Pace::new(SELDOM) },
            followed: Followed::new(process, options.subprocesses, Notes::new()),
        }
    }

    /// Whether the first process has ended.
    pub fn has_ended(&self) -> bool {
        !self.followed.has_root()
    }

    /// Samples all processes. `time` is now, in seconds since 1970. The first sample is of the first process,
    /// as long as that exists.
    pub fn look(&mut self, time: f64) -> Vec<Sample> {
        let mut samples = Vec::new();
        let Observer { options, dear, followed } = self;
        if !options.shares.is_zero() {
            dear.shares.begin();
        }
        dear.arenas.begin();
        let look = |process: &Process, notes: &mut Notes| {
            samples.push(sample(process, notes, options, dear, time)?);
            Ok(())
        };
        followed.each(look, |_| Notes::new());
        dear.shares.end();
        dear.arenas.end();
        samples
    }
}

/// Samples one process.
fn sample(
    process: &Process,
    notes: &mut Notes,
    options: &Options,
    dear: &mut Dear,
    time: f64,
) -> Result<Sample, ProcessError> {
    let usage = process.usage()?;
    if let Some(Ok(command)) = notes.commands.when_due(|| process.command()) {
        notes.command = shortened(&command).into();
    }
    let reading = match options.counters {
        true => notes.counters.read(process, &mut dear.arenas),
        false => Default::default(),
    };
    // Reading the share takes more permissions than reading the rest.
    let share = dear.shares.work(|| process.share().ok()).flatten();
    let jumped = notes
        .rss
        .is_some_and(|before| usage.rss.saturating_sub(before) >= JUMP.max(before / JUMP_PART));
    notes.rss = Some(usage.rss);
    let python = notes.counters.python().filter(|_| options.stacks && jumped);
    let collections =
        |generation: usize| reading.collections.and_then(|counts| counts.get(generation).copied());
    Ok(Sample {
        time_s: time,
        pid: process.pid(),
        started_ticks: process.started(),
        rss_bytes: usage.rss,
        anonymous_bytes: Some(usage.anonymous),
        file_bytes: Some(usage.file),
        shared_bytes: Some(usage.shared),
        swap_bytes: Some(usage.swap),
        pss_bytes: share.map(|share| share.pss),
        uss_bytes: share.map(|share| share.uss),
        threads: Some(usage.threads),
        arena_bytes: reading.arena_bytes,
        collections_0: collections(0),
        collections_1: collections(1),
        collections_2: collections(2),
        stack: python.and_then(|python| running_stack(process, python)),
        command: Arc::clone(&notes.command),
    })
}

/// The stack of the thread that holds the GIL, or else of one that runs. It is read without a pause, and left
/// out if it changed meanwhile.
fn running_stack(process: &Process, python: &Python) -> Option<String> {
    let dump = python.dump_threads(process, false, None).ok()?;
    let holder = dump.threads.iter().find(|thread| thread.holds_gil);
    let thread = holder.or_else(|| dump.threads.iter().find(|thread| thread.running))?;
    if !thread.stack.complete || thread.stack.frames.is_empty() {
        return None;
    }
    let frames: Vec<String> = thread.stack.frames.iter().rev().map(frame).collect();
    Some(frames.join(";"))
}

/// A frame in words, without semicolons, since those separate frames.
fn frame(frame: &Frame) -> String {
    let file = short_path(&frame.file);
    let words = match frame.line {
        Some(line) => format!("{} ({file}:{line})", frame.function),
        None => format!("{} ({file})", frame.function),
    };
    words.replace(|c: char| c == ';' || c.is_control(), ":")
}

/// A command line on one line, shortened.
fn shortened(command: &str) -> String {
    let command = command.replace(char::is_control, "\u{fffd}");
    match command.char_indices().nth(LONGEST_COMMAND) {
        Some((end, _)) => format!("{}…", command.get(..end).unwrap_or_default()),
        None => command,
    }
}
