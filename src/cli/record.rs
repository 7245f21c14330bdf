//! `leakspy record`: samples allocations for a while and writes who made them.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{ValueEnum, value_parser};

use crate::profile::By;
use crate::render::{Form, Paths, Style};
use crate::target::breakpoint::Way;

/// Record which stacks allocate memory, and draw a flamegraph of them.
///
/// Allocations are sampled at random, with the processor's breakpoint registers; what is shown is
/// an estimate of all memory asked for while recording, whether it was freed since or not.
#[derive(Debug, clap::Args)]
#[command(override_usage = "leakspy record [OPTIONS] --pid <PID>
       leakspy record [OPTIONS] -- <COMMAND>...")]
pub struct Args {
    /// Whom to record.
    #[command(flatten)]
    pub target: Target,
    /// Stop after this many seconds [default: on Ctrl-C, or when the process ends].
    #[arg(short, long, value_name = "SECONDS", value_parser = seconds)]
    pub duration: Option<Duration>,
    /// Samples a second.
    #[arg(
        short, long, value_name = "RATE", default_value_t = 100,
        value_parser = value_parser!(u32).range(1..=10_000)
    )]
    pub rate: u32,
    /// The file to write, `-` for standard output [default: leakspy-PID-TIME.svg].
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// What to write.
    #[arg(short, long, value_enum, default_value_t)]
    pub format: Format,
    /// What widths and ranks are made of.
    #[arg(long, value_enum, default_value_t, value_name = "MEASURE")]
    pub by: Measure,
    /// Record its child processes too, those that appear later included.
    #[arg(short, long)]
    pub subprocesses: bool,
    /// Keep threads apart.
    #[arg(short, long)]
    pub threads: bool,
    /// Show whole paths of files.
    #[arg(long, alias = "full-filenames")]
    pub full_paths: bool,
    /// Never pause the process: record only stacks, which say nothing about memory.
    #[arg(long)]
    pub nonblocking: bool,
    /// How to get at the breakpoint registers.
    #[arg(long, value_enum, default_value_t, value_name = "WAY", conflicts_with = "nonblocking")]
    pub breakpoints: Breakpoints,
}

/// A process that runs already, or one to start.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub struct Target {
    /// The process to record.
    #[arg(short, long, value_name = "PID", value_parser = value_parser!(i32).range(1..))]
    pub pid: Option<i32>,
    /// A command to start and record from its beginning; its exit status becomes ours.
    #[arg(last = true, value_name = "COMMAND", num_args = 1..)]
    pub command: Vec<OsString>,
}

/// What can be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// An interactive SVG for any browser.
    #[default]
    Flamegraph,
    /// Collapsed stacks, one a line, as flamegraph.pl reads them.
    #[value(alias = "raw")]
    Folded,
    /// A file for <https://www.speedscope.app>.
    Speedscope,
    /// leakspy's own JSON (described in docs/json.md).
    Json,
}

/// What can be weighed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Measure {
    /// Bytes asked for.
    #[default]
    Bytes,
    /// Allocations, however large.
    Objects,
}

/// The ways to the processor's breakpoint registers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Breakpoints {
    /// Perf events, ptrace where those are refused.
    #[default]
    Auto,
    /// Perf events only (Linux 5.13 or later).
    Perf,
    /// ptrace only.
    Ptrace,
}

impl Args {
    /// The form to write.
    pub fn form(&self) -> Form {
        match self.format {
            Format::Flamegraph => Form::Flamegraph,
            Format::Folded => Form::Folded,
            Format::Speedscope => Form::Speedscope,
            Format::Json => Form::Json,
        }
    }

    /// How it is to look.
    pub fn style(&self) -> Style {
        Style {
            by: match self.by {
                Measure::Bytes => By::Bytes,
                Measure::Objects => By::Objects,
            },
            paths: if self.full_paths { Paths::Full } else { Paths::Short },
        }
    }
}

impl Breakpoints {
    /// The way that must be taken, if one must.
    pub fn way(self) -> Option<Way> {
        match self {
            Breakpoints::Auto => None,
            Breakpoints::Perf => Some(Way::Perf),
            Breakpoints::Ptrace => Some(Way::Ptrace),
        }
    }
}

/// A length of time above zero, in seconds that may have a fraction.
fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds".to_string())?;
    match Duration::try_from_secs_f64(seconds) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        _ => Err("must be more than 0 seconds".into()),
    }
}

/// Records, and writes what was recorded.
pub fn run(_args: &Args) -> anyhow::Result<ExitCode> {
    anyhow::bail!("this build cannot record")
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn parse(line: &str) -> Result<Args, clap::Error> {
        let words = ["record"].into_iter().chain(line.split_whitespace());
        Line::try_parse_from(words).map(|line| line.args)
    }

    #[test]
    fn defaults() {
        let args = parse("--pid 12").expect("parsed");
        assert_eq!(args.target.pid, Some(12));
        assert_eq!((args.duration, args.rate, args.output.as_deref()), (None, 100, None));
        assert_eq!((args.form(), args.style()), (Form::Flamegraph, Style::default()));
        assert_eq!(args.breakpoints.way(), None);
    }

    #[test]
    fn a_command_keeps_its_own_options() {
        let args =
            parse("-d 2.5 -f json --by objects -- python -m app --pid 3 -d").expect("parsed");
        assert_eq!(args.target.pid, None);
        assert_eq!(args.target.command, ["python", "-m", "app", "--pid", "3", "-d"]);
        assert_eq!(args.duration, Some(Duration::from_millis(2500)));
        assert_eq!((args.form(), args.style().by), (Form::Json, By::Objects));
    }

    #[test]
    fn what_py_spy_calls_by_other_names_is_understood() {
        let args = parse("-p 12 -f raw --full-filenames -s -t").expect("parsed");
        assert_eq!((args.form(), args.style().paths), (Form::Folded, Paths::Full));
        assert!(args.subprocesses && args.threads);
    }

    #[test]
    fn nonsense_is_refused() {
        for line in [
            "",
            "--pid 0",
            "--pid -3",
            "--pid x",
            "--pid 12 -- python app.py",
            "--",
            "python app.py",
            "--pid 12 --rate 0",
            "--pid 12 --rate 10001",
            "--pid 12 -d 0",
            "--pid 12 -d -1",
            "--pid 12 -d nan",
            "--pid 12 -d inf",
            "--pid 12 -f png",
            "--pid 12 --nonblocking --breakpoints perf",
        ] {
            assert!(parse(line).is_err(), "{line:?} was accepted");
        }
    }
}
