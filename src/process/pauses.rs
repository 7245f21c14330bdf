//! For how long targets stood still, in figures for a person.

use std::time::Duration;

/// For how long targets stood still.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pauses {
    /// At one stop, on average.
    pub mean: Duration,
    /// At one stop, at most.
    pub max: Duration,
    /// All together; where hits of breakpoints are only counted, for those too.
    pub total: Duration,
}
