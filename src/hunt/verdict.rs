//! The verdict of a hunt. Its serialized form is an interface (docs/json.md).

use serde::{Deserialize, Serialize};

use super::finding::Finding;

/// How long the target stood still, in seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Standstill {
    /// The longest pause.
    pub max: f64,
    /// All pauses together.
    pub total: f64,
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
    /// The leaks, the fastest first.
    pub findings: Vec<Finding>,
}
