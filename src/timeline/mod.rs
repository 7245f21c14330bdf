//! Memory against time: what a process and its children have, from moment to moment, the files that keep
//! it, what it comes to, and when it is enough to act.
//!
//! An [`Observer`] looks at processes and gives a [`Sample`] of each; a [`Writer`] puts samples into a
//! file as they come; [`read`] makes a [`Timeline`] of such a file, or of one of memory_profiler's; a
//! [`Trend`] says how it grows. [`Trigger`]s say when a figure has crossed a limit.

mod condition;
mod counters;
mod file;
mod followed;
mod history;
mod observer;
mod pace;
mod sample;
mod series;
mod slope;
mod trigger;

pub use condition::{Condition, Now, Watched};
pub use file::{FileError, Form, Writer, read};
pub use followed::Followed;
pub use history::History;
pub use observer::{Observer, Options};
pub use sample::{Measure, Sample, Who};
pub use series::{Peak, Series, Timeline};
pub use slope::{Trend, TrendKind};
pub use trigger::{Edge, Trigger};
