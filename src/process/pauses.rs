//! How long targets were stopped, as shown to a person.

use std::time::Duration;

/// How long targets were stopped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pauses {
    /// The mean of one stop.
    pub mean: Duration,
    /// The longest stop.
    pub max: Duration,
    /// The total, including the time for hits that are only counted.
    pub total: Duration,
}
