//! `leakspy record`: samples allocations for a while and writes who made them.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{self, Child, ExitCode, ExitStatus};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, anyhow};
use clap::{ValueEnum, value_parser};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

use super::progress::Progress;
use super::{advice, output, say};
use crate::profile::By;
use crate::profile::recorder::Options;
use crate::profile::recording::Recording;
use crate::profile::stack_recorder::{self, StackRecorder};
use crate::render::{Form, Paths, Style};
use crate::target::breakpoint::Way;
use crate::target::{Process, ProcessError};

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

impl Args {
    /// What is sampled.
    fn options(&self) -> Options {
        Options {
            rate: f64::from(self.rate),
            way: self.breakpoints.way(),
            threads: self.threads,
            processes: self.subprocesses,
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
    let signals = Signals::listen().context("cannot listen for signals")?;
    match args.target.pid {
        Some(pid) => {
            record_pid(args, pid, &signals)?;
            Ok(ExitCode::SUCCESS)
        }
        None => run_command(args, &signals),
    }
}

fn record_pid(args: &Args, pid: i32, signals: &Signals) -> anyhow::Result<()> {
    let process = Process::open(pid)?;
    if args.nonblocking {
        let stacks = StackRecorder::attach(process, args.stack_options())?;
        return record_stacks(args, pid, stacks, signals);
    }
    let recording = Recording::attach(process, args.options(), args.subprocesses)?;
    record_allocations(args, pid, recording, signals)
}

/// Starts the command, records it, and takes over its exit status.
fn run_command(args: &Args, signals: &Signals) -> anyhow::Result<ExitCode> {
    let mut child = start(&args.target.command)?;
    let result = record_child(args, &child, signals);
    if let Err(error) = &result {
        // The program goes on all the same, and its exit status is still what counts.
        let pid = child.id() as i32;
        say(format_args!("leakspy: {}", advice::explain(error, Some(pid))));
    }
    Ok(exit_code(signals.wait_for(&mut child)?))
}

fn record_child(args: &Args, child: &Child, signals: &Signals) -> anyhow::Result<()> {
    let pid = child.id() as i32;
    let process = match Process::open(pid) {
        // Nobody else would have waited for it.
        Err(ProcessError::Zombie { .. }) => return Err(nothing_recorded(pid, signals)),
        opened => opened?,
    };
    if args.nonblocking {
        let stacks = StackRecorder::expect(&process, args.stack_options());
        return record_stacks(args, pid, stacks, signals);
    }
    let recording = Recording::expect(&process, args.options(), args.subprocesses);
    record_allocations(args, pid, recording, signals)
}

/// Why there is nothing, not even an empty recording.
fn nothing_recorded(pid: i32, signals: &Signals) -> anyhow::Error {
    let what = if signals.came() { "did not become" } else { "ended before it became" };
    anyhow!("Process {pid} {what} a Python that could be recorded.")
}

/// Samples until the time is over, a signal comes or the target ends.
fn record_allocations(
    args: &Args,
    pid: i32,
    mut recording: Recording,
    signals: &Signals,
) -> anyhow::Result<()> {
    let progress = Progress::begin();
    while !recording.is_over() {
        recording.step(TICK)?;
        for (pid, error) in recording.refusals() {
            progress.say(&advice::explain(&error.into(), Some(pid)));
        }
        let Some(elapsed) = recording.elapsed() else {
            if signals.came() {
                recording.stop();
            }
            continue;
        };
        progress.show(elapsed, recording.processes(), recording.samples(), recording.mean_pause());
        if signals.came() || args.duration.is_some_and(|duration| elapsed >= duration) {
            recording.stop();
        }
    }
    progress.clear();
    let recorded = recording.finish().ok_or_else(|| nothing_recorded(pid, signals))?;
    output::write_recorded(&recorded, args)
}

/// Records stacks without ever pausing the process.
fn record_stacks(
    args: &Args,
    pid: i32,
    mut stacks: StackRecorder,
    signals: &Signals,
) -> anyhow::Result<()> {
    say(
        "Without pauses only stacks are recorded: which code has the interpreter, and nothing about \
         memory. A stack that changed while it was read may be wrong.",
    );
    let pace = Duration::from_secs(1) / args.rate;
    let progress = Progress::begin();
    while stacks.sample()? && !signals.came() {
        for (pid, error) in stacks.refusals() {
            progress.say(&advice::explain(&error.into(), Some(pid)));
        }
        let Some(elapsed) = stacks.elapsed() else {
            thread::sleep(pace.min(TICK));
            continue;
        };
        progress.show(elapsed, stacks.processes(), stacks.samples(), Duration::ZERO);
        if args.duration.is_some_and(|duration| elapsed >= duration) {
            break;
        }
        thread::sleep(pace);
    }
    progress.clear();
    let recorded = stacks.finish().ok_or_else(|| nothing_recorded(pid, signals))?;
    output::write_stacks(&recorded, args)
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
