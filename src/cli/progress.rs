//! The line that shows the progress of a recording, or a hunt.
//!
//! On a terminal it is one line that changes; elsewhere leakspy prints once that it has begun, and nothing
//! more, so that a log stays a log.

use std::cell::Cell;
use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{HumanCount, ProgressBar, ProgressStyle};

use super::terminal::say;

/// A changing line on a terminal.
pub struct Line {
    bar: ProgressBar,
    terminal: bool,
    begun: Cell<bool>,
}

impl Line {
    /// A line that shows nothing yet.
    pub fn begin() -> Line {
        let terminal = std::io::stderr().is_terminal();
        let bar = if terminal { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
        bar.set_style(ProgressStyle::default_spinner());
        Line { bar, terminal, begun: Cell::new(false) }
    }

    /// Shows `text`; where there is no terminal, prints `begun` the first time and nothing later.
    pub fn show(&self, begun: &str, text: impl FnOnce() -> String) {
        if !self.begun.replace(true) && !self.terminal {
            say(begun);
        }
        self.update(text);
    }

    /// Shows `text`, on a terminal only.
    pub fn update(&self, text: impl FnOnce() -> String) {
        if self.terminal {
            self.bar.set_message(text());
            self.bar.tick();
        }
    }

    /// Does something that prints, with the line out of its way.
    pub fn aside<T>(&self, print: impl FnOnce() -> T) -> T {
        self.bar.suspend(print)
    }

    /// Prints something without disturbing the line.
    pub fn say(&self, text: &str) {
        self.bar.suspend(|| say(format_args!("leakspy: {text}")));
    }

    /// Removes the line.
    pub fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

/// The progress of a recording.
pub struct Progress {
    line: Line,
}

impl Progress {
    /// Progress that shows nothing yet.
    pub fn begin() -> Progress {
        Progress { line: Line::begin() }
    }

    /// Shows the present state.
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

    /// Prints something without disturbing the line.
    pub fn say(&self, text: &str) {
        self.line.say(text);
    }

    /// Removes the line.
    pub fn clear(&self) {
        self.line.clear();
    }
}
