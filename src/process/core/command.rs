//! The command line of a process from its initial stack, where the kernel has put it: the number of arguments,
//! their addresses, a zero, those of the environment, a zero, the auxiliary vector.
//!
//! `NT_PRPSINFO` has only the first 80 bytes.

use super::super::text::shown;
use super::notes::Notes;
use crate::memory::{Memory, PAGE, u64_at};

/// In the auxiliary vector: an address near the top of the initial stack (`AT_RANDOM`).
pub const ON_THE_STACK: u64 = 25;
/// How far below that address the vector is sought, in bytes: as much as the kernel accepts of environment.
const MOST: u64 = 8 << 20;
/// The longest argument, and the most arguments.
const LONGEST: usize = 128 << 10;
const MOST_ARGUMENTS: usize = 10_000;
/// The longest command line.
const LONGEST_LINE: usize = 1 << 20;

/// The command line as one line; `None` if it is not found. `start` is where the stack begins.
pub fn command(memory: &impl Memory, notes: &Notes, start: u64) -> Option<String> {
    let top = notes.auxiliary(ON_THE_STACK)?;
    let bottom = start.max(top.saturating_sub(MOST)).checked_next_multiple_of(PAGE)?;
    let bytes = memory.bytes(bottom, top.checked_sub(bottom)?, MOST as usize).ok()?;
    let word = |index: usize| u64_at(&bytes, index.checked_mul(8)?);
    let vector: Vec<u64> = notes.auxv.iter().take(4).flat_map(|pair| [pair.0, pair.1]).collect();
    let is_vector = |index: usize| {
        (0..).zip(&vector).all(|(offset, &value)| word(index + offset) == Some(value))
    };
    let mut at = (0..bytes.len() / 8).rev().find(|&index| is_vector(index))?;
    // Over the zero, the environment, and another zero.
    at = at.checked_sub(2)?;
    while word(at)? != 0 {
        at = at.checked_sub(1)?;
    }
    // Then the arguments, up to their number.
    let mut arguments = Vec::new();
    loop {
        at = at.checked_sub(1)?;
        match word(at)? {
            count if count == arguments.len() as u64 => break,
            address if arguments.len() < MOST_ARGUMENTS => arguments.push(address),
            _ => return None,
        }
    }
    let mut words = Vec::new();
    let mut length = 0;
    for &address in arguments.iter().rev() {
        let word = memory.c_string(address, LONGEST).ok()?;
        length += word.len() + 1;
        if length > LONGEST_LINE {
            return None;
        }
        words.push(shown(&word));
    }
    (!words.is_empty()).then(|| words.join(" "))
}
