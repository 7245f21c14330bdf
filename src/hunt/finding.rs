//! The findings of a hunt. Their serialized form is an interface (docs/json.md).

use serde::{Deserialize, Serialize};

use crate::python::Frame;

/// How memory is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LeakKind {
    /// One object holds ever more.
    Container,
    /// Many objects below one object each hold a little more.
    Spread,
    /// Each object holds the next.
    Chain,
    /// Nothing holds the objects, and no collection frees them.
    Garbage,
    /// Nothing holds them, and no collection can free them: an object of their cycle does not show the collector
    /// all of its references.
    Uncollectable,
    /// The reference count is higher than the number of references.
    Refcount,
    /// Coroutines, generators or tasks that wait for ever.
    Tasks,
    /// Threads that do not end.
    Threads,
    /// Memory that no Python object explains.
    Native,
    /// Free memory that an allocator cannot use again or give back.
    Holes,
    /// Mapped memory that comes from no allocator that is known.
    Mappings,
    /// Pages that were shared with another process and are no longer.
    Copied,
}

impl LeakKind {
    /// Whether its feeders are found by following calls that return memory: they come from counted blocks.
    pub fn is_of_blocks(self) -> bool {
        matches!(self, LeakKind::Native | LeakKind::Holes | LeakKind::Mappings)
    }
}

/// What holds the objects that pile up.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Holder {
    /// The full path from a root: `module app › SERVER › .sessions`.
    pub path: String,
    /// The same as a Python programmer would write it, as far as that is possible: `app.SERVER.sessions`.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its address; `None` if it is not an object.
    pub address: Option<u64>,
}

/// A stack that adds objects to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Feeder {
    /// Its share of all growth seen, from 0 to 1.
    pub share: f64,
    /// How often it was seen.
    pub hits: u64,
    /// The stack, innermost frame first.
    pub stack: Vec<Frame>,
    /// The innermost frame that belongs neither to the standard library nor to an installed package.
    pub own_frame: Option<Frame>,
}

/// A growth that has, or approaches, a limit: a cache that is being filled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Filling {
    /// What grows, and by which code.
    pub growth: Finding,
    /// The limit that was read; `None` if only a falling pace, or the age of the items, shows that there is one.
    pub limit: Option<Limit>,
    /// The seconds until it is full at the present pace, or has nearly levelled off.
    pub full_in_s: f64,
    /// The bytes that it will have grown by then: an estimate.
    pub bytes_to_come: f64,
}

/// A growth of which it is not known whether it is a leak: there is code on the way that removes, but it was not
/// seen to; or its pace falls, as that of a cache does, and as that of a leak does when there is less to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Undecided {
    /// What grows, and by which code.
    pub growth: Finding,
    /// A duration of the hunt that would tell, in seconds.
    pub tells_in_s: f64,
    /// Whether its pace falls.
    #[serde(default)]
    pub slows: bool,
}

/// Code that removes from a collection.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Removal {
    /// The function and the line.
    pub place: Frame,
    /// What it does there: the method that it calls, `del`, or an assignment.
    pub call: String,
    /// From when on, if the code says so.
    pub until: Option<Until>,
}

/// From when on code removes from a collection, as read from the code: likely, and not certain.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Until {
    /// From this number of items on.
    Items(u64),
    /// From this age of its items on, in seconds.
    AgeS(f64),
}

/// The limit of a collection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit {
    /// The most items that it will hold.
    pub items: u64,
    /// The field or attribute that says so.
    pub name: String,
    /// Whether the limit is certain, not guessed from the name.
    pub is_certain: bool,
}

/// A leak.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// How memory is lost.
    pub kind: LeakKind,
    /// The type of the objects that pile up.
    #[serde(rename = "type")]
    pub grown: String,
    /// If these are functions, coroutines or tasks: the function that most of them are or run, at its
    /// definition.
    pub function: Option<Frame>,
    /// The holder.
    pub holder: Holder,
    /// Paths of other objects that grow with the same contents.
    pub also: Vec<String>,
    /// The growth in objects of that type, per second.
    pub objects_per_s: f64,
    /// The growth in bytes that they retain, per second.
    pub bytes_per_s: f64,
    /// The average retained size of one of them, in bytes.
    pub bytes_per_object: f64,
    /// One minus the chance that something that does not grow, and scatters as this does, would have risen as
    /// steeply in the same time.
    pub confidence: f64,
    /// The mistake that this is likely to be.
    pub hint: String,
    /// The stacks that feed it, first those of the line of the program that feeds most.
    pub feeders: Vec<Feeder>,
    /// Why there are none.
    pub unseen: Option<Unseen>,
    /// Code on the way that removes from it: in a function that feeds it or runs now, or in one that they call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removal: Option<Removal>,
    /// What was put in and taken out while it was watched; `None` if its size was not watched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traffic: Option<Traffic>,
    /// In a verdict on several processes: those that leak in this way, the fastest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub processes: Vec<Leaking>,
    /// The same in another run, of another process, after an edit ([`super::fingerprint`]).
    #[serde(default)]
    pub fingerprint: String,
    /// If there is a list of known leaks: whether this is one of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known: Option<bool>,
}

impl Finding {
    /// Something that grows there in this way; how fast, and how certain that is, is still to be told.
    pub fn new(kind: LeakKind, grown: impl Into<String>, holder: Holder) -> Finding {
        Finding {
            kind,
            grown: grown.into(),
            function: None,
            holder,
            also: Vec::new(),
            objects_per_s: 0.0,
            bytes_per_s: 0.0,
            bytes_per_object: 0.0,
            confidence: 0.0,
            hint: String::new(),
            feeders: Vec::new(),
            unseen: None,
            removal: None,
            traffic: None,
            processes: Vec::new(),
            fingerprint: String::new(),
            known: None,
        }
    }

    /// All frames in it.
    pub fn frames_mut(&mut self) -> impl Iterator<Item = &mut Frame> {
        let feeders = self.feeders.iter_mut();
        let of_feeders = feeders.flat_map(|it| it.stack.iter_mut().chain(&mut it.own_frame));
        let removal = self.removal.iter_mut().map(|it| &mut it.place);
        self.function.iter_mut().chain(of_feeders).chain(removal)
    }
}

/// What was put into a collection and taken out of it, as far as it was seen: one that grows fast is watched for
/// short turns only.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    /// The items put in.
    pub put_in: u64,
    /// The items taken out.
    pub taken_out: u64,
}

/// Why nobody was seen to feed a leak.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Unseen {
    /// The reason.
    pub reason: Reason,
    /// For how long insertions were watched, in seconds.
    pub watched_s: f64,
}

impl Unseen {
    /// It was never watched.
    pub(crate) fn not_watched() -> Unseen {
        Unseen { reason: Reason::NotWatched, watched_s: 0.0 }
    }
}

/// The reason why nobody was seen to feed a leak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Nothing was inserted in that time.
    TooFew,
    /// No word in memory changes when it grows; of native memory: the allocator is not glibc's.
    NoCounter,
    /// No breakpoints could be set.
    NoBreakpoints,
    /// Another object took its place.
    Replaced,
    /// The hunt ended before it could be watched.
    NotWatched,
    /// The process ended while it was watched, or before.
    Ended,
    /// Snapshot files were compared, in which nothing happens.
    Files,
}

/// One of several processes that leak in the same way.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Leaking {
    /// The process.
    pub pid: i32,
    /// The address of the holder in it; `None` if it is not an object.
    pub address: Option<u64>,
    /// As for the finding.
    pub objects_per_s: f64,
    /// As for the finding.
    pub bytes_per_s: f64,
}
