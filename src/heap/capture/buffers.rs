//! Large blocks of memory without objects, which a capture need not copy: the data of numpy arrays, of long
//! strings and byte strings.
//!
//! The C library's malloc (glibc) gives each large block a mapping of its own, which begins with the block's
//! header: `prev_size` (0), then the size with the bit `IS_MMAPPED`. The kernel merges neighbouring mappings,
//! so blocks are found by their headers, outside pymalloc's arenas. A sample of its words shows whether a
//! block holds references: many words of a list's items or a dict's entries are addresses of memory that
//! holds objects; in numbers or text none are.
//!
//! The first page of a block is always copied: an object may begin there, followed by its data.

use std::ops::Range;

use super::regions::{Region, without};
use crate::memory::{Memory, PAGE, ReadError};
use crate::process::glibc::{self, mapped_size};
use crate::process::{PageMap, Piece, Process};
use crate::python::pymalloc::Arena;

/// Bytes of a block's header.
const HEADER: usize = glibc::HEADER as usize;
/// Blocks smaller than this, in bytes, are always copied.
const LEAST: u64 = 1 << 20;
/// A block is sampled once every this many bytes, within these bounds on the number of samples.
const SAMPLE_DISTANCE: u64 = 1 << 20;
const FEWEST_SAMPLES: u64 = 16;
const MOST_SAMPLES: u64 = 1024;
/// How many headers are read at once.
const BATCH: usize = 256;
/// How many bytes of a buffer are checked again in the pause.
const LOOK: usize = 64;

/// A large block without objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Buffer {
    block: Range<u64>,
}

impl Buffer {
    /// The part that need not be copied.
    pub fn skipped(&self) -> Range<u64> {
        self.block.start + PAGE..self.block.end
    }
}

/// Finds the large blocks without objects in these regions, in order of address.
pub fn find_buffers(
    process: &Process,
    pages: &PageMap,
    regions: &[Region],
    arenas: &[Arena],
) -> Result<Vec<Buffer>, ReadError> {
    let arenas: Vec<Range<u64>> = arenas.iter().map(|arena| arena.start..arena.end).collect();
    let candidates = regions.iter().filter(|region| region.anonymous && !region.brk).cloned();
    let mut buffers = Vec::new();
    let mut runs = Vec::new();
    for gap in without(candidates.collect(), &arenas) {
        if gap.length() < LEAST {
            continue;
        }
        runs.clear();
        if pages.occupied(gap.range.clone(), &mut runs).is_err() {
            // It has been unmapped.
            continue;
        }
        let mut next = gap.range.start;
        for run in &runs {
            let mut at = run.start.max(next);
            while at < run.end {
                match next_block(process, at..run.end, gap.range.end)? {
                    Some(block) => {
                        at = block.end;
                        if block.end - block.start >= LEAST
                            && !holds_objects(process, regions, &block)
                        {
                            buffers.push(Buffer { block });
                        }
                    }
                    None => at = run.end,
                }
            }
            next = next.max(at);
        }
    }
    Ok(buffers)
}

/// Keeps the buffers that have not changed, to be called in the pause. The header must be the same, and a
/// sample at one place must have no address.
pub fn still_buffers(process: &Process, regions: &[Region], buffers: &mut Vec<Buffer>) {
    let mut bytes = vec![0; buffers.len() * (HEADER + LOOK)];
    let mut pieces = Vec::with_capacity(2 * buffers.len());
    for (buffer, bytes) in buffers.iter().zip(bytes.chunks_exact_mut(HEADER + LOOK)) {
        let (header, look) = bytes.split_at_mut(HEADER);
        let middle = buffer.block.start.midpoint(buffer.block.end) / PAGE * PAGE;
        pieces.push(Piece { address: buffer.block.start, buffer: header });
        pieces.push(Piece { address: middle, buffer: look });
    }
    if process.read_pieces(&mut pieces).is_err() {
        buffers.clear();
    }
    let mut found = bytes.chunks_exact(HEADER + LOOK);
    buffers.retain(|buffer| {
        let (header, look) =
            found.next().unwrap_or_default().split_at_checked(HEADER).unwrap_or_default();
        mapped_size(header) == Some(buffer.block.end - buffer.block.start)
            && region_of(regions, buffer.block.start)
                .is_some_and(|region| buffer.block.end <= region.range.end)
            && !has_address(regions, look)
    });
}

/// The first block that begins at one of these pages and ends at `most` or before.
fn next_block(
    process: &Process,
    pages: Range<u64>,
    most: u64,
) -> Result<Option<Range<u64>>, ReadError> {
    let mut headers = [0; BATCH * HEADER];
    let mut batch = pages.start;
    // The first one alone: a block is often followed by another.
    let mut count = 1;
    while batch < pages.end {
        let count_here = count.min(((pages.end - batch) / PAGE) as usize).max(1);
        let headers = headers.get_mut(..count_here * HEADER).unwrap_or_default();
        headers.fill(0);
        let addresses = (0..).map(|index| batch + index * PAGE);
        let mut pieces: Vec<Piece> = addresses
            .zip(headers.chunks_exact_mut(HEADER))
            .map(|(address, buffer)| Piece { address, buffer })
            .collect();
        process.read_pieces(&mut pieces)?;
        for (index, header) in headers.chunks_exact(HEADER).enumerate() {
            let start = batch + index as u64 * PAGE;
            let end = mapped_size(header).and_then(|size| start.checked_add(size));
            if let Some(end) = end.filter(|&end| end <= most) {
                return Ok(Some(start..end));
            }
        }
        batch += count_here as u64 * PAGE;
        count = BATCH;
    }
    Ok(None)
}

/// Whether a sample of the block, after its first page, has an address of memory that holds objects. A block
/// that cannot be read may hold some.
fn holds_objects(process: &Process, regions: &[Region], block: &Range<u64>) -> bool {
    let pages = (block.end - block.start) / PAGE - 1;
    let samples = ((pages * PAGE) / SAMPLE_DISTANCE).clamp(FEWEST_SAMPLES, MOST_SAMPLES).min(pages);
    let mut page = [0; PAGE as usize];
    (0..samples).any(|sample| {
        let address = block.start + PAGE * (1 + sample * pages / samples);
        process.read(address, &mut page).is_err() || has_address(regions, &page)
    })
}

fn has_address(regions: &[Region], bytes: &[u8]) -> bool {
    let words = bytes.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word));
    words.filter(|word| *word != 0 && word % 8 == 0).any(|word| region_of(regions, word).is_some())
}

/// The region that contains this address.
fn region_of(regions: &[Region], address: u64) -> Option<&Region> {
    let after = regions.partition_point(|region| region.range.start <= address);
    let region = regions.get(after.checked_sub(1)?)?;
    region.range.contains(&address).then_some(region)
}
