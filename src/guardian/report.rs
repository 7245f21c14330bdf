//! The protocol between leakspy and a guardian: one line of JSON per message.
//!
//! leakspy sends one [`Request`]; the guardian answers with [`Report`]s until it has released its target.
//! Both are the same for every kind of [`Work`]. Each kind adds its arguments and what it sees, in raw form:
//! addresses, not names.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::budget::{Limits, Toll};
use super::traced_threads::TraceError;
use crate::process::Process;
use crate::process::breakpoint::Way;

/// The version of leakspy. The protocol may differ between two versions, so both sides must have the same.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// One kind of work for a guardian, with its arguments.
pub trait Work: Serialize + DeserializeOwned {
    /// Its name on the guardian's command line.
    const NAME: &'static str;
    /// What the guardian reports about the target.
    type Seen: Serialize + DeserializeOwned + Send + 'static;
}

/// What a guardian is to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request<W> {
    /// The [version](VERSION) of the requesting side.
    pub version: String,
    /// The process to trace.
    pub pid: i32,
    /// When that process started, in clock ticks since boot: another process that has got the same PID must
    /// not be touched.
    pub started: u64,
    /// How to set breakpoints; `None`: the first way that works.
    pub way: Option<Way>,
    /// How much the work may cost the target.
    pub limits: Limits,
    /// What to do.
    pub work: W,
}

impl<W: Work> Request<W> {
    /// A request to work on a process within the default [`Limits`].
    pub fn new(process: &Process, way: Option<Way>, work: W) -> Request<W> {
        let (pid, started) = (process.pid(), process.started());
        let (version, limits) = (VERSION.to_owned(), Limits::default());
        Request { version, pid, started, way, limits, work }
    }
}

/// What the guardian reports.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Report<T> {
    /// It has attached, and its work begins.
    Started {
        /// How breakpoints are set.
        way: Way,
    },
    /// It has seen something.
    Seen(T),
    /// What this has cost the target since the last such report.
    Cost(Toll),
    /// Nothing of the guardian is left in the target.
    Ended(End),
}

/// Why the guardian ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum End {
    /// It was asked to.
    Asked,
    /// The target ended.
    TargetEnded,
    /// The target replaced its program (`execve`).
    Replaced,
    /// Another process traces this thread.
    Traced {
        /// The thread.
        tid: i32,
        /// Its tracer.
        tracer: i32,
    },
    /// It may not trace this thread.
    Denied {
        /// The thread.
        tid: i32,
    },
    /// Hardware breakpoints are not available.
    NoBreakpoints {
        /// What the kernel said.
        why: String,
    },
    /// Something else went wrong.
    Failed {
        /// What.
        why: String,
    },
}

impl End {
    /// An error without a variant of its own.
    pub fn failed(error: impl std::fmt::Display) -> End {
        End::Failed { why: error.to_string() }
    }
}

impl From<TraceError> for End {
    fn from(error: TraceError) -> End {
        match error {
            TraceError::Ended => End::TargetEnded,
            TraceError::Replaced => End::Replaced,
            TraceError::Traced { tid, tracer } => End::Traced { tid, tracer },
            TraceError::Denied { tid } => End::Denied { tid },
            TraceError::Failed { why } => End::Failed { why },
        }
    }
}
