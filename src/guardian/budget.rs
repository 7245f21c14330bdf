//! How much a guardian's work may cost its target: the number of stops, and how long they hold threads.
//!
//! The target earns a budget as time passes, and every stop spends some of it. Savings are limited; a debt is
//! paid off by leaving the target alone.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::process::Pauses;

/// How much budget can be saved up: what this many seconds earn.
pub const SAVINGS: f64 = 2.0;

/// How much a guardian's work may cost its target.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    /// Stops of a thread per second, in the long run.
    pub stops_per_s: f64,
    /// The share of the time that threads may be stopped, in the long run: 0.01 is one per cent.
    pub standstill: f64,
}

impl Default for Limits {
    /// A thousand stops a second, and one per cent of the time.
    fn default() -> Limits {
        Limits { stops_per_s: 1000.0, standstill: 0.01 }
    }
}

/// What work has cost its target.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Toll {
    /// Stops of a thread.
    pub stops: u64,
    /// The total duration of all stops, in nanoseconds.
    pub still: u64,
    /// The longest stop, in nanoseconds.
    pub longest: u64,
}

impl Toll {
    /// Adds the cost of more work.
    pub fn add(&mut self, other: Toll) {
        self.stops = self.stops.saturating_add(other.stops);
        self.still = self.still.saturating_add(other.still);
        self.longest = self.longest.max(other.longest);
    }

    /// The same, as durations.
    pub fn pauses(self) -> Pauses {
        Pauses {
            mean: Duration::from_nanos(self.still.checked_div(self.stops).unwrap_or_default()),
            max: Duration::from_nanos(self.longest),
            total: Duration::from_nanos(self.still),
        }
    }
}

/// What may still be spent, and what has been.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    limits: Limits,
    /// Stops, and seconds of stopped time, that may be spent; negative while in debt.
    stops: f64,
    still: f64,
    toll: Toll,
}

impl Budget {
    /// The budget of a target that has been left alone so far.
    pub fn new(limits: Limits) -> Budget {
        Budget {
            limits,
            stops: limits.stops_per_s * SAVINGS,
            still: limits.standstill * SAVINGS,
            toll: Toll::default(),
        }
    }

    /// Spends this many stops with this total duration.
    pub fn spend(&mut self, stops: u64, still: Duration) {
        self.stops -= stops as f64;
        self.still -= still.as_secs_f64();
        let still = still.as_nanos() as u64;
        self.toll.add(Toll { stops, still, longest: still / stops.max(1) });
    }

    /// Earns the budget of this much time.
    pub fn earn(&mut self, time: Duration) {
        let seconds = time.as_secs_f64();
        let Limits { stops_per_s, standstill } = self.limits;
        self.stops = (self.stops + stops_per_s * seconds).min(stops_per_s * SAVINGS);
        self.still = (self.still + standstill * seconds).min(standstill * SAVINGS);
    }

    /// How long threads may be stopped now.
    pub fn still(&self) -> Duration {
        Duration::try_from_secs_f64(self.still).unwrap_or_default()
    }

    /// How long to leave the target alone now, on average, to pay off the debt.
    pub fn debt(&self) -> Duration {
        let stops = -self.stops / self.limits.stops_per_s;
        let still = -self.still / self.limits.standstill;
        // With limits of zero the debt would be infinite.
        Duration::try_from_secs_f64(stops.max(still).clamp(0.0, 60.0)).unwrap_or_default()
    }

    /// What has been spent since the last call.
    pub fn take_toll(&mut self) -> Toll {
        std::mem::take(&mut self.toll)
    }
}
