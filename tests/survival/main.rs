//! The target survives its recording: whatever happens to leakspy, to the target and to its family.
//!
//! Healthy means: alive, no thread stopped, no thread traced, and able to allocate on. A breakpoint
//! that were left behind would kill it at its next allocation.

#[path = "../support/mod.rs"]
mod support;

mod changes;
mod children;
mod command;
mod hunts;
mod kills;
mod signals;

use libtest_mimic::Arguments;

fn main() {
    let trials = [
        kills::trials(),
        signals::trials(),
        changes::trials(),
        children::trials(),
        command::trials(),
        hunts::trials(),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials.into_iter().flatten().collect()).exit();
}
