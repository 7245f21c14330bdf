//! The floor: the time to copy the bytes of a capture and do nothing else.

use std::error::Error;
use std::ops::Range;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use leakspy::process::{PageMap, Piece, Process};
use memmap2::{Advice, MmapMut};

/// The number of bytes that a reader of the bare copy takes at a time.
const PART: usize = 8 << 20;

/// How long two readers take to copy the contents of these ranges into memory that is already faulted in, and
/// how many bytes they copy.
pub fn bare_copy(
    process: &Process,
    ranges: &[Range<u64>],
) -> Result<(Duration, u64), Box<dyn Error>> {
    let pages = PageMap::open(process.pid())?;
    let mut runs = Vec::new();
    for range in ranges {
        pages.occupied(range.clone(), &mut runs)?;
    }
    let total: u64 = runs.iter().map(|run| run.end - run.start).sum();
    let mut buffer = MmapMut::map_anon(total as usize)?;
    buffer.advise(Advice::HugePage)?;
    buffer.advise(Advice::PopulateWrite)?;
    let mut rest = &mut buffer[..];
    let mut parts = Vec::new();
    for run in runs {
        for address in run.clone().step_by(PART) {
            let length = PART.min((run.end - address) as usize);
            let (buffer, behind) = rest.split_at_mut(length);
            parts.push(Piece { address, buffer });
            rest = behind;
        }
    }
    // Small ranges together: one system call for many.
    let mut batches: Vec<Vec<Piece>> = vec![Vec::new()];
    let mut bytes = 0;
    for part in parts {
        if bytes >= PART {
            batches.push(Vec::new());
            bytes = 0;
        }
        bytes += part.buffer.len();
        if let Some(batch) = batches.last_mut() {
            batch.push(part);
        }
    }
    let batches = Mutex::new(batches);
    let read = || {
        loop {
            let batch = batches.lock().expect("no reader panics").pop();
            let Some(mut batch) = batch else { break };
            process.read_pieces(&mut batch).expect("the target lives");
        }
    };
    let began = Instant::now();
    thread::scope(|scope| {
        scope.spawn(read);
        read();
    });
    Ok((began.elapsed(), total))
}
