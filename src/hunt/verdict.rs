//! The verdict of a hunt. Its serialized form is an interface (docs/json.md).

use serde::{Deserialize, Serialize};

use super::accounts::{Rates, Unexplained};
use super::finding::{Filling, Finding, Undecided};
use crate::python::Frame;

/// How long the target stood still, in seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Standstill {
    /// The longest pause.
    pub max: f64,
    /// All pauses together.
    pub total: f64,
}

/// A garbage collection that does not finish, because a finalizer that it called does not return. Meanwhile no
/// reference cycle is freed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BlockedCollector {
    /// For how long the same collection was seen running, at least, in seconds.
    pub for_s: f64,
    /// The stack of the thread that collects, innermost frame first; empty if it is not known which that is.
    pub stack: Vec<Frame>,
}

/// What snapshot files do not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Missing {
    /// Which code feeds a leak.
    Feeders,
    /// The limits of caches, and code that removes from them: one that is filling may be taken for a leak.
    Limits,
    /// The states of objects, from which the likely mistake follows.
    States,
    /// Values, by which objects at the same address are told apart.
    Values,
    /// What malloc's blocks are used for: native leaks are not found.
    Native,
}

/// A process that should have been hunted as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// The process.
    pub pid: i32,
    /// Why there is no verdict on it.
    pub reason: WhyLeftOut,
}

/// Why there is no verdict on a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WhyLeftOut {
    /// It ended before its heap had been captured three times.
    Ended,
    /// It started when too little time was left.
    Late,
    /// As many processes as possible were already hunted.
    Many,
    /// It could not be observed.
    Failed,
}

impl Verdict {
    /// All frames in it.
    pub fn frames_mut(&mut self) -> impl Iterator<Item = &mut Frame> {
        let filling = self.filling.iter_mut().map(|it| &mut it.growth);
        let undecided = self.undecided.iter_mut().map(|it| &mut it.growth);
        let growths = self.findings.iter_mut().chain(filling).chain(undecided);
        let blocked = self.blocked_collector.iter_mut().flat_map(|it| &mut it.stack);
        growths.flat_map(Finding::frames_mut).chain(blocked)
    }
}

/// The leaks of a process, if any.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// The process.
    pub pid: i32,
    /// Its command line.
    pub command: String,
    /// The version of its interpreter.
    pub python: String,
    /// How long it was watched, in seconds.
    pub duration_s: f64,
    /// The steps of a test that it did meanwhile, if these were counted: growth "per second" is per step then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<u32>,
    /// How often its heap was captured.
    pub captures: u32,
    /// Whether the hunt ran to its end. The target may have ended, or the user stopped it, before.
    pub complete: bool,
    /// How long it stood still.
    pub pause_s: Standstill,
    /// The objects in its heap at the end.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Its resident set at the end, in bytes.
    pub rss_bytes: u64,
    /// The average growth of the resident set in bytes a second.
    pub rss_bytes_per_s: f64,
    /// What keeps the garbage collector from finishing, if it did not finish during the hunt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocked_collector: Option<BlockedCollector>,
    /// The leaks, the one to look at first in front: by size, but a cause before its traces.
    pub findings: Vec<Finding>,
    /// Collections that grow towards a limit, and are no leaks.
    #[serde(default)]
    pub filling: Vec<Filling>,
    /// Growth of which it is not known whether it is a leak.
    #[serde(default)]
    pub undecided: Vec<Undecided>,
    /// What could not be asked, because only snapshot files were compared.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<Missing>,
    /// Where the resident set grew, if it was divided up: it is where it grows by more than its objects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub growth: Option<Rates>,
    /// A growth without a known cause.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unexplained: Option<Unexplained>,
}
