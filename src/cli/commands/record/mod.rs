//! `leakspy record`: a picture of a process's memory, in one of several views.
//!
//! Here is what all views share. Each view has a file of its own.

mod allocated;
mod live;
mod traced;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Child, ExitCode};
use std::time::Duration;

use bytesize::ByteSize;
use clap::{ValueEnum, value_parser};

use crate::cli::command::{exit_code, start};
use crate::cli::errors::advice;
use crate::cli::errors::{CommandError, Context};
use crate::cli::say;
use crate::cli::signals::Signals;
use crate::guardian::Program;
use crate::heap::CaptureOptions;
use crate::process::breakpoint::Way;
use crate::process::{Process, ProcessError};
use crate::profile::By;
use crate::profile::recorder::Options;
use crate::profile::stack_recorder;
use crate::render::{Form, Paths, Style};

/// Draw a flamegraph of a process's memory: of the objects that live, or of what is allocated.
///
/// By default it shows all objects that live at this moment, each where it is held; with --duration, what
/// has grown and shrunk meanwhile. With --view alloc it shows which stacks allocate memory: an estimate of
/// all that was asked for while recording, freed since or not, from allocations sampled at random with the
/// processor's breakpoint registers. If the process runs with tracemalloc on, --view traced shows exactly
/// which stacks allocated what is alive.
#[derive(Debug, clap::Args)]
#[command(override_usage = "leakspy record [OPTIONS] --pid <PID>
       leakspy record [OPTIONS] -- <COMMAND>...")]
pub struct Args {
    /// Whom to record.
    #[command(flatten)]
    pub target: Target,
    /// What to show [default: live; alloc for a COMMAND].
    #[arg(long, value_enum, value_name = "VIEW")]
    pub view: Option<View>,
    /// Stop after this many seconds [default: on Ctrl-C, or when the process ends; live and traced look at
    /// once].
    #[arg(short, long, value_name = "SECONDS", value_parser = seconds)]
    pub duration: Option<Duration>,
    /// Samples a second (alloc).
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
    /// Keep threads apart, as live always does.
    #[arg(short, long)]
    pub threads: bool,
    /// Show whole paths of files.
    #[arg(long, alias = "full-filenames")]
    pub full_paths: bool,
    /// Never pause the process. For alloc there are then only stacks, which say nothing about memory;
    /// for live the parts do not fit together exactly.
    #[arg(long)]
    pub nonblocking: bool,
    /// Show where each object was allocated too, as far as tracemalloc is on in the process (live).
    #[arg(long)]
    pub born: bool,
    /// How much memory leakspy may use, such as 2GiB (live) [default: half of what is available].
    #[arg(long, value_name = "SIZE")]
    pub max_memory: Option<ByteSize>,
    /// How to get at the breakpoint registers (alloc).
    #[arg(long, value_enum, default_value_t, value_name = "WAY", conflicts_with = "nonblocking")]
    pub breakpoints: Breakpoints,
}

/// A process that runs already, or one to start.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub struct Target {
    /// The process to look at.
    #[arg(short, long, value_name = "PID", value_parser = value_parser!(i32).range(1..))]
    pub pid: Option<i32>,
    /// A command to start and observe from its beginning; its exit status becomes ours.
    #[arg(last = true, value_name = "COMMAND", num_args = 1..)]
    pub command: Vec<OsString>,
}

/// What can be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum View {
    /// The objects that live, each where it is held.
    Live,
    /// Memory asked for while recording, freed since or not, by the stack that asks: an estimate.
    Alloc,
    /// Blocks that are alive, from the tables of tracemalloc, which must be on in the process: exact.
    Traced,
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
    /// Bytes.
    #[default]
    Bytes,
    /// Objects, however large.
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

impl Args {
    /// What is shown.
    pub fn view(&self) -> View {
        self.view.unwrap_or(match self.target.pid {
            Some(_) => View::Live,
            None => View::Alloc,
        })
    }

    /// Why the arguments do not go together, if so.
    fn contradiction(&self) -> Option<&'static str> {
        let view = self.view();
        if view != View::Alloc && self.breakpoints != Breakpoints::Auto {
            Some("only `--view alloc` sets breakpoints: leave `--breakpoints` out")
        } else if view != View::Alloc && self.target.pid.is_none() && self.duration.is_none() {
            Some(
                "this view looks at one moment: say with `--duration` how long after the start of the \
                 command",
            )
        } else if view == View::Traced && self.threads {
            Some("tracemalloc does not know which thread allocated a block: leave `--threads` out")
        } else if view == View::Traced && self.nonblocking {
            Some("`--view traced` needs one pause: leave `--nonblocking` out")
        } else {
            None
        }
    }

    /// How a heap is captured.
    fn capture_options(&self) -> CaptureOptions {
        CaptureOptions {
            pausing: !self.nonblocking,
            max_memory: self.max_memory.map(|size| size.as_u64()),
        }
    }

    /// What is sampled.
    fn options(&self, guardian: &Program) -> Options {
        Options {
            rate: f64::from(self.rate),
            way: self.breakpoints.way(),
            threads: self.threads,
            processes: self.subprocesses,
            guardian: guardian.clone(),
        }
    }

    /// What is sampled without pauses.
    fn stack_options(&self) -> stack_recorder::Options {
        stack_recorder::Options { threads: self.threads, subprocesses: self.subprocesses }
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
pub fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds".to_string())?;
    match Duration::try_from_secs_f64(seconds) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        _ => Err("must be more than 0 seconds".into()),
    }
}

/// Records, and writes what was recorded.
pub fn run(args: &Args, guardian: &Program) -> Result<ExitCode, CommandError> {
    if let Some(refusal) = args.contradiction() {
        return Err(CommandError::Usage(refusal));
    }
    let signals = Signals::listen().context("cannot listen for signals")?;
    match args.target.pid {
        Some(pid) => {
            record(args, Process::open(pid)?, &signals, guardian)?;
            Ok(ExitCode::SUCCESS)
        }
        None => run_command(args, &signals, guardian),
    }
}

fn record(
    args: &Args,
    process: Process,
    signals: &Signals,
    guardian: &Program,
) -> Result<(), CommandError> {
    match args.view() {
        View::Live => live::record(args, &process, signals),
        View::Alloc => allocated::record(args, process, signals, guardian),
        View::Traced => traced::record(args, &process, signals),
    }
}

/// Starts the command, records it, and takes over its exit status.
fn run_command(
    args: &Args,
    signals: &Signals,
    guardian: &Program,
) -> Result<ExitCode, CommandError> {
    let mut child = start(&args.target.command)?;
    if let Err(error) = record_child(args, &child, signals, guardian) {
        // The program goes on all the same, and its exit status is still what counts.
        let pid = child.id() as i32;
        say(format_args!("leakspy: {}", advice::explain(&error, Some(pid))));
    }
    Ok(exit_code(signals.wait_for(&mut child)?))
}

fn record_child(
    args: &Args,
    child: &Child,
    signals: &Signals,
    guardian: &Program,
) -> Result<(), CommandError> {
    let pid = child.id() as i32;
    match Process::open(pid) {
        // Nobody else would have waited for it.
        Err(ProcessError::Zombie { .. }) => Err(nothing_recorded(pid, signals)),
        process => record(args, process?, signals, guardian),
    }
}

/// Why there is nothing, not even an empty recording.
fn nothing_recorded(pid: i32, signals: &Signals) -> CommandError {
    let what = if signals.came() { "did not become" } else { "ended before it became" };
    CommandError::new(format_args!("Process {pid} {what} a Python that could be recorded."))
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
        assert_eq!(args.view(), View::Live);
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
