//! Finds where the memory of a running Python process is, and what makes it grow, from outside the process.
//!
//! leakspy is a command-line tool; this library is its implementation. [`attach`] opens a process by PID, and
//! a [`LiveProcess`] answers questions, pausing the process briefly for each answer:
//!
//! | | |
//! |---|---|
//! | [`threads`](Source::threads) | the stack of every thread |
//! | [`summary`](Source::summary) | live objects counted by type, with shallow sizes |
//! | [`heap`](Source::heap) | all objects with their references, dominators and retained sizes |
//! | [`composition`](Source::composition) | the resident set divided up |
//! | [`hunt`](fn@hunt) | what leaks, what retains it, and which line of code adds to it |
//!
//! The ten types that take the most memory:
//!
//! ```no_run
//! use leakspy::{Grouping, Source, attach};
//!
//! let process = attach(4301)?;
//! let summary = process.summary(Grouping::Type)?;
//! for group in summary.types.iter().take(10) {
//!     println!("{:>10} {:>12} {}", group.count, group.bytes(), group.name);
//! }
//! # Ok::<(), leakspy::SourceError>(())
//! ```
//!
//! `examples/` has three small programs: `threads`, `heap` and `hunt`. Only the items on this page are an
//! interface; the modules behind them serve the command line and change without notice. ARCHITECTURE.md is
//! their map.
//!
//! # The guardian
//!
//! Sampling allocations, watching inserts and following malloc need a [guardian]: a process that traces the
//! target and releases it even if the process that asked for it is killed. A library has no executable of its
//! own to start, and must not start its user's program a second time unasked. So `Options` name the
//! [`guardian::Program`], and there are two ways to get one:
//!
//! - Call [`serve_if_guardian`] first in `main`: then the program is its own guardian. Nothing else has to be
//!   installed, and both sides always have the same version. Only this function returns the running program as a
//!   [`guardian::Program`], so it cannot be forgotten.
//! - Pass [`guardian::Program::at`] the path of a `leakspy` executable of the same version, if you do not own
//!   `main`, for example in a plugin or a test.

use std::time::Duration;

#[doc(hidden)]
pub mod cli;
#[doc(hidden)]
pub mod guardian;
#[doc(hidden)]
pub mod heap;
#[doc(hidden)]
pub mod hunt;
#[doc(hidden)]
pub mod inspect;
#[doc(hidden)]
pub mod memory;
#[doc(hidden)]
pub mod obstacle;
#[doc(hidden)]
pub mod private_file;
#[doc(hidden)]
pub mod process;
#[doc(hidden)]
pub mod profile;
#[doc(hidden)]
pub mod python;
#[doc(hidden)]
pub mod render;
#[doc(hidden)]
pub mod snapshot;
#[doc(hidden)]
pub mod source;
#[doc(hidden)]
pub mod timeline;

pub use guardian::Program;
pub use heap::{CaptureOptions, Composition, Group, Grouping, Summary};
pub use hunt::finding::{Feeder, Finding, Holder, LeakKind};
pub use hunt::hunter::HuntError;
pub use hunt::verdict::{Standstill, Verdict};
pub use python::thread_dump::{DumpedThread, ThreadDump};
pub use python::{Frame, Version};
pub use source::{Heap, Identity, LiveProcess, Provenance, Source, SourceError};

use guardian::entry::{Offer, serve_if_asked};

/// Opens the process with this PID and finds the Python in it. It will be paused for each answer, and answers
/// may take half of the available memory; [`LiveProcess::open`] takes other [`CaptureOptions`].
///
/// # Errors
/// There is no such process, it may not be read, or it does not run a CPython from 3.8 to 3.15.
pub fn attach(pid: i32) -> Result<LiveProcess, SourceError> {
    LiveProcess::open(pid, CaptureOptions::default())
}

/// Hunts for leaks for `duration`: four captures, and breakpoints on what grows. The `guardian` traces the
/// process for that; see [above](crate#the-guardian).
///
/// # Errors
/// The process cannot be captured, or it ended before there were three captures.
pub fn hunt(
    process: LiveProcess,
    duration: Duration,
    guardian: Program,
) -> Result<Verdict, HuntError> {
    let (process, python, capture) = process.into_parts();
    let options = hunt::hunter::Options {
        duration,
        longest: duration,
        steps: None,
        capture,
        way: None,
        guardian,
        keep: None,
    };
    let mut hunter = hunt::hunter::Hunter::start(process, python, options)?;
    while hunter.phase() != hunt::hunter::Phase::Over {
        hunter.step(duration)?;
    }
    hunter.verdict()
}

/// Call this first in `main`, before there is a second thread. If this process was started as a [guardian],
/// this call does the guardian's work and exits. Otherwise it returns the running program, as the one to
/// start as guardian.
///
/// ```no_run
/// use std::time::Duration;
///
/// use leakspy::process::Process;
/// use leakspy::profile::recorder::Options;
/// use leakspy::profile::recording::Recording;
///
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let guardian = leakspy::serve_if_guardian();
///     let options = Options { rate: 100.0, way: None, threads: false, processes: false, guardian };
///     let mut recording = Recording::attach(Process::open(4301)?, options, false)?;
///     recording.step(Duration::from_secs(10))?;
///     recording.stop();
///     while !recording.is_over() {
///         recording.step(Duration::from_millis(50))?;
///     }
///     let samples = recording.finish().map_or(0, |recorded| recorded.samples);
///     println!("{samples} samples");
///     Ok(())
/// }
/// ```
#[expect(clippy::exit, reason = "the whole process is the guardian, and its work is done")]
pub fn serve_if_guardian() -> Program {
    let duties = [
        Offer::of::<profile::sampler::Sampler>(),
        Offer::of::<hunt::inserts::watch::Watcher>(),
        Offer::of::<hunt::mallocs::follow::Follower>(),
    ];
    match serve_if_asked(&duties) {
        Some(status) => std::process::exit(status),
        None => Program::this_one(),
    }
}
