//! The binary: parse, run, exit code, nothing else.

use std::process::ExitCode;

use clap::Parser;
use leakspy::cli::Cli;

fn main() -> ExitCode {
    Cli::parse().run()
}
