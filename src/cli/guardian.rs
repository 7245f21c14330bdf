//! The hidden subcommand under which leakspy samples or watches on behalf of another leakspy.
//!
//! See [`guardian`](crate::target::guardian) for why it is a process of its own.

use std::io::{self, BufRead, BufReader};
use std::os::fd::AsFd;
use std::process::ExitCode;

use anyhow::Context;
use clap::builder::PossibleValuesParser;
use serde::de::DeserializeOwned;

use crate::hunt::watch;
use crate::profile::outbox::Outbox;
use crate::profile::sampler;
use crate::target::guardian::{Work, become_guardian, go_first};

/// What is to be done.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[arg(value_parser = PossibleValuesParser::new(Work::ALL.map(Work::name)))]
    work: String,
}

/// Reads a request from standard input, and serves it until that is closed.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    become_guardian();
    let work = Work::ALL.into_iter().find(|work| work.name() == args.work);
    let (control, reports) = (io::stdin(), io::stdout().as_fd().try_clone_to_owned()?);
    match work.context("no such work")? {
        Work::Sample => {
            sampler::serve(&request()?, control.as_fd(), &mut Outbox::new(reports)?)?;
        }
        Work::Watch => {
            go_first();
            watch::serve(&request()?, control.as_fd(), &mut Outbox::new(reports)?)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn request<R: DeserializeOwned>() -> anyhow::Result<R> {
    let mut line = String::new();
    // Nothing follows the request, so what the reader has buffered is not missed.
    BufReader::new(io::stdin()).read_line(&mut line)?;
    Ok(serde_json::from_str(&line)?)
}
