//! leakspy: where the memory of a running Python process is, read from outside.
//!
//! The layers, each of which uses only those before it:
//!
//! - [`memory`]: bytes by address, through one small trait.
//! - [`obstacle`]: which errors a person can do something about.
//! - [`process`]: a process under observation, its maps, threads and pauses. No Python in it.
//! - [`python`]: CPython in memory: finding it, its threads, frames, objects and allocators.
//! - [`guardian`]: the small process that traces a target, so that leakspy can be killed without harm.
//! - [`heap`]: a copy of a process's memory, taken in one pause, and the graph of its objects.
//! - [`source`]: where a heap comes from: today a live process.
//! - [`profile`]: stacks with weights.
//! - [`inspect`]: questions about one heap: what lives, why, in which cycles.
//! - [`timeline`]: memory against time.
//! - [`hunt`]: what piles up, what retains it and which code adds to it.
//! - [`render`]: answers as pictures, text and JSON.
//! - [`cli`]: the command line. Only this layer prints, exits and knows a person.
//!
//! A profile is a sum of weighted stacks, wherever they come from:
//!
//! ```
//! use std::time::Duration;
//!
//! use leakspy::profile::{Profile, Stack, Weight};
//! use leakspy::python::Frame;
//! use leakspy::render::{Form, Heading, Pauses, Style, View};
//!
//! let frames = vec![Frame { function: "load".into(), file: "app.py".into(), line: Some(3) }];
//! let mut profile = Profile::new();
//! profile.add(Stack { frames, ..Stack::default() }, Weight { bytes: 6400.0, objects: 100.0 });
//!
//! let heading = Heading {
//!     pid: 4301,
//!     command: "python app.py".into(),
//!     python: "3.12.1".into(),
//!     view: View::Allocated,
//!     duration: Duration::from_secs(20),
//!     samples: 100,
//!     pauses: Pauses::default(),
//!     error: None,
//!     earlier: None,
//! };
//! let mut out = Vec::new();
//! Form::Folded.write(&profile, &heading, Style::default(), &mut out)?;
//! assert_eq!(out, b"load (app.py:3) 6400\n");
//! # Ok::<(), leakspy::render::RenderError>(())
//! ```
//!
//! # The guardian
//!
//! Sampling allocations, watching inserts and following malloc need a [guardian]: a process that traces the
//! target and releases it even if the process that asked for it is killed. A library has no executable to start
//! for that, and must not start the program of its user a second time unasked. So `Options` name the
//! [`guardian::Program`], and there are two ways to get one:
//!
//! - Call [`serve_if_guardian`] first in `main`: then the program is its own guardian. Nothing else has to be
//!   installed, and both sides always have the same version. Only this function returns the running program as a
//!   [`guardian::Program`], so it cannot be forgotten.
//! - Pass [`guardian::Program::at`] the path of a `leakspy` executable of the same version, if you do not own
//!   `main`, for example in a plugin or a test.

use guardian::Program;
use guardian::entry::{Offer, serve_if_asked};

pub mod cli;
pub mod guardian;
pub mod heap;
pub mod hunt;
pub mod inspect;
pub mod memory;
pub mod obstacle;
pub mod process;
pub mod profile;
pub mod python;
pub mod render;
pub mod snapshot;
pub mod source;
pub mod timeline;

/// Call this first in `main`, before there is a second thread. If this process was started as a [guardian], it
/// does that work and exits. Otherwise this returns the running program as the one to start as guardian.
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
