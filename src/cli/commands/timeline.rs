//! `leakspy timeline`: memory over time, into a file as it goes.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use clap::ValueEnum;

use super::record::{Target, seconds};
use crate::cli::command::{exit_code, start};
use crate::cli::errors::advice;
use crate::cli::errors::{CommandError, Context};
use crate::cli::output::default_path;
use crate::cli::progress::Line;
use crate::cli::say;
use crate::cli::signals::Signals;
use crate::process::{Process, ProcessError};
use crate::render::phrases;
use crate::render::sparkline::sparkline;
use crate::timeline::{Form, History, Observer, Options, Sample, Writer};

/// Write down how much memory a process has, from moment to moment.
///
/// The file is a table that any program reads: a line for each process and moment. It grows as it goes,
/// so that nothing is lost if leakspy is killed. `leakspy plot` draws it, `leakspy peak` prints what it
/// comes to. The process is never paused.
#[derive(Debug, clap::Args)]
#[command(override_usage = "leakspy timeline [OPTIONS] --pid <PID>
       leakspy timeline [OPTIONS] -- <COMMAND>...")]
pub struct Args {
    /// Whom to look at.
    #[command(flatten)]
    pub target: Target,
    /// Stop after this many seconds [default: on Ctrl-C, or when the process ends].
    #[arg(short, long, value_name = "SECONDS", value_parser = seconds)]
    pub duration: Option<Duration>,
    /// The time between two samples, in seconds.
    #[arg(short, long, value_name = "SECONDS", default_value = "0.1", value_parser = seconds)]
    pub interval: Duration,
    /// The time between two looks at the proportional and the unique set (PSS and USS), which cost more;
    /// `never` for none.
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = seconds_or_never)]
    pub shares: Duration,
    /// The file to write, `-` for standard output [default: leakspy-PID-TIME.csv].
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// What to write.
    #[arg(short, long, value_enum, default_value_t)]
    pub format: Format,
    /// Follow its child processes too, and theirs, as they come and go.
    #[arg(short, long)]
    pub subprocesses: bool,
    /// Note what Python runs whenever the resident set has jumped.
    #[arg(long)]
    pub stacks: bool,
}

/// What can be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Comma-separated values, with names and units in the first line.
    #[default]
    Csv,
    /// What memory_profiler's `mprof plot` reads.
    Mprof,
}

impl Format {
    fn form(self) -> (Form, &'static str) {
        match self {
            Format::Csv => (Form::Csv, "csv"),
            Format::Mprof => (Form::Mprof, "dat"),
        }
    }
}

/// A length of time, or none.
fn seconds_or_never(text: &str) -> Result<Duration, String> {
    if text == "never" { Ok(Duration::ZERO) } else { seconds(text) }
}

/// Writes down the memory of a process, or of a command.
pub fn run(args: &Args) -> Result<ExitCode, CommandError> {
    let signals = Signals::listen().context("cannot listen for signals")?;
    if let Some(pid) = args.target.pid {
        record(args, Process::open(pid)?, &signals)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut child = start(&args.target.command)?;
    let pid = child.id() as i32;
    let recorded = match Process::open(pid) {
        Err(ProcessError::Zombie { .. }) => {
            Err(CommandError::new(format_args!("Process {pid} ended at once.")))
        }
        process => process.map_err(Into::into).and_then(|process| record(args, process, &signals)),
    };
    if let Err(error) = recorded {
        // The program goes on all the same, and its exit status is still what counts.
        say(format_args!("leakspy: {}", advice::explain(&error, Some(pid))));
    }
    Ok(exit_code(signals.wait_for(&mut child)?))
}

fn record(args: &Args, process: Process, signals: &Signals) -> Result<(), CommandError> {
    let pid = process.pid();
    let (form, ending) = args.format.form();
    let path = args.output.clone().unwrap_or_else(|| default_path(pid, ending));
    let out: Box<dyn Write> = match &*path {
        path if path == Path::new("-") => Box::new(io::stdout()),
        path => {
            let file = File::create(path);
            Box::new(file.with_context(|| format!("cannot write {}", path.display()))?)
        }
    };
    let mut writer = Writer::new(out, form, pid);
    let options = Options {
        subprocesses: args.subprocesses,
        counters: true,
        stacks: args.stacks,
        shares: args.shares,
    };
    let mut observer = Observer::new(process, options);
    let mut history = History::default();
    let line = Line::begin();
    let mut clock = Clock::start(args.interval);
    let mut failed = Ok(());
    while !signals.came() && args.duration.is_none_or(|most| clock.begin.elapsed() < most) {
        let mut samples = observer.look(now());
        if observer.has_ended() || samples.is_empty() {
            break;
        }
        let processes = samples.len();
        if args.subprocesses {
            samples.insert(0, Sample::sum(&samples));
        }
        failed = writer.write(&samples);
        if failed.is_err() {
            break;
        }
        if let Some(sample) = samples.first() {
            history.add(sample.time_s, sample.rss_bytes);
        }
        line.show("Recording; Ctrl-C to stop.", || live(&history, processes));
        clock.wait(signals, args.duration);
    }
    line.clear();
    failed.with_context(|| format!("cannot write {}", path.display()))?;
    if history.seen() == 0 {
        return Err(ProcessError::Ended { pid }.into());
    }
    if path != Path::new("-") {
        say(format_args!("Wrote {}", path.display()));
    }
    say(summary(&history, clock.begin.elapsed()));
    Ok(())
}

/// Seconds since 1970.
pub fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

/// The line that is shown meanwhile.
fn live(history: &History, processes: usize) -> String {
    let now = history.last().next_back().unwrap_or_default();
    let processes = match processes {
        0 | 1 => String::new(),
        several => format!("{several} processes, "),
    };
    let peak = history.peak().map(|peak| phrases::mib(peak.bytes as f64)).unwrap_or_default();
    let trend = history.trend().as_ref().map(|trend| format!(", {}", phrases::trend(trend)));
    format!(
        "{} {processes}now {}, peak {peak}{}. Ctrl-C to stop.",
        sparkline(history.last()),
        phrases::mib(now),
        trend.unwrap_or_default()
    )
}

/// What it came to.
fn summary(history: &History, elapsed: Duration) -> String {
    let peak = history.peak().map(|peak| phrases::mib(peak.bytes as f64)).unwrap_or_default();
    let trend = history.trend().as_ref().map(|trend| format!(", {}", phrases::trend(trend)));
    format!(
        "{} samples in {:.1} s: peak {peak}{}.",
        history.seen(),
        elapsed.as_secs_f64(),
        trend.unwrap_or_default()
    )
}

/// Moments at equal distances. One that is missed is left out.
pub struct Clock {
    begin: Instant,
    interval: Duration,
    next: Instant,
}

impl Clock {
    /// The first moment is now.
    pub fn start(interval: Duration) -> Clock {
        let begin = Instant::now();
        Clock { begin, interval, next: begin }
    }

    /// Waits for the next moment, a signal, or until so long after the beginning.
    pub fn wait(&mut self, signals: &Signals, most: Option<Duration>) {
        let now = Instant::now();
        while self.next <= now {
            // From far behind in one step, not in many.
            let behind = now.duration_since(self.next).as_nanos() / self.interval.as_nanos().max(1);
            let steps = u32::try_from(behind).unwrap_or(u32::MAX).saturating_add(1);
            self.next += self.interval.saturating_mul(steps);
        }
        let end = most.map_or(self.next, |most| self.next.min(self.begin + most));
        signals.sleep_until(end);
    }
}
