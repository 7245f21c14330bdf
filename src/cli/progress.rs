//! The line that says how a recording, or a hunt, goes.
//!
//! On a terminal it is one line that changes; elsewhere it is said once that it has begun,
//! and no more, so that a log stays a log.

use std::cell::Cell;
use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{HumanCount, ProgressBar, ProgressStyle};

use super::say;

/// The progress of what goes on for a while.
pub struct Progress {
    bar: ProgressBar,
    terminal: bool,
    begun: Cell<bool>,
}

impl Progress {
    /// Nothing is shown yet.
    pub fn begin() -> Progress {
        let terminal = std::io::stderr().is_terminal();
        let bar = if terminal { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
        bar.set_style(ProgressStyle::default_spinner());
        Progress { bar, terminal, begun: Cell::new(false) }
    }

    /// Shows how far a recording is.
    pub fn show(&self, elapsed: Duration, processes: usize, samples: u64, mean_pause: Duration) {
        let processes = match processes {
            0 | 1 => String::new(),
            several => format!("{several} processes, "),
        };
        self.tell("Recording; Ctrl-C to stop and write the result.", || {
            format!(
                "Recording {:.1} s, {processes}{} samples, mean pause {} µs. Ctrl-C to stop.",
                elapsed.as_secs_f64(),
                HumanCount(samples),
                mean_pause.as_micros()
            )
        });
    }

    /// Shows how far it is by a `line`; where there is no terminal, says `once` that it has begun.
    pub fn tell(&self, once: &str, line: impl FnOnce() -> String) {
        if !self.terminal {
            if !self.begun.replace(true) {
                say(once);
            }
            return;
        }
        self.bar.set_message(line());
        self.bar.tick();
    }

    /// Says something without disturbing the line.
    pub fn say(&self, text: &str) {
        self.bar.suspend(|| say(format_args!("leakspy: {text}")));
    }

    /// Takes the line away.
    pub fn clear(&self) {
        self.bar.finish_and_clear();
    }
}
