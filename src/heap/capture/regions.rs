//! The memory of a process that can hold Python objects.
//!
//! Objects are written to (their reference counts at least), so they are in private writable memory: in
//! anonymous mappings (pymalloc's arenas, malloc's heaps and large blocks, stacks) or in the data of an
//! executable file (static types, small integers). A private writable mapping of any other file holds the
//! program's own data.

use std::collections::HashSet;
use std::ops::Range;

use crate::process::{Image, Mapping};

/// Memory that can hold objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Region {
    /// Its addresses; whole pages.
    pub range: Range<u64>,
    /// Whether pages of it that were never touched read as zeros.
    pub anonymous: bool,
    /// Whether it is the heap that `brk` grows.
    pub brk: bool,
}

impl Region {
    /// Its length in bytes.
    pub fn length(&self) -> u64 {
        self.range.end.saturating_sub(self.range.start)
    }

    /// A part of it.
    pub fn part(&self, range: Range<u64>) -> Region {
        Region { range, ..*self }
    }
}

/// The regions of these mappings, in order of address. Neighbours of the same kind are merged.
pub fn regions(maps: &[Mapping]) -> Vec<Region> {
    let programs = programs(maps);
    let mut regions: Vec<Region> = Vec::new();
    for mapping in maps {
        let anonymous = mapping.inode == 0;
        let holds = mapping.readable
            && mapping.writable
            && !mapping.shared
            && (anonymous || programs.contains(&(mapping.device, mapping.inode)));
        if !holds || mapping.start >= mapping.end {
            continue;
        }
        match regions.last_mut() {
            Some(last)
                if last.range.end == mapping.start
                    && (last.anonymous, last.brk) == (anonymous, mapping.brk) =>
            {
                last.range.end = mapping.end;
            }
            _ => {
                let range = mapping.start..mapping.end;
                regions.push(Region { range, anonymous, brk: mapping.brk });
            }
        }
    }
    regions
}

/// The memory that comes with the program's files, in order of address: their writable data. The memory after
/// it that is theirs as well (`.bss`) is known for the interpreter only.
pub fn program_data(maps: &[Mapping], interpreter: &Image) -> Vec<Range<u64>> {
    let programs = programs(maps);
    let files = maps.iter().filter(|mapping| {
        let of_program = programs.contains(&(mapping.device, mapping.inode));
        mapping.writable && !mapping.shared && of_program
    });
    let segments = interpreter.segments().iter().filter(|segment| segment.writable);
    let segments = segments.map(|part| part.address..part.address.saturating_add(part.size));
    let mut data: Vec<_> = files.map(|file| file.start..file.end).chain(segments).collect();
    data.sort_unstable_by_key(|range| range.start);
    data.dedup_by(|next, last| {
        let overlap = next.start <= last.end;
        if overlap {
            last.end = last.end.max(next.end);
        }
        overlap
    });
    data
}

/// The files that have code, by device and inode.
fn programs(maps: &[Mapping]) -> HashSet<((u32, u32), u64)> {
    maps.iter()
        .filter(|mapping| mapping.executable && mapping.inode != 0)
        .map(|mapping| (mapping.device, mapping.inode))
        .collect()
}

/// The regions without these ranges, which are in order and do not overlap.
pub fn without(regions: Vec<Region>, ranges: &[Range<u64>]) -> Vec<Region> {
    let mut rest = Vec::with_capacity(regions.len() + ranges.len());
    for region in regions {
        let mut start = region.range.start;
        let first = ranges.partition_point(|range| range.end <= start);
        for range in ranges.iter().skip(first) {
            if range.start >= region.range.end {
                break;
            }
            if range.start > start {
                rest.push(region.part(start..range.start));
            }
            start = range.end;
        }
        if start < region.range.end {
            rest.push(region.part(start..region.range.end));
        }
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping(start: u64, end: u64, inode: u64, flags: &str) -> Mapping {
        Mapping {
            start,
            end,
            offset: 0,
            inode,
            device: (8, 1),
            readable: flags.contains('r'),
            writable: flags.contains('w'),
            executable: flags.contains('x'),
            shared: flags.contains('s'),
            brk: false,
            path: None,
        }
    }

    fn region(range: Range<u64>, anonymous: bool) -> Region {
        Region { range, anonymous, brk: false }
    }

    #[test]
    fn private_writable_memory_of_programs_and_of_nobody() {
        let maps = [
            mapping(0x1000, 0x2000, 7, "rx"),
            mapping(0x2000, 0x3000, 7, "rw"),
            mapping(0x3000, 0x4000, 0, "rw"),
            mapping(0x4000, 0x5000, 0, "rwx"),
            mapping(0x6000, 0x7000, 0, "r"),
            mapping(0x7000, 0x8000, 9, "rw"),
            mapping(0x8000, 0x9000, 0, "rws"),
        ];
        let expected = [region(0x2000..0x3000, false), region(0x3000..0x5000, true)];
        assert_eq!(regions(&maps), expected);
    }

    #[test]
    fn ranges_are_cut_out() {
        let whole = || vec![region(0x1000..0x5000, true), region(0x6000..0x9000, false)];
        assert_eq!(without(whole(), &[]), whole());
        let ranges = [0x0..0x1000, 0x2000..0x3000, 0x4000..0x7000, 0x8000..0xa000];
        let rest = [
            region(0x1000..0x2000, true),
            region(0x3000..0x4000, true),
            region(0x7000..0x8000, false),
        ];
        assert_eq!(without(whole(), &ranges), rest);
    }
}
