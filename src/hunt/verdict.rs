//! The verdict of a hunt. Its serialized form is an interface (docs/json.md).

use serde::{Deserialize, Serialize};

use super::finding::Finding;

/// For how long the target stood still, in seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Standstill {
    /// At a stretch, at most.
    pub max: f64,
    /// In all.
    pub total: f64,
}

/// What leaks in a process, or that nothing does.
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
    /// How often its heap was looked at.
    pub captures: u32,
    /// Whether the hunt went on to its end. The target may end before, or the person may not wait.
    pub complete: bool,
    /// For how long it stood still.
    pub pause_s: Standstill,
    /// The objects of its heap at last.
    pub objects: u64,
    /// The bytes that go with them.
    pub bytes: u64,
    /// Its resident set at last, in bytes.
    pub rss_bytes: u64,
    /// By how much that grew each second, on average.
    pub rss_bytes_per_s: f64,
    /// The leaks, the fastest first.
    pub findings: Vec<Finding>,
}
