//! The `.dat` files of memory_profiler's `mprof`: lines that begin with `CMDLINE`, `MEM` (the process),
//! `CHLD` (a child, with a number) or `FUNC` (a function that was entered and left, which is skipped
//! here). Memory is in MiB, time in seconds since 1970.

use std::io::{BufRead, Write};
use std::sync::Arc;

use super::FileError;
use crate::timeline::sample::{Sample, Who};
use crate::timeline::series::Timeline;

/// Bytes in the unit of memory.
const MIB: f64 = 1048576.0;
/// The words that lines can begin with.
const WORDS: [&str; 4] = ["CMDLINE", "MEM", "CHLD", "FUNC"];
/// The upper bound of a plausible size, in MiB.
const MOST: f64 = 1e12;

/// Whether a file with this beginning is one.
pub(super) fn is_one(beginning: &[u8]) -> bool {
    let word = beginning.split(|&byte| byte == b' ').next().unwrap_or_default();
    WORDS.iter().any(|known| known.as_bytes() == word)
}

/// Writes samples. This format has no place for the sum over all; children are named by their PIDs.
pub(super) fn write(
    samples: &[Sample],
    root: i32,
    heading: bool,
    out: &mut Vec<u8>,
) -> Result<(), FileError> {
    let is_root = |sample: &&Sample| sample.pid == root;
    if heading && let Some(sample) = samples.iter().find(is_root) {
        writeln!(out, "CMDLINE {}", sample.command.replace(char::is_control, "\u{fffd}"))?;
    }
    for sample in samples.iter().filter(|sample| sample.who() != Who::All) {
        let (mib, time) = (sample.rss_bytes as f64 / MIB, sample.time_s);
        match is_root(&sample) {
            true => writeln!(out, "MEM {mib:.6} {time:.4}")?,
            false => writeln!(out, "CHLD {} {mib:.6} {time:.4}", sample.pid)?,
        }
    }
    Ok(())
}

/// Reads such a file. The process gets number 1, a child its own number.
pub(super) fn read(file: impl BufRead) -> Result<Timeline, FileError> {
    let mut timeline = Timeline::default();
    let mut command: Arc<str> = "(unknown)".into();
    let mut lines = file.split(b'\n').zip(1..).peekable();
    while let Some((line, number)) = lines.next() {
        let line = line?;
        let line = String::from_utf8_lossy(&line);
        let (word, rest) = line.split_once(' ').unwrap_or((&line, ""));
        let sample = match word {
            "CMDLINE" => {
                command = rest.trim_end().into();
                continue;
            }
            "MEM" => number_pair(rest).map(|(mib, time)| sample(1, 0, &command, mib, time)),
            "CHLD" => child(rest),
            _ => continue,
        };
        match sample {
            Some(sample) => timeline.add(sample),
            None if lines.peek().is_none() => {}
            None => {
                let what = "a number is missing or is none".to_string();
                return Err(FileError::NoSample { line: number, what });
            }
        }
    }
    timeline.finish();
    Ok(timeline)
}

fn child(rest: &str) -> Option<Sample> {
    let (number, rest) = rest.split_once(' ')?;
    let (mib, time) = number_pair(rest)?;
    let number: i32 = number.parse().ok()?;
    // mprof counts children from 0. The start time tells them from the process itself.
    let name = format!("child {number}").into();
    Some(sample(number, 1, &name, mib, time))
}

/// Memory and time. A time with fewer than four decimals is from an incomplete line.
fn number_pair(text: &str) -> Option<(f64, f64)> {
    let (mib, time) = text.trim_end().split_once(' ')?;
    let (_, digits) = time.split_once('.')?;
    let numbers = (mib.parse::<f64>().ok()?, time.parse::<f64>().ok()?);
    let plausible = (0.0..MOST).contains(&numbers.0) && numbers.1.is_finite() && digits.len() >= 4;
    plausible.then_some(numbers)
}

fn sample(pid: i32, started: u64, command: &Arc<str>, mib: f64, time: f64) -> Sample {
    Sample {
        time_s: time,
        pid,
        started_ticks: started,
        rss_bytes: (mib * MIB).round() as u64,
        command: Arc::clone(command),
        ..Sample::default()
    }
}
