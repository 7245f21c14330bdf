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
pub mod timeline;
