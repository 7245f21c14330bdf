//! The cost of a hit that the kernel only counts, measured on our own process each time.
//!
//! A hit is an exception, and in a virtual machine often an exit to the hypervisor as well: 1 µs on some
//! machines, 15 µs on others. Time measured across hits must be corrected for it, and the number of hits that
//! a target can bear depends on it.

use std::hint::black_box;
use std::io;
use std::time::{Duration, Instant};

use super::perf::Counter;
use super::{Kind, Spot};

/// Hits in one measurement: few enough that a measurement is hardly ever interrupted.
const ROUNDS: u32 = 16;

/// A breakpoint of our own to measure with. It belongs to the thread that made it.
#[derive(Debug)]
pub struct Probe(Counter);

impl Probe {
    /// Asks the kernel for the breakpoint.
    pub fn new() -> io::Result<Probe> {
        let spot = Spot { address: probe as *const () as u64, kind: Kind::Execute };
        Counter::open(spot, 0).map(Probe)
    }

    /// The mean time of a counted hit in the calling thread, measured now. Take the median of several.
    pub fn measure(&self) -> io::Result<Duration> {
        let Probe(counter) = self;
        let before = counter.hits()?;
        let unarmed = call_probe(ROUNDS);
        counter.enable()?;
        let armed = call_probe(ROUNDS);
        counter.disable()?;
        if counter.hits()? < before + u64::from(ROUNDS) {
            return Err(io::ErrorKind::Unsupported.into());
        }
        Ok(armed.saturating_sub(unarmed) / ROUNDS)
    }
}

fn call_probe(times: u32) -> Duration {
    let begun = Instant::now();
    for number in 0..times {
        black_box(probe as extern "C" fn(u64) -> u64)(u64::from(number));
    }
    begun.elapsed()
}

/// Something to break at. Not inlined, and with a body of its own, so that it has its own address.
#[inline(never)]
extern "C" fn probe(number: u64) -> u64 {
    black_box(number.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counted_hit_costs_between_a_tenth_of_a_microsecond_and_a_millisecond() {
        // Where perf events are not permitted there is nothing to measure.
        if let Ok(cost) = Probe::new().and_then(|probe| probe.measure()) {
            assert!(
                cost > Duration::from_nanos(100) && cost < Duration::from_millis(1),
                "{cost:?}"
            );
        }
    }
}
