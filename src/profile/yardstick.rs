//! How fast this processor is, as far as it concerns an allocator's short path: that follows a few pointers
//! in memory which is in the nearest cache.

use std::hint::black_box;
use std::time::{Duration, Instant};

/// Words in the ring, 4 kB.
const WORDS: usize = 500;
/// Steps in one measurement.
const STEPS: u32 = 20_000;
/// Measurements. The fastest counts: whatever else the processor does can only add to it.
const TIMES: usize = 15;

/// The time of one step from pointer to pointer, in seconds.
pub fn step() -> f64 {
    let mut ring = vec![0_usize; WORDS];
    let start = ring.as_ptr() as usize;
    for (number, word) in ring.iter_mut().enumerate() {
        // The stride has no divisor in common with the number, so all are visited.
        *word = start + (number + 63) % WORDS * size_of::<usize>();
    }
    let measure = |_| {
        let begun = Instant::now();
        black_box(walk(black_box(start)));
        begun.elapsed()
    };
    let fastest = (0..TIMES).map(measure).min().unwrap_or(Duration::ZERO);
    drop(ring);
    fastest.as_secs_f64() / f64::from(STEPS)
}

/// Walks along a ring of addresses, the same way in builds with and without optimisation.
fn walk(mut at: usize) -> usize {
    for _ in 0..STEPS / 10 {
        // SAFETY: each word of the ring is the address of one of its words, and it lives as long as the walk.
        unsafe {
            #[cfg(target_arch = "x86_64")]
            std::arch::asm!(
                "mov {at}, [{at}]", "mov {at}, [{at}]", "mov {at}, [{at}]", "mov {at}, [{at}]",
                "mov {at}, [{at}]", "mov {at}, [{at}]", "mov {at}, [{at}]", "mov {at}, [{at}]",
                "mov {at}, [{at}]", "mov {at}, [{at}]",
                at = inout(reg) at,
                options(nostack, readonly)
            );
            #[cfg(target_arch = "aarch64")]
            std::arch::asm!(
                "ldr {at}, [{at}]", "ldr {at}, [{at}]", "ldr {at}, [{at}]", "ldr {at}, [{at}]",
                "ldr {at}, [{at}]", "ldr {at}, [{at}]", "ldr {at}, [{at}]", "ldr {at}, [{at}]",
                "ldr {at}, [{at}]", "ldr {at}, [{at}]",
                at = inout(reg) at,
                options(nostack, readonly)
            );
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_takes_a_nanosecond_or_so() {
        let step = step();
        assert!((0.2e-9..20e-9).contains(&step), "{step}");
    }
}
