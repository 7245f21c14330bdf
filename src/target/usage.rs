//! How much memory a process has, as the kernel accounts for it.
//!
//! [`Usage`] is cheap: the kernel keeps these counts. [`Share`] makes the kernel look at every page of the
//! process, which takes the longer the larger it is.

use procfs::ProcError;

use super::process::{Process, ProcessError};

/// Bytes of the unit in `/proc/PID/status`.
const KIB: u64 = 1024;

/// What a process has in memory, from `/proc/PID/status`, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// The resident set (`VmRSS`): the sum of the next three.
    pub rss: u64,
    /// Anonymous memory (`RssAnon`).
    pub anonymous: u64,
    /// Pages of files (`RssFile`).
    pub file: u64,
    /// Shared memory and shared anonymous mappings (`RssShmem`).
    pub shared: u64,
    /// What is swapped out (`VmSwap`), shared memory not included.
    pub swap: u64,
    /// How many threads it has.
    pub threads: u64,
}

/// What part of that is a process's own, from `/proc/PID/smaps_rollup`, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Share {
    /// The proportional set: each page divided by the number of processes that map it.
    pub pss: u64,
    /// The unique set: pages that no other process maps. What would come back if it ended.
    pub uss: u64,
}

impl Process {
    /// How much memory it has. A process that has ended has none, waited for or not.
    pub fn usage(&self) -> Result<Usage, ProcessError> {
        let status = self.proc.status().map_err(|error| self.cannot_look(error))?;
        let bytes = |kib: Option<u64>| kib.unwrap_or_default().saturating_mul(KIB);
        match status.vmrss {
            // A zombie has no memory, nor has a process in the middle of its end.
            None => Err(ProcessError::Ended { pid: self.pid() }),
            rss => Ok(Usage {
                rss: bytes(rss),
                anonymous: bytes(status.rssanon),
                file: bytes(status.rssfile),
                shared: bytes(status.rssshmem),
                swap: bytes(status.vmswap),
                threads: status.threads,
            }),
        }
    }

    /// How much of its memory is its own.
    pub fn share(&self) -> Result<Share, ProcessError> {
        let rollup = self.proc.smaps_rollup().map_err(|error| self.cannot_look(error))?;
        let mut share = Share::default();
        for map in rollup.memory_map_rollup.iter() {
            for (name, &bytes) in &map.extension.map {
                match name.as_str() {
                    "Pss" => share.pss = share.pss.saturating_add(bytes),
                    "Private_Clean" | "Private_Dirty" | "Private_Hugetlb" => {
                        share.uss = share.uss.saturating_add(bytes);
                    }
                    _ => {}
                }
            }
        }
        Ok(share)
    }

    fn cannot_look(&self, error: ProcError) -> ProcessError {
        super::process::cannot_look(self.pid(), error)
    }
}
