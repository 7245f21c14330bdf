//! The line that says how a recording, or a hunt, goes.
//!
//! On a terminal it is one line that changes; elsewhere it is said once that it has begun,
//! and no more, so that a log stays a log.

use std::cell::Cell;
use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{HumanCount, ProgressBar, ProgressStyle};

use super::terminal::say;

/// A line that changes, on a terminal.
pub struct Line {
    bar: ProgressBar,
    terminal: bool,
    begun: Cell<bool>,
}

impl Line {
    /// Nothing is shown yet.
    pub fn begin() -> Line {
        let terminal = std::io::stderr().is_terminal();
        let bar = if terminal { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
        bar.set_style(ProgressStyle::default_spinner());
        Line { bar, terminal, begun: Cell::new(false) }
    }

    /// Shows `text`; where there is no terminal, `begun` the first time and no more.
    pub fn show(&self, begun: &str, text: impl FnOnce() -> String) {
        if !self.begun.replace(true) && !self.terminal {
            say(begun);
        }
        if self.terminal {
            self.bar.set_message(text());
            self.bar.tick();
        }
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

/// The progress of a recording.
pub struct Progress {
    line: Line,
}

impl Progress {
    /// Nothing is shown yet.
    pub fn begin() -> Progress {
        Progress { line: Line::begin() }
    }

    /// Shows how far it is.
    pub fn show(&self, elapsed: Duration, processes: usize, samples: u64, mean_pause: Duration) {
        self.line.show("Recording; Ctrl-C to stop and write the result.", || {
            let processes = match processes {
                0 | 1 => String::new(),
                several => format!("{several} processes, "),
            };
            format!(
                "Recording {:.1} s, {processes}{} samples, mean pause {} µs. Ctrl-C to stop.",
                elapsed.as_secs_f64(),
                HumanCount(samples),
                mean_pause.as_micros()
            )
        });
    }

    /// Says something without disturbing the line.
    pub fn say(&self, text: &str) {
        self.line.say(text);
    }

    /// Takes the line away.
    pub fn clear(&self) {
        self.line.clear();
    }
}
