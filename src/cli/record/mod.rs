//! `leakspy record`: writes which stacks memory comes from, in one of several views.
//!
//! Here is what all views share: the arguments, a command that is started, the signals that end a recording.
//! Each view has a file of its own.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{self, Child, ExitCode, ExitStatus};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::Context;
use clap::{ValueEnum, value_parser};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

use super::{advice, say};
use crate::profile::By;
use crate::render::{Form, Paths, Style};
use crate::target::Process;
use crate::target::breakpoint::Way;

mod alloc;
mod traced;

/// Record which stacks allocate memory, and draw a flamegraph of them.
///
/// Allocations are sampled at random, with the processor's breakpoint registers; what is shown is
/// an estimate of all memory asked for while recording, whether it was freed since or not. If the
/// process runs with tracemalloc on, `--view traced` shows exactly which stacks allocated what is
/// alive.
#[derive(Debug, clap::Args)]
#[command(override_usage = "leakspy record [OPTIONS] --pid <PID>
       leakspy record [OPTIONS] -- <COMMAND>...")]
pub struct Args {
    /// Whom to record.
    #[command(flatten)]
    pub target: Target,
    /// What to show.
    #[arg(long, value_enum, default_value_t)]
    pub view: View,
    /// Stop after this many seconds [default: on Ctrl-C, or when the process ends]. With `--view
    /// traced`: wait so long [default: not at all].
    #[arg(short, long, value_name = "SECONDS", value_parser = seconds)]
    pub duration: Option<Duration>,
    /// Samples a second, with `--view alloc`.
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

/// What can be shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum View {
    /// Memory asked for while recording, freed since or not: an estimate.
    #[default]
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

/// How often the progress is drawn anew, and a signal looked for.
const TICK: Duration = Duration::from_millis(50);

/// Records, and writes what was recorded.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    if args.view == View::Traced {
        traced::check(args);
    }
    let signals = Signals::listen().context("cannot listen for signals")?;
    match args.target.pid {
        Some(pid) => {
            record(args, Process::open(pid)?, &signals)?;
            Ok(ExitCode::SUCCESS)
        }
        None => run_command(args, &signals),
    }
}

fn record(args: &Args, process: Process, signals: &Signals) -> anyhow::Result<()> {
    match args.view {
        View::Alloc => alloc::record(args, process, signals),
        View::Traced => traced::record(args, &process, signals),
    }
}

/// Starts the command, records it, and takes over its exit status.
fn run_command(args: &Args, signals: &Signals) -> anyhow::Result<ExitCode> {
    let mut child = start(&args.target.command)?;
    let pid = child.id() as i32;
    let result = Process::open(pid)
        .map_err(anyhow::Error::from)
        .and_then(|process| record(args, process, signals));
    if let Err(error) = &result {
        // The program goes on all the same, and its exit status is still what counts.
        say(format_args!("leakspy: {}", advice::explain(error, Some(pid))));
    }
    Ok(exit_code(signals.wait_for(&mut child)?))
}

/// Starts a command whose output is ours.
fn start(command: &[OsString]) -> anyhow::Result<Child> {
    let (program, arguments) = command.split_first().context("no command")?;
    let mut command = process::Command::new(program);
    command.args(arguments);
    // Where Yama protects processes from all but their ancestors, the guardian is none: the program
    // allows to be observed by anyone who may.
    // SAFETY: prctl with integer arguments is all that happens between fork and exec.
    unsafe {
        command.pre_exec(|| {
            libc::prctl(libc::PR_SET_PTRACER, libc::PR_SET_PTRACER_ANY);
            Ok(())
        });
    }
    command.spawn().with_context(|| format!("cannot start {}", program.to_string_lossy()))
}

/// The exit status of a shell for a program that ended so.
fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status.code().or_else(|| Some(128 + status.signal()?)).unwrap_or(1);
    u8::try_from(code).map_or(ExitCode::FAILURE, ExitCode::from)
}

/// The signals on which a recording ends. A second one ends leakspy at once.
struct Signals {
    interrupt: Arc<AtomicBool>,
    terminate: Arc<AtomicBool>,
}

impl Signals {
    fn listen() -> io::Result<Signals> {
        let flag = |signals: &[i32]| -> io::Result<Arc<AtomicBool>> {
            let came = Arc::new(AtomicBool::new(false));
            for &signal in signals {
                flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&came))?;
                flag::register(signal, Arc::clone(&came))?;
            }
            Ok(came)
        };
        Ok(Signals { interrupt: flag(&[SIGINT])?, terminate: flag(&[SIGTERM, SIGHUP])? })
    }

    fn came(&self) -> bool {
        self.interrupt.load(Ordering::Relaxed) || self.terminate.load(Ordering::Relaxed)
    }

    /// Waits for a command to end. It got a Ctrl-C as we did, but not a signal that was sent to us.
    fn wait_for(&self, child: &mut Child) -> io::Result<ExitStatus> {
        let mut told = false;
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(status);
            }
            if self.terminate.load(Ordering::Relaxed) && !told {
                told = true;
                // It fails only if the command has ended, and then there is nobody to tell.
                let _ = kill(Pid::from_raw(child.id() as i32), Signal::SIGTERM);
            }
            thread::sleep(TICK);
        }
    }
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
        assert_eq!(args.view, View::Alloc);
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
