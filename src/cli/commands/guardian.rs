//! The hidden subcommand under which leakspy samples or watches on behalf of another leakspy.
//!
//! See [`guardian`](crate::guardian::spawn) for why it is a process of its own.

use std::io::{self, BufRead, BufReader};
use std::os::fd::AsFd;
use std::process::ExitCode;

use clap::builder::PossibleValuesParser;

use crate::cli::errors::{CommandError, Context};
use crate::guardian::outbox::Outbox;
use crate::guardian::spawn::{Work, become_guardian, go_first};
use crate::hunt::inserts::watch;
use crate::hunt::mallocs::follow;
use crate::profile::sampler;

/// What is to be done.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[arg(value_parser = PossibleValuesParser::new(Work::ALL.map(Work::name)))]
    work: String,
}

/// Reads a request from standard input, and serves it until that is closed. If there is none, whoever
/// wanted to ask has gone.
pub fn run(args: &Args) -> Result<ExitCode, CommandError> {
    become_guardian();
    let work = Work::ALL.into_iter().find(|work| work.name() == args.work);
    let mut request = String::new();
    // Nothing follows the request, so what the reader has buffered is not missed.
    BufReader::new(io::stdin()).read_line(&mut request)?;
    if request.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    let (control, reports) = (io::stdin(), io::stdout().as_fd().try_clone_to_owned()?);
    match work.context("no such work")? {
        Work::Sample => {
            let request = serde_json::from_str(&request)?;
            sampler::serve(&request, control.as_fd(), &mut Outbox::new(reports)?)?;
        }
        Work::Watch => {
            go_first();
            let request = serde_json::from_str(&request)?;
            watch::serve(&request, control.as_fd(), &mut Outbox::new(reports)?)?;
        }
        Work::Follow => {
            go_first();
            let request = serde_json::from_str(&request)?;
            follow::serve(&request, control.as_fd(), &mut Outbox::new(reports)?)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
