//! The binary: guardian or command line, exit code, nothing else.

use std::process::ExitCode;

use clap::Parser;
use leakspy::cli::Cli;

fn main() -> ExitCode {
    let guardian = leakspy::serve_if_guardian();
    Cli::parse().run(&guardian)
}
