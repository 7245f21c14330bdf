//! Memory against time: samples of a process and its children, files of samples, trends, and conditions to
//! act on.
//!
//! An [`Observer`] takes a [`Sample`] of each process; a [`Writer`] writes samples to a file as they come;
//! [`read`] makes a [`Timeline`] from such a file, or from one of memory_profiler's; a [`Trend`] says how it
//! grows. [`Trigger`]s say when a figure has crossed a limit.

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
