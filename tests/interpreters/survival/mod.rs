//! The target survives its recording, whatever happens to leakspy, to the target and to its family.
//!
//! Healthy means: alive, no thread stopped, no thread traced, and able to allocate. A breakpoint left behind
//! would kill it at its next allocation.

mod changes;
mod children;
mod command;
mod corrupted;
mod hunts;
mod kills;
mod signals;

use libtest_mimic::Trial;

pub fn trials() -> Vec<Trial> {
    let trials = [
        kills::trials(),
        signals::trials(),
        changes::trials(),
        children::trials(),
        command::trials(),
        corrupted::trials(),
        hunts::trials(),
    ];
    trials.into_iter().flatten().collect()
}
