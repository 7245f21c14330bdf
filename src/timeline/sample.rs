//! A sample: the memory of a process at one moment. Its fields are the columns of the file.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The command of the sum over all processes, whose PID is 0.
pub(super) const ALL: &str = "(all)";

/// The memory of a process, or of all of them together, at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
pub struct Sample {
    /// When, in seconds since 1970.
    pub time_s: f64,
    /// The process; 0 for the sum over all.
    pub pid: i32,
    /// When it started, in clock ticks since boot: a PID may be reused.
    pub started_ticks: u64,
    /// The resident set.
    pub rss_bytes: u64,
    /// The anonymous memory in it.
    pub anonymous_bytes: Option<u64>,
    /// The pages of files in it.
    pub file_bytes: Option<u64>,
    /// The shared memory in it.
    pub shared_bytes: Option<u64>,
    /// Swapped-out memory.
    pub swap_bytes: Option<u64>,
    /// The proportional set, where it was read: each shared page is divided by the number of processes that
    /// share it.
    pub pss_bytes: Option<u64>,
    /// The unique set, where it was read: memory that would be freed if the process ended.
    pub uss_bytes: Option<u64>,
    /// The number of threads.
    pub threads: Option<u64>,
    /// The size of the arenas of Python's own allocator when last read: at most a second ago, or longer where
    /// a read is costly.
    pub arena_bytes: Option<u64>,
    /// The number of collections of the young generation.
    pub collections_0: Option<u64>,
    /// The same of the middle generation.
    pub collections_1: Option<u64>,
    /// The same of the old generation.
    pub collections_2: Option<u64>,
    /// The stack that ran when a jump was seen: functions with file and line, the outermost first.
    pub stack: Option<String>,
    /// The command line, shortened.
    pub command: Arc<str>,
}

/// The process that a sample is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Who {
    /// All processes together.
    All,
    /// One process: its PID, and when it started.
    Process(i32, u64),
}

/// A figure that can be followed over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Measure {
    /// The resident set.
    #[default]
    Rss,
    /// The proportional set.
    Pss,
    /// The unique set.
    Uss,
    /// Swapped-out memory.
    Swap,
    /// Anonymous memory.
    Anonymous,
    /// Pages of files.
    File,
    /// Shared memory.
    Shared,
    /// The arenas of Python's own allocator.
    Arenas,
}

impl Sample {
    /// The process that it is of.
    pub fn who(&self) -> Who {
        match (self.pid, self.started_ticks) {
            (0, 0) => Who::All,
            (pid, started) => Who::Process(pid, started),
        }
    }

    /// One of its figures, in bytes; `None` where it was not read.
    pub fn bytes(&self, measure: Measure) -> Option<u64> {
        match measure {
            Measure::Rss => Some(self.rss_bytes),
            Measure::Pss => self.pss_bytes,
            Measure::Uss => self.uss_bytes,
            Measure::Swap => self.swap_bytes,
            Measure::Anonymous => self.anonymous_bytes,
            Measure::File => self.file_bytes,
            Measure::Shared => self.shared_bytes,
            Measure::Arenas => self.arena_bytes,
        }
    }

    /// The sum of the samples of one moment. A figure that one of them lacks is lacking in the sum too.
    pub fn sum(samples: &[Sample]) -> Sample {
        let sum = |field: fn(&Sample) -> Option<u64>| {
            samples.iter().try_fold(0_u64, |sum, sample| Some(sum.saturating_add(field(sample)?)))
        };
        let arenas: Vec<u64> = samples.iter().filter_map(|sample| sample.arena_bytes).collect();
        Sample {
            time_s: samples.first().map(|sample| sample.time_s).unwrap_or_default(),
            rss_bytes: sum(|sample| Some(sample.rss_bytes)).unwrap_or_default(),
            anonymous_bytes: sum(|sample| sample.anonymous_bytes),
            file_bytes: sum(|sample| sample.file_bytes),
            shared_bytes: sum(|sample| sample.shared_bytes),
            swap_bytes: sum(|sample| sample.swap_bytes),
            pss_bytes: sum(|sample| sample.pss_bytes),
            uss_bytes: sum(|sample| sample.uss_bytes),
            threads: sum(|sample| sample.threads),
            // Not every process runs Python.
            arena_bytes: arenas.into_iter().reduce(u64::saturating_add),
            command: ALL.into(),
            ..Sample::default()
        }
    }
}

impl Measure {
    /// Its name for other programs.
    pub fn key(self) -> &'static str {
        match self {
            Measure::Rss => "rss",
            Measure::Pss => "pss",
            Measure::Uss => "uss",
            Measure::Swap => "swap",
            Measure::Anonymous => "anonymous",
            Measure::File => "file",
            Measure::Shared => "shared",
            Measure::Arenas => "arenas",
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Measure::Rss => "resident set (RSS)",
            Measure::Pss => "proportional set (PSS)",
            Measure::Uss => "unique set (USS)",
            Measure::Swap => "swapped out",
            Measure::Anonymous => "anonymous memory",
            Measure::File => "pages of files",
            Measure::Shared => "shared memory",
            Measure::Arenas => "arenas of Python's allocator",
        }
    }
}
