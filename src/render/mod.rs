//! Pictures and files of a [`Profile`]: one file per form, each with a function `write`.
//!
//! Forms differ in what they can contain, not in what they say: each has the same stacks with the same
//! weights. Equal profiles give equal output, byte for byte. Names come from the target and may contain
//! anything; [`labels`] makes them safe for the forms that have separators.

use std::io::{self, Write};
use std::time::Duration;

use crate::obstacle::{Obstructed, Obstruction};
pub use crate::process::Pauses;
use crate::profile::precision::Accuracy;
use crate::profile::{By, Profile};

mod accounts;
pub mod branches;
pub mod chart;
pub mod chrome;
pub mod composition;
pub mod cycles;
pub mod difference;
pub mod dump;
pub mod files;
pub mod fitting;
pub mod flamegraph;
pub mod folded;
pub mod graph;
mod growing;
mod grown;
pub mod heap;
pub mod heaviest;
pub mod hunt;
pub mod hunt_of_several;
pub mod info;
pub mod json;
pub mod known_leaks;
pub mod labels;
pub mod phrases;
#[cfg(feature = "png")]
pub mod png;
pub mod pprof;
pub mod preamble;
pub mod ps;
pub mod report;
pub mod sheet;
pub mod show;
pub mod source_lines;
pub mod sparkline;
pub mod speedscope;
pub mod summary;
pub mod table;
pub mod timeline;
pub mod top;
pub mod tree;
pub mod waste;
pub mod watch;
pub mod why;

/// Why a form could not be written.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// The writer refused.
    #[error("cannot write")]
    Io(#[from] io::Error),
    /// A chart could not be drawn.
    #[error("cannot draw the chart: {0}")]
    Chart(String),
    /// A graph is too large to be drawn.
    #[error(transparent)]
    TooLarge(#[from] graph::layout::TooLarge),
}

impl Obstructed for RenderError {
    fn obstacle(&self) -> Option<Obstruction> {
        match self {
            RenderError::Io(_) | RenderError::Chart(_) | RenderError::TooLarge(_) => None,
        }
    }
}

impl From<serde_json::Error> for RenderError {
    fn from(error: serde_json::Error) -> RenderError {
        RenderError::Io(error.into())
    }
}

/// The forms a profile can be written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// An interactive SVG.
    #[default]
    Flamegraph,
    /// Collapsed stacks, one per line.
    Folded,
    /// A file for speedscope.
    Speedscope,
    /// leakspy's own JSON.
    Json,
    /// A file for `go tool pprof` and Pyroscope.
    Pprof,
}

impl Form {
    /// The usual extension of a file of this form, without the dot.
    pub fn extension(self) -> &'static str {
        match self {
            Form::Flamegraph => "svg",
            Form::Folded => "folded",
            Form::Speedscope => "speedscope.json",
            Form::Json => "json",
            Form::Pprof => "pb.gz",
        }
    }

    /// Writes `profile` in this form.
    pub fn write(
        self,
        profile: &Profile,
        heading: &Heading,
        style: Style,
        out: &mut impl Write,
    ) -> Result<(), RenderError> {
        match self {
            Form::Flamegraph => flamegraph::write(profile, heading, style, out),
            Form::Folded => folded::write(profile, heading, style, out),
            Form::Speedscope => speedscope::write(profile, heading, style, out),
            Form::Json => json::write(profile, heading, style, out),
            Form::Pprof => pprof::write(profile, heading, style, out),
        }
    }
}

/// The user's choices about how a profile looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// What determines widths and ranks.
    pub by: By,
    /// How much of a file's path is shown.
    pub paths: Paths,
}

/// How much of a file's path is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Paths {
    /// Enough to recognise it; see [`short_path`](crate::python::short_path).
    #[default]
    Short,
    /// The whole path.
    Full,
}

/// What a profile shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// Memory allocated while recording, whether freed since or not: an estimate from sampled allocations.
    Allocated,
    /// The objects alive at one moment, each on the path that holds it: exact. Compared with an earlier
    /// moment, if the heading has one.
    Live,
    /// Live blocks, by the stacks that allocated them, from tracemalloc: exact. A weight's `objects` counts
    /// blocks.
    Traced,
    /// The stacks seen when sampling, without memory. A weight's `objects` counts samples, its `bytes`
    /// nothing.
    Stacks,
    /// The growth of accumulation points during a hunt, measured and divided among the stacks that were seen
    /// to insert.
    Fed,
}

impl View {
    /// Its name in files.
    pub fn name(self) -> &'static str {
        match self {
            View::Allocated => "allocated",
            View::Live => "live",
            View::Traced => "traced",
            View::Stacks => "stacks",
            View::Fed => "fed",
        }
    }

    /// What is actually weighed if the user asks for `by`: stack samples have no bytes.
    pub fn measure(self, by: By) -> By {
        match self {
            View::Allocated | View::Live | View::Traced | View::Fed => by,
            View::Stacks => By::Objects,
        }
    }

    /// The unit of its weights as a word.
    pub fn unit(self, by: By) -> &'static str {
        match self {
            View::Traced if by == By::Objects => "blocks",
            View::Allocated | View::Live | View::Traced | View::Fed => by.unit(),
            View::Stacks => "samples",
        }
    }
}

/// Which process a profile is of, and how it was recorded.
#[derive(Clone, Debug)]
pub struct Heading {
    /// The target's PID.
    pub pid: i32,
    /// Its command line.
    pub command: String,
    /// The interpreter's version, such as `3.12.1`.
    pub python: String,
    /// What the profile shows.
    pub view: View,
    /// How long it was recorded.
    pub duration: Duration,
    /// The number of samples.
    pub samples: u64,
    /// How long the target was paused for them.
    pub pauses: Pauses,
    /// How far totals and shares may be off; `None` if nothing is estimated.
    pub accuracy: Option<Accuracy>,
    /// The profile at the beginning of the recording, if the main one is of its end.
    pub earlier: Option<Profile>,
}

/// An estimate as a whole number. A positive one stays positive.
fn whole(weight: f64) -> u64 {
    if weight > 0.0 { (weight.round() as u64).max(1) } else { 0 }
}

/// A time in a suitable unit.
fn time(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    match seconds {
        ..1e-3 => format!("{:.0} µs", seconds * 1e6),
        ..1.0 => format!("{:.1} ms", seconds * 1e3),
        _ => format!("{seconds:.1} s"),
    }
}
