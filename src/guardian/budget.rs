//! How much a target is made to bear: stops, and the time in which it stands still for them.
//!
//! What it can bear is earned as time passes and spent at every stop. What was not spent in a while of
//! rest may be spent at once, within limits; a debt is paid by leaving the target in peace.

use std::time::Duration;

use crate::hunt::messages::Limits;

/// What may be spent at once, after a while of rest: seconds of the long run.
pub const SAVINGS: f64 = 2.0;

/// What may still be spent.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    limits: Limits,
    /// Stops that may be made, and seconds that they may take; negative if there were too many.
    stops: f64,
    still: f64,
}

impl Budget {
    /// For a target that has been left in peace so far.
    pub fn new(limits: Limits) -> Budget {
        Budget { limits, stops: limits.stops_per_s * SAVINGS, still: limits.standstill * SAVINGS }
    }

    /// Threads were stopped so often and stood still for so long.
    pub fn spend(&mut self, stops: u64, still: Duration) {
        self.stops -= stops as f64;
        self.still -= still.as_secs_f64();
    }

    /// Time has passed.
    pub fn earn(&mut self, time: Duration) {
        let seconds = time.as_secs_f64();
        let Limits { stops_per_s, standstill } = self.limits;
        self.stops = (self.stops + stops_per_s * seconds).min(stops_per_s * SAVINGS);
        self.still = (self.still + standstill * seconds).min(standstill * SAVINGS);
    }

    /// For how long threads may stand still now.
    pub fn still(&self) -> Duration {
        Duration::try_from_secs_f64(self.still).unwrap_or_default()
    }

    /// How long the target is to be left in peace now, on average.
    pub fn debt(&self) -> Duration {
        let stops = -self.stops / self.limits.stops_per_s;
        let still = -self.still / self.limits.standstill;
        // Limits of zero would be debts for ever.
        Duration::try_from_secs_f64(stops.max(still).clamp(0.0, 60.0)).unwrap_or_default()
    }
}
