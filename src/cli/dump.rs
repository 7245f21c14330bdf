//! `leakspy dump`: the stacks of every thread, now.

use std::process::ExitCode;

/// Print the stack of every Python thread of a process.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The process to look at.
    #[arg(short, long, value_name = "PID", value_parser = clap::value_parser!(i32).range(1..))]
    pub pid: i32,
    /// Print JSON (described in docs/json.md).
    #[arg(short, long)]
    pub json: bool,
    /// Look at its child processes too.
    #[arg(short, long)]
    pub subprocesses: bool,
    /// Do not pause the process; what could not be read whole is said to be so.
    #[arg(long)]
    pub nonblocking: bool,
}

/// Prints the stacks.
pub fn run(_args: &Args) -> anyhow::Result<ExitCode> {
    anyhow::bail!("this build cannot dump")
}
