//! `leakspy hunt --every COMMAND --times N`: what grows with each step of a test, instead of with time.
//!
//! The command makes the process do a step: it sends a request, or talks to the test. The heap is captured only
//! between steps, so each comparison is between two moments at which the process has nothing to do.

use std::process::{Child, Command, ExitStatus, Stdio};

use super::{Hunt, Verdicts};
use crate::cli::errors::{CommandError, Context};
use crate::cli::progress::Line;
use crate::cli::signals::{Signals, TICK};

/// What is printed where there is no terminal.
const BEGUN: &str = "Hunting step by step; Ctrl-C to stop and tell what is known.";

/// The steps of a test.
#[derive(Debug, clap::Args)]
pub struct StepsArgs {
    /// Run this command for each step of a test, and measure growth by the step. The heap is captured between
    /// steps.
    #[arg(long, value_name = "COMMAND", conflicts_with = "duration")]
    pub every: Option<String>,
    /// How many steps to do.
    #[arg(long, value_name = "N", default_value = "20", requires = "every",
          value_parser = clap::value_parser!(u32).range(8..))]
    pub times: u32,
    /// How many steps to do before that, in which caches are filled.
    #[arg(long, value_name = "N", default_value = "2", requires = "every")]
    pub warm_up: u32,
}

impl StepsArgs {
    /// How many steps are counted, if any are.
    pub fn counted(&self) -> Option<u32> {
        self.every.as_ref().map(|_| self.times)
    }
}

impl Hunt<'_> {
    /// Hunts from step to step to the end, or until a signal comes.
    pub(super) fn go_on_by_steps(
        mut self,
        command: &str,
        signals: &Signals,
    ) -> Result<Verdicts, CommandError> {
        let StepsArgs { times, warm_up, .. } = self.args.steps;
        let line = Line::begin();
        for number in 0..warm_up {
            line.show(BEGUN, || format!("Warming up: step {} of {warm_up}", number + 1));
            if !step(command, signals, || Ok(()))? {
                return self.conclude();
            }
        }
        self.advance(TICK)?;
        for number in 1..=times {
            let going_on = step(command, signals, || {
                line.show(BEGUN, || format!("Hunting, step {number} of {times}"));
                self.advance(TICK)
            })?;
            if !going_on {
                break;
            }
            self.hunters.iter_mut().for_each(|hunter| hunter.count_steps(number));
            self.advance(TICK)?;
        }
        line.clear();
        self.conclude()
    }
}

/// Does a step, calling `meanwhile` again and again. False if a signal came.
fn step(
    command: &str,
    signals: &Signals,
    mut meanwhile: impl FnMut() -> Result<(), CommandError>,
) -> Result<bool, CommandError> {
    let cannot = || format!("cannot run `{command}`");
    let mut running = Running(
        Command::new("sh")
            .args(["-c", command])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .with_context(cannot)?,
    );
    loop {
        match running.0.try_wait().with_context(cannot)? {
            Some(status) if status.success() => return Ok(!signals.came()),
            Some(status) => return Err(failed(command, status)),
            None if signals.came() => return Ok(false),
            None => {
                meanwhile()?;
                std::thread::sleep(TICK / 10);
            }
        }
    }
}

fn failed(command: &str, status: ExitStatus) -> CommandError {
    CommandError::new(format_args!(
        "`{command}`, which does a step, failed ({status}). Run it by hand to see why; a step that is not done \
         shows nothing."
    ))
}

/// A command that is ended if it still runs.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        if let Ok(None) = self.0.try_wait() {
            // It may have ended by itself since.
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
}
