//! The hidden subcommand under which leakspy samples on behalf of another leakspy.
//!
//! See [`guardian`](crate::target::guardian) for why it is a process of its own.

use std::io::{self, BufRead, BufReader};
use std::os::fd::AsFd;
use std::process::ExitCode;

use crate::profile::messages::Request;
use crate::profile::outbox::Outbox;
use crate::profile::sampler;
use crate::target::guardian::become_guardian;

/// Reads a request from standard input, and serves it until that is closed.
pub fn run() -> anyhow::Result<ExitCode> {
    become_guardian();
    let mut line = String::new();
    let mut input = BufReader::new(io::stdin());
    input.read_line(&mut line)?;
    let request: Request = serde_json::from_str(&line)?;
    // Nothing follows the request, so what the reader has buffered is not missed.
    let reports = io::stdout().as_fd().try_clone_to_owned()?;
    sampler::serve(&request, io::stdin().as_fd(), &mut Outbox::new(reports)?)?;
    Ok(ExitCode::SUCCESS)
}
