//! The facts that a file states about its heap as a whole: a small JSON document.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::heap::{CaptureFacts, Inconsistencies, Owner};
use crate::python::objects::Disclosure;

/// Which process and moment a snapshot is from, and how it was taken.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// The version of the leakspy that wrote the file.
    pub leakspy: String,
    /// The name of the machine.
    pub host: String,
    /// The process.
    pub pid: i32,
    /// When it started, in clock ticks since boot; together with the PID and the host this identifies a
    /// process.
    pub started: u64,
    /// Its command line.
    pub command: String,
    /// The program that it runs.
    pub executable: String,
    /// The version of its interpreter.
    pub python: String,
    /// When it was captured: the time since 1970.
    pub time: Duration,
    /// The time on the process's monotonic clock at that moment, if known.
    pub clock: Option<Duration>,
    /// How long it was paused for the copy.
    pub pause: Duration,
    /// How long it was paused in all, including pauses given up because a collection was running.
    pub paused: Duration,
    /// Bytes that were copied in the pause.
    pub copied: u64,
    /// Bytes of large buffers without objects, which were left out.
    pub left_out: u64,
    /// Its resident set, in bytes.
    pub rss: u64,
    /// Lists of the collector that do not close.
    pub open_lists: u64,
    /// References that do not lead to an object.
    pub dangling: u64,
    /// Objects that could not be read completely.
    pub unreadable: u64,
    /// How much of keys and values the file has.
    pub disclosure: Told,
}

/// [`Disclosure`] in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Told {
    /// No key of a dict, and no value.
    Names,
    /// Keys that may be names, no value.
    Keys,
    /// All keys and values, shortened.
    Values,
}

impl From<Disclosure> for Told {
    fn from(disclosure: Disclosure) -> Told {
        match disclosure {
            Disclosure::Names => Told::Names,
            Disclosure::Keys => Told::Keys,
            Disclosure::Values => Told::Values,
        }
    }
}

impl From<Told> for Disclosure {
    fn from(told: Told) -> Disclosure {
        match told {
            Told::Names => Disclosure::Names,
            Told::Keys => Disclosure::Keys,
            Told::Values => Disclosure::Values,
        }
    }
}

impl Facts {
    /// When it was captured.
    pub fn time(&self) -> SystemTime {
        UNIX_EPOCH.checked_add(self.time).unwrap_or(UNIX_EPOCH)
    }

    /// The process that the heap belongs to.
    pub fn owner(&self) -> Owner {
        let (command, python) = (self.command.clone(), self.python.clone());
        Owner { pid: self.pid, command, python }
    }

    /// How the capture was taken.
    pub fn capture(&self) -> CaptureFacts {
        CaptureFacts {
            pause: self.pause,
            paused: self.paused,
            copied: self.copied,
            left_out: self.left_out,
            rss: self.rss,
            collecting: false,
        }
    }

    /// The inconsistencies of the capture.
    pub fn inconsistencies(&self) -> Inconsistencies {
        let Facts { open_lists, dangling, unreadable, .. } = *self;
        Inconsistencies { open_lists, dangling, unreadable }
    }
}
