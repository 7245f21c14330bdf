//! Following chains of links in the target's memory, which may be endless.

/// Walks a chain of addresses and detects when it closes into a ring, by Brent's algorithm: one comparison
/// per step, and at most three times the ring's length.
#[derive(Debug, Default)]
pub struct RingGuard {
    mark: u64,
    steps: u64,
    limit: u64,
}

impl RingGuard {
    /// Whether this address, the next in the chain, has been seen before.
    pub fn closes_at(&mut self, address: u64) -> bool {
        if self.steps == self.limit {
            self.mark = address;
            self.steps = 0;
            self.limit = self.limit.saturating_mul(2).max(1);
            return false;
        }
        self.steps += 1;
        address == self.mark
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps_to_the_ring(next: impl Fn(u64) -> u64) -> Option<usize> {
        let mut guard = RingGuard::default();
        let mut at = 1;
        (0..10_000).find(|_| {
            let closed = guard.closes_at(at);
            at = next(at);
            closed
        })
    }

    #[test]
    fn a_ring_is_found_soon_and_a_line_is_none() {
        assert_eq!(steps_to_the_ring(|at| at), Some(1));
        assert!(steps_to_the_ring(|at| at % 7 + 1).is_some_and(|steps| steps <= 21));
        let rho = |at| if at < 100 { at + 1 } else { 90 };
        assert!(steps_to_the_ring(rho).is_some_and(|steps| steps <= 300));
        assert_eq!(steps_to_the_ring(|at| at + 1), None);
    }
}
