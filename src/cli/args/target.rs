//! The target of an observation: a process that is already running, or a command to start.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use super::process::{Place, ProcessArg};
use crate::cli::command::{exit_code, start};
use crate::cli::errors::{CommandError, advice};
use crate::cli::signals::Signals;
use crate::cli::terminal::say;
use crate::process::{Process, ProcessError};

/// A process that is already running, or one to start.
#[derive(Debug, clap::Args)]
#[group(id = "target", required = true, multiple = false, args = ["pid", "name", "place", "command"])]
pub struct Target {
    /// PID of the process.
    #[arg(value_name = "PID", value_parser = Place::only_pid)]
    place: Option<Place>,
    /// Which process.
    #[command(flatten)]
    process: ProcessArg,
    /// A command to start and observe from its beginning; leakspy exits with its status.
    #[arg(last = true, value_name = "COMMAND", num_args = 1..)]
    pub command: Vec<OsString>,
}

impl Target {
    /// The process, if it is already running.
    pub fn pid(&self) -> Option<i32> {
        self.place.as_ref().and_then(Place::pid).or(self.process.pid())
    }

    /// The file in place of a process, where the command takes one.
    pub fn file(&self) -> Option<&Path> {
        self.place.as_ref().and_then(Place::file)
    }

    /// The argument that may name the process.
    pub fn process(&mut self) -> &mut ProcessArg {
        &mut self.process
    }

    /// Opens the process, or starts the command, and observes it. Returns the result of `observe`, and the
    /// exit status: for a command, its own.
    ///
    /// If a command cannot be observed, leakspy says so; the command continues, and its exit status counts.
    /// `too_short` says that it ended before it could even be opened.
    pub fn observe<T>(
        &self,
        signals: &Signals,
        too_short: impl FnOnce(i32) -> CommandError,
        observe: impl FnOnce(Process) -> Result<T, CommandError>,
    ) -> Result<(Option<T>, ExitCode), CommandError> {
        if let Some(pid) = self.pid() {
            return Ok((Some(observe(Process::open(pid)?)?), ExitCode::SUCCESS));
        }
        let mut child = start(&self.command)?;
        let pid = child.id() as i32;
        let observed = match Process::open(pid) {
            // Only leakspy waits for it, and does so last.
            Err(ProcessError::Zombie { .. }) => Err(too_short(pid)),
            process => process.map_err(CommandError::from).and_then(observe),
        };
        if let Err(error) = &observed {
            say(format_args!("leakspy: {}", advice::explain(error, Some(pid))));
        }
        Ok((observed.ok(), exit_code(signals.wait_for(&mut child)?)))
    }
}
