//! The request to the guardian that watches growth counters, and its reports.

use serde::{Deserialize, Serialize};

use super::growth_counters::Word;
use crate::guardian::report::Work;
use crate::python::RawFrame;

/// The request to watch words.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Watch {
    /// The words.
    pub words: Vec<Word>,
}

impl Work for Watch {
    const NAME: &'static str = "watch";
    type Seen = Hits;
}

/// The growths seen since the last report.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Hits {
    /// The hits, in order.
    pub hits: Vec<Hit>,
    /// Items taken out: the word, by its index in the request, and how many.
    pub removed: Vec<(usize, u64)>,
    /// Words whose object no longer exists, by their index in the request. They are no longer watched.
    pub gone: Vec<usize>,
}

/// One growth.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hit {
    /// The word that grew, by its index in the request.
    pub word: usize,
    /// Its value before.
    pub before: u64,
    /// Its value after.
    pub after: u64,
    /// The new instance, if the word counts instances.
    pub instance: Option<Instance>,
    /// The Python stack, innermost first.
    pub frames: Vec<RawFrame>,
    /// Whether the stack is complete to its outermost frame.
    pub complete: bool,
}

/// A new instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// Its address.
    pub address: u64,
    /// Whether it was still there a little later, as far as leakspy can tell: another instance may have taken
    /// its place unseen, while its class was not watched.
    pub is_there: bool,
}
