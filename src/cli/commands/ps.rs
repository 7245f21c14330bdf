//! `leakspy ps`: the processes here that run Python, and which of them leakspy can read.

use std::process::ExitCode;

use crate::cli::args::flags::JsonArg;
use crate::cli::errors::{CommandError, advice};
use crate::cli::terminal::print;
use crate::obstacle::Obstructed;
use crate::process::by_command::others;
use crate::process::{Process, ProcessError};
use crate::python::Python;
use crate::render::ps::{Found, write, write_json};

/// List the processes that run Python, and whether leakspy can read them.
///
/// The oldest is first. Where the right to read a process is missing, it is listed if its command line begins with
/// a Python.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// List only processes whose command line contains this text.
    #[arg(value_name = "TEXT")]
    pub text: Option<String>,
    /// Whether JSON is printed.
    #[command(flatten)]
    pub form: JsonArg,
}

const EXAMPLES: &str = "\
Examples:
  leakspy ps                list them all
  leakspy ps gunicorn       list those with this in their command line
  leakspy hunt --name app   hunt the one whose command line contains `app`

Exit status: 0.";

/// Prints the list.
pub fn run(args: &Args) -> Result<ExitCode, CommandError> {
    let named = others(args.text.as_deref().unwrap_or_default());
    let found: Vec<Found> =
        named.into_iter().filter_map(|one| examine(one.pid, one.command)).collect();
    print(args.form.json, |out| match args.form.json {
        true => Ok(write_json(&found, out)?),
        false => Ok(write(&found, out)?),
    })
}

/// Describes a process; `None` if it is not a Python, or has ended.
fn examine(pid: i32, command: String) -> Option<Found> {
    let process = Process::open(pid).ok()?;
    let attached = Python::attach(&process);
    let (python, refusal) = match &attached {
        Ok(python) => (Some(python.version.to_string()), None),
        Err(error) if !seems_python(&command) || crate::obstacle::is_not_python(error) => {
            return None;
        }
        Err(error) => {
            let met = error.obstacle().map(|met| advice::in_a_word(&met.obstacle));
            (None, Some(met.unwrap_or_else(|| error.to_string())))
        }
    };
    let rss: Result<u64, ProcessError> = process.resident_bytes();
    Some(Found { pid, command, python, rss: rss.ok()?, age: process.age(), refusal })
}

/// Whether a command line begins with an interpreter of Python.
fn seems_python(command: &str) -> bool {
    let program = command.split_whitespace().next().unwrap_or_default();
    program.rsplit('/').next().is_some_and(|name| name.starts_with("python"))
}
