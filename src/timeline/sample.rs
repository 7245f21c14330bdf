//! A sample: the memory of a process at one moment. Its fields are the columns of the file.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The command of the sum over all processes, whose PID is 0.
pub(super) const ALL: &str = "(all)";

/// What a process, or all of them together, had in memory at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
pub struct Sample {
    /// When, in seconds since 1970.
    pub time_s: f64,
    /// The process; 0 for the sum over all.
    pub pid: i32,
    /// When it started, in clock ticks since boot: two processes can have the same PID, one after the
    /// other.
    pub started_ticks: u64,
    /// The resident set.
    pub rss_bytes: u64,
    /// What of it is anonymous.
    pub anonymous_bytes: Option<u64>,
    /// What of it is pages of files.
    pub file_bytes: Option<u64>,
    /// What of it is shared memory.
    pub shared_bytes: Option<u64>,
    /// What is swapped out.
    pub swap_bytes: Option<u64>,
    /// The proportional set, where it was looked at: pages shared with others are divided by their number.
    pub pss_bytes: Option<u64>,
    /// The unique set, likewise: what would come back if the process ended.
    pub uss_bytes: Option<u64>,
    /// How many threads there are.
    pub threads: Option<u64>,
    /// What the arenas of Python's own allocator took when they were last looked at, a second ago at most
    /// or, where that costs much, a while.
    pub arena_bytes: Option<u64>,
    /// How many collections of the young generation there have been.
    pub collections_0: Option<u64>,
    /// Of the middle generation.
    pub collections_1: Option<u64>,
    /// Of the old generation.
    pub collections_2: Option<u64>,
    /// What ran when a jump was seen: functions with file and line, the outermost first.
    pub stack: Option<String>,
    /// The command line, shortened.
    pub command: Arc<str>,
}

/// Whose sample it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Who {
    /// All processes together.
    All,
    /// One process: its PID, and when it started.
    Process(i32, u64),
}

/// What can be looked at over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Measure {
    /// The resident set.
    #[default]
    Rss,
    /// The proportional set.
    Pss,
    /// The unique set.
    Uss,
    /// What is swapped out.
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
    /// Whose it is.
    pub fn who(&self) -> Who {
        match (self.pid, self.started_ticks) {
            (0, 0) => Who::All,
            (pid, started) => Who::Process(pid, started),
        }
    }

    /// One figure of it, in bytes; `None` where it was not looked at.
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

    /// The sum of samples of one moment. What one of them lacks, the sum lacks too.
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
            // Not every process is a Python.
            arena_bytes: arenas.into_iter().reduce(u64::saturating_add),
            command: ALL.into(),
            ..Sample::default()
        }
    }
}

impl Measure {
    /// What it is called.
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
