//! Pictures and files of a [`Profile`]: one file per form, each with a function `write`.
//!
//! Forms differ in what they can carry, not in what they say: every one has the same stacks with
//! the same weights. Equal profiles make equal output, byte for byte. Names come from the target
//! and may be anything; [`labels`] makes them safe for the forms that have separators.

use std::io::{self, Write};
use std::time::Duration;

use crate::obstacle::{Obstructed, Obstruction};
pub use crate::process::Pauses;
use crate::profile::{By, Profile};

pub mod branches;
pub mod chart;
pub mod composition;
pub mod cycles;
pub mod dump;
pub mod flamegraph;
pub mod folded;
pub mod graph;
pub mod heap;
pub mod heaviest;
pub mod hunt;
pub mod json;
pub mod labels;
pub mod phrases;
#[cfg(feature = "png")]
pub mod png;
pub mod preamble;
pub mod show;
pub mod sparkline;
pub mod speedscope;
pub mod summary;
pub mod tree;
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
    /// Collapsed stacks, one a line.
    Folded,
    /// A file for speedscope.
    Speedscope,
    /// leakspy's own JSON.
    Json,
}

impl Form {
    /// The usual ending of a file of this form, without the dot.
    pub fn extension(self) -> &'static str {
        match self {
            Form::Flamegraph => "svg",
            Form::Folded => "folded",
            Form::Speedscope => "speedscope.json",
            Form::Json => "json",
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
        }
    }
}

/// The choices a person has about how a profile looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// What widths and ranks are made of.
    pub by: By,
    /// How much of a file's path is shown.
    pub paths: Paths,
}

/// How much of a file's path is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Paths {
    /// Enough to recognise it; see [`labels::short`].
    #[default]
    Short,
    /// All of it.
    Full,
}

/// What a profile shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// Memory asked for while recording, freed since or not: an estimate from sampled allocations.
    Allocated,
    /// The objects that live at one moment, each on the path that holds it: exact. Against an earlier
    /// moment, if the heading has one.
    Live,
    /// Blocks that are alive, by the stacks that allocated them as tracemalloc knows them: exact. A
    /// weight's `objects` counts blocks.
    Traced,
    /// The stacks seen at the instants of sampling, without memory. A weight's `objects` counts
    /// samples, its `bytes` nothing.
    Stacks,
    /// What stacks have put where it piles up, during a hunt: growth that was measured, shared out among
    /// the stacks that were seen to insert.
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

    /// What is really weighed when a person asks for `by`: stack samples have no bytes.
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

/// Of what, when and how a profile was recorded.
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
    /// From how many samples.
    pub samples: u64,
    /// How long the target stood still for them.
    pub pauses: Pauses,
    /// The relative standard error of the estimated totals: 0.03 is 3 %. `None` where nothing is
    /// estimated.
    pub error: Option<f64>,
    /// The same as it was at the beginning, where the profile is of the end of that time.
    pub earlier: Option<Profile>,
}

/// An estimate as a whole number. What is more than nothing stays more than nothing.
fn whole(weight: f64) -> u64 {
    if weight > 0.0 { (weight.round() as u64).max(1) } else { 0 }
}

/// A time in the unit that suits it.
fn time(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    match seconds {
        ..1e-3 => format!("{:.0} µs", seconds * 1e6),
        ..1.0 => format!("{:.1} ms", seconds * 1e3),
        _ => format!("{seconds:.1} s"),
    }
}
