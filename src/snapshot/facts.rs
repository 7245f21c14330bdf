//! What a file says about its heap as a whole: a small JSON document.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::heap::{CaptureFacts, Inconsistencies, Owner};
use crate::python::objects::Disclosure;

/// Of which process and moment a snapshot is, and how it was taken.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// The version of the leakspy that wrote the file.
    pub leakspy: String,
    /// The name of the machine.
    pub host: String,
    /// The process.
    pub pid: i32,
    /// When it started, in clock ticks since boot: with the PID and the host, the identity of a process.
    pub started: u64,
    /// Its command line.
    pub command: String,
    /// The program that it runs.
    pub executable: String,
    /// The version of its interpreter.
    pub python: String,
    /// When it was captured: the time since 1970.
    pub time: Duration,
    /// What the monotonic clock said in the process then, if that is known.
    pub clock: Option<Duration>,
    /// How long it stood still.
    pub pause: Duration,
    /// How long it stood still in all, with the pauses that fell on a collection.
    pub paused: Duration,
    /// Bytes that were copied in the pause.
    pub copied: u64,
    /// Bytes of large buffers without objects, which were left out.
    pub left_out: u64,
    /// Its resident set, in bytes.
    pub rss: u64,
    /// Lists of the collector that do not close.
    pub open_lists: u64,
    /// References that lead to what is no object.
    pub dangling: u64,
    /// Objects that could not be read whole.
    pub unreadable: u64,
    /// How much is told of keys and values.
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

    /// Whose heap it is.
    pub fn owner(&self) -> Owner {
        let (command, python) = (self.command.clone(), self.python.clone());
        Owner { pid: self.pid, command, python }
    }

    /// How the capture was made.
    pub fn capture(&self) -> CaptureFacts {
        CaptureFacts {
            pause: self.pause,
            paused: self.paused,
            copied: self.copied,
            left_out: self.left_out,
            rss: self.rss,
        }
    }

    /// What did not fit together.
    pub fn inconsistencies(&self) -> Inconsistencies {
        let Facts { open_lists, dangling, unreadable, .. } = *self;
        Inconsistencies { open_lists, dangling, unreadable }
    }
}
