//! The pages of a process that are resident at the moment of a capture.
//!
//! The kernel's own account per mapping (`smaps`) is exact, and adds up to the resident set; the page map
//! tells the pages. They differ in one respect: an anonymous page that was only read maps to the shared zero
//! page and does not count as resident. The page map does not identify the zero page, but flags it neither as
//! exclusive to this process nor as a file's.

use std::fs;
use std::io;
use std::ops::Range;

use crate::memory::PAGE;
use crate::process::maps::{Described, parse_described};
use crate::process::{Core, Mapping, PageMap, PageState, Process, Share, Target};

/// The lines of `smaps` for pages that no other process maps. (Huge pages of hugetlbfs are not in `Rss` either.)
const PRIVATE: [&str; 2] = ["Private_Clean", "Private_Dirty"];

/// The kernel's account, copied in a pause and not parsed.
#[derive(Debug, Default)]
pub struct RawResidency {
    smaps: Vec<u8>,
    pages: Vec<Range<u64>>,
    doubtful: Vec<Range<u64>>,
}

/// The mappings of a process and how much of each is in memory.
#[derive(Debug, Default)]
pub struct Residency {
    /// In order of address.
    pub mappings: Vec<Resident>,
    /// How much of it is the process's own.
    pub share: Share,
    pages: Vec<Range<u64>>,
    doubtful: Vec<Range<u64>>,
}

/// A mapping, and how much of it is in memory.
#[derive(Debug, Clone, PartialEq)]
pub struct Resident {
    /// The mapping.
    pub mapping: Mapping,
    /// The kernel's name for it in brackets, such as `stack`; empty for others.
    pub special: String,
    /// Bytes in memory.
    pub bytes: u64,
    /// The part of the doubtful pages that counts.
    doubtful: f64,
}

impl RawResidency {
    /// Copies the kernel's account of a process.
    pub fn read(process: &Process) -> io::Result<RawResidency> {
        let mut raw = RawResidency::default();
        let pages = PageMap::open(process.pid())?;
        let maps = process.maps().map_err(io::Error::other)?;
        for mapping in maps.iter().filter(|mapping| mapping.inode == 0 && mapping.writable) {
            pages.each(mapping.start..mapping.end, |page, state| match state {
                PageState::Absent => {}
                PageState::Own => add(&mut raw.pages, page),
                PageState::Doubtful => add(&mut raw.doubtful, page),
            })?;
        }
        raw.smaps = fs::read(format!("/proc/{}/smaps", process.pid()))?;
        Ok(raw)
    }

    /// Parses it.
    pub fn parse(self) -> Residency {
        let mut mappings = Vec::new();
        let mut share = Share::default();
        for Described { mapping, special, figures } in parse_described(&self.smaps) {
            let figure = |name: &str| {
                let named = |(own, _): &&(Vec<u8>, u64)| own == name.as_bytes();
                figures.iter().find(named).map_or(0, |(_, bytes)| *bytes)
            };
            let bytes: u64 = figure("Rss");
            share.pss = share.pss.saturating_add(figure("Pss"));
            for name in PRIVATE {
                share.uss = share.uss.saturating_add(figure(name));
            }
            let range = mapping.start..mapping.end;
            let [own, doubtful] = [&self.pages, &self.doubtful].map(|runs| within(runs, &range));
            let counted = match doubtful {
                0 => 0.0,
                some => bytes.saturating_sub(own) as f64 / some as f64,
            };
            mappings.push(Resident { mapping, special, bytes, doubtful: counted.min(1.0) });
        }
        mappings.sort_by_key(|resident| resident.mapping.start);
        Residency { mappings, share, pages: self.pages, doubtful: self.doubtful }
    }
}

impl Residency {
    /// These mappings, without what is in memory of them.
    pub fn of_mappings(mut maps: Vec<Mapping>) -> Residency {
        maps.sort_by_key(|mapping| mapping.start);
        let resident =
            |mapping| Resident { mapping, special: String::new(), bytes: 0, doubtful: 0.0 };
        Residency { mappings: maps.into_iter().map(resident).collect(), ..Residency::default() }
    }

    /// What a core file has of each mapping. Of anonymous memory pages of zeros do not count: most were never
    /// written.
    pub fn of_core(core: &Core) -> Residency {
        let mut residency = Residency::default();
        for mapping in core.maps().unwrap_or_default() {
            let mut bytes = 0;
            for (range, offset) in core.kept(mapping.start..mapping.end) {
                let kept = offset as usize..(offset + (range.end - range.start)) as usize;
                let kept = core.bytes().get(kept).unwrap_or_default();
                let pages = (range.start..).step_by(PAGE as usize).zip(kept.chunks(PAGE as usize));
                for (start, page) in pages {
                    if mapping.inode != 0 {
                        bytes += page.len() as u64;
                    } else if page.iter().any(|&byte| byte != 0) {
                        bytes += page.len() as u64;
                        add(&mut residency.pages, start..start + page.len() as u64);
                    }
                }
            }
            let special = core.special(&mapping).to_owned();
            residency.mappings.push(Resident { mapping, special, bytes, doubtful: 0.0 });
        }
        let all = residency.total();
        residency.share = Share { pss: all, uss: all };
        residency
    }

    /// The resident set, in bytes.
    pub fn total(&self) -> u64 {
        self.mappings.iter().map(|resident| resident.bytes).sum()
    }

    /// How many bytes of anonymous memory in this range are in memory.
    pub fn bytes(&self, range: &Range<u64>) -> u64 {
        let own = within(&self.pages, range);
        let doubtful = within(&self.doubtful, range);
        if doubtful == 0 {
            return own;
        }
        let part = self.mapping_at(range.start).map_or(0.0, |resident| resident.doubtful);
        own.saturating_add((doubtful as f64 * part) as u64)
    }

    /// The mapping that contains an address.
    pub fn mapping_at(&self, address: u64) -> Option<&Resident> {
        let after = self.mappings.partition_point(|resident| resident.mapping.start <= address);
        let resident = self.mappings.get(after.checked_sub(1)?)?;
        resident.mapping.contains(address).then_some(resident)
    }
}

/// Adds a page to runs of pages.
fn add(runs: &mut Vec<Range<u64>>, page: Range<u64>) {
    match runs.last_mut() {
        Some(last) if last.end == page.start => last.end = page.end,
        _ => runs.push(page),
    }
}

/// The bytes of these runs, which are in order, within a range.
fn within(runs: &[Range<u64>], range: &Range<u64>) -> u64 {
    let first = runs.partition_point(|run| run.end <= range.start);
    let here = runs.iter().skip(first).take_while(|run| run.start < range.end);
    here.map(|run| run.end.min(range.end).saturating_sub(run.start.max(range.start))).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_runs_count() {
        let runs = [0x1000..0x3000, 0x5000..0x6000];
        assert_eq!(within(&runs, &(0..0x10000)), 0x3000);
        assert_eq!(within(&runs, &(0x1800..0x5010)), 0x1810);
        assert_eq!(within(&runs, &(0x3000..0x5000)), 0);
    }
}
