//! The memory of a process as the kernel accounts for it.
//!
//! [`Usage`] is cheap: the kernel keeps these counts. [`Share`] makes the kernel visit every page of the
//! process, so its cost grows with the process.
//!
//! Both are parsed by hand: they are read many times a second, for many processes, and only six of the sixty
//! lines of `status` matter.

use std::io::Read;

use procfs::ProcError;
use serde::{Deserialize, Serialize};

use super::handle::{Process, ProcessError};

/// The unit of `/proc/PID/status` and `/proc/PID/smaps_rollup`, in bytes.
pub(super) const KIB: u64 = 1024;
/// A file in `/proc/PID` takes a page or less, unless its list of groups is very long.
const USUAL: usize = 4096;
const LONGEST: u64 = 1 << 20;

/// The memory of a process, from `/proc/PID/status`, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// The resident set (`VmRSS`): the sum of the next three.
    pub rss: u64,
    /// Anonymous memory (`RssAnon`).
    pub anonymous: u64,
    /// File pages (`RssFile`).
    pub file: u64,
    /// Shared memory and shared anonymous mappings (`RssShmem`).
    pub shared: u64,
    /// Swapped-out memory (`VmSwap`), shared memory not included.
    pub swap: u64,
    /// How many threads it has.
    pub threads: u64,
}

/// The process's own part of that, from `/proc/PID/smaps_rollup`, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Share {
    /// The proportional set: each page divided by the number of processes that map it.
    pub pss: u64,
    /// The unique set: pages that no other process maps. This is what its end would free.
    pub uss: u64,
}

impl Process {
    /// How much memory it has. A process that has ended has none, whether or not its parent has waited for
    /// it.
    pub fn usage(&self) -> Result<Usage, ProcessError> {
        // A zombie has no memory, and neither has a process that is just ending.
        usage(&self.text("status")?).ok_or(ProcessError::Ended { pid: self.pid() })
    }

    /// How much of its memory is its own.
    pub fn share(&self) -> Result<Share, ProcessError> {
        Ok(share(&self.text("smaps_rollup")?))
    }

    /// How much memory it shares that has been written to: that of its parent or children, and shared memory.
    pub(super) fn shared_dirty(&self) -> Result<u64, ProcessError> {
        self.mapped(b"Shared_Dirty")
    }

    /// How much memory that has been written to no other process maps. What a process shared with the one that
    /// forked it comes to it when it is copied. The clean part of private memory also grows when another process
    /// ends that mapped the same files.
    pub fn private_dirty(&self) -> Result<u64, ProcessError> {
        self.mapped(b"Private_Dirty")
    }

    fn mapped(&self, name: &[u8]) -> Result<u64, ProcessError> {
        let rollup = self.text("smaps_rollup")?;
        let line = lines(&rollup).find(|(known, _)| *known == name);
        Ok(line.map_or(0, |(_, number)| number.saturating_mul(KIB)))
    }

    /// The text of a file in its `/proc` directory, at most a mebibyte of it.
    pub(super) fn text(&self, file: &str) -> Result<Vec<u8>, ProcessError> {
        self.text_up_to(file, LONGEST)
    }

    /// All of it: a process with many mappings has a line for each.
    pub(super) fn whole_text(&self, file: &str) -> Result<Vec<u8>, ProcessError> {
        self.text_up_to(file, u64::MAX)
    }

    fn text_up_to(&self, file: &str, most: u64) -> Result<Vec<u8>, ProcessError> {
        let cannot = |error| super::handle::cannot_look(self.pid(), error);
        let file = self.proc.open_relative(file).map_err(cannot)?;
        let mut text = Vec::with_capacity(USUAL);
        let read = file.take(most).read_to_end(&mut text);
        read.map_err(|error| cannot(ProcError::from(error)))?;
        Ok(text)
    }
}

/// What `/proc/PID/status` says; `None` for a process without memory.
fn usage(status: &[u8]) -> Option<Usage> {
    let mut usage = Usage::default();
    let mut has_memory = false;
    for (name, number) in lines(status) {
        let bytes = number.saturating_mul(KIB);
        match name {
            b"VmRSS" => {
                usage.rss = bytes;
                has_memory = true;
            }
            b"RssAnon" => usage.anonymous = bytes,
            b"RssFile" => usage.file = bytes,
            b"RssShmem" => usage.shared = bytes,
            b"VmSwap" => usage.swap = bytes,
            b"Threads" => usage.threads = number,
            _ => {}
        }
    }
    has_memory.then_some(usage)
}

/// What `/proc/PID/smaps_rollup` says.
fn share(rollup: &[u8]) -> Share {
    let mut share = Share::default();
    for (name, number) in lines(rollup) {
        let bytes = number.saturating_mul(KIB);
        match name {
            b"Pss" => share.pss = bytes,
            b"Private_Clean" | b"Private_Dirty" | b"Private_Hugetlb" => {
                share.uss = share.uss.saturating_add(bytes);
            }
            _ => {}
        }
    }
    share
}

/// Lines that are a name, a colon and a number, with or without a unit.
fn lines(text: &[u8]) -> impl Iterator<Item = (&[u8], u64)> {
    text.split(|&byte| byte == b'\n').filter_map(figure)
}

/// A line of this form.
pub(super) fn figure(line: &[u8]) -> Option<(&[u8], u64)> {
    let colon = line.iter().position(|&byte| byte == b':')?;
    let (name, rest) = line.split_at_checked(colon)?;
    let rest = rest.get(1..)?.trim_ascii_start();
    let end = rest.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(rest.len());
    let number = std::str::from_utf8(rest.get(..end)?).ok()?.parse().ok()?;
    Some((name, number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_read() {
        let status = b"Name:\tVmRSS: 7 kB\nState:\tS (sleeping)\nVmHWM:\t   10000 kB\n\
            VmRSS:\t    9776 kB\nRssAnon:\t    4000 kB\nRssFile:\t    5700 kB\n\
            RssShmem:\t      76 kB\nVmSwap:\t       8 kB\nThreads:\t3\nSigQ:\t0/9\n";
        let expected = Usage {
            rss: 9776 * KIB,
            anonymous: 4000 * KIB,
            file: 5700 * KIB,
            shared: 76 * KIB,
            swap: 8 * KIB,
            threads: 3,
        };
        assert_eq!(usage(status), Some(expected));
        assert_eq!(usage(b"Name:\tpython3\nState:\tZ (zombie)\nThreads:\t1\n"), None);
        assert_eq!(usage(b""), None);
    }

    #[test]
    fn a_share_is_read() {
        let rollup = b"55d0a0000000-7ffd0000f000 ---p 00000000 00:00 0   [rollup]\n\
            Rss:                9776 kB\nPss:                6001 kB\nPss_Anon:           4000 kB\n\
            Shared_Clean:       5000 kB\nPrivate_Clean:       700 kB\nPrivate_Dirty:      4000 kB\n\
            Private_Hugetlb:    2048 kB\n";
        assert_eq!(share(rollup), Share { pss: 6001 * KIB, uss: 6748 * KIB });
    }
}
