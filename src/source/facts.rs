//! What a snapshot file states about the heap that is about to be written.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::Identity;
use crate::heap::Analysis;
use crate::python::objects::Disclosure;
use crate::snapshot::Facts;

/// The facts about a heap of this process on a host, captured at this time; the process's monotonic clock showed `clock`.
pub fn facts(
    identity: &Identity,
    host: String,
    heap: &Analysis<'_>,
    time: SystemTime,
    clock: Option<Duration>,
    disclosure: Disclosure,
) -> Facts {
    let capture = heap.facts;
    let found = heap.graph.inconsistencies();
    Facts {
        leakspy: env!("CARGO_PKG_VERSION").to_owned(),
        host,
        pid: identity.pid,
        started: identity.started,
        command: identity.command.clone(),
        executable: identity.executable.clone(),
        python: identity.version.to_string(),
        time: time.duration_since(UNIX_EPOCH).unwrap_or_default(),
        clock,
        pause: capture.pause,
        paused: capture.paused,
        copied: capture.copied,
        left_out: capture.left_out,
        rss: capture.rss,
        open_lists: found.open_lists,
        dangling: found.dangling,
        unreadable: found.unreadable,
        disclosure: disclosure.into(),
    }
}
