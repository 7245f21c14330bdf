//! The findings of a hunt. Their serialized form is an interface (docs/json.md).

use serde::{Deserialize, Serialize};

use crate::python::Frame;

/// How memory is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LeakKind {
    /// One object holds ever more.
    Container,
    /// Many objects below one hold a little more each.
    Spread,
    /// Each object holds the next.
    Chain,
    /// Nobody holds them, and no collection frees them.
    Garbage,
    /// More references are counted than there are.
    Refcount,
    /// Coroutines, generators or tasks that wait for ever.
    Tasks,
    /// Threads that do not end.
    Threads,
    /// Memory that no Python object explains.
    Native,
}

/// What holds the objects that pile up.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Holder {
    /// The full path from a root: `module app › SERVER › .sessions`.
    pub path: String,
    /// The same as a Python programmer would write it, as far as that can be: `app.SERVER.sessions`.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its address; `None` if it is no object.
    pub address: Option<u64>,
}

/// A stack that puts objects there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Feeder {
    /// Its share of all that were seen, from 0 to 1.
    pub share: f64,
    /// How often it was seen.
    pub hits: u64,
    /// The stack, innermost frame first.
    pub stack: Vec<Frame>,
    /// The innermost frame that is neither of the standard library nor of an installed package.
    pub own_frame: Option<Frame>,
}

/// A leak.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// How memory is lost.
    pub kind: LeakKind,
    /// The type of what piles up.
    #[serde(rename = "type")]
    pub grown: String,
    /// What holds it.
    pub holder: Holder,
    /// Paths of other objects that grow with the same things in them.
    pub also: Vec<String>,
    /// How many more of that type there are each second.
    pub objects_per_s: f64,
    /// How many more bytes they retain each second.
    pub bytes_per_s: f64,
    /// What one of them retains, in bytes, on average.
    pub bytes_per_object: f64,
    /// One minus the chance that a quantity that goes up and down at random would have grown so
    /// consistently.
    pub confidence: f64,
    /// What kind of mistake this is likely to be.
    pub hint: String,
    /// Who feeds it, the most frequent stack first.
    pub feeders: Vec<Feeder>,
}
