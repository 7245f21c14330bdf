//! `leakspy timeline`: memory over time, written to a file as it is measured.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::ValueEnum;

use crate::cli::args::flags::{JsonArg, SubprocessesArg};
use crate::cli::args::form::form;
use crate::cli::args::target::Target;
use crate::cli::args::time::seconds;
use crate::cli::children::tell_left_out;
use crate::cli::clock::{Clock, now};
use crate::cli::errors::{CommandError, Context};
use crate::cli::output::{check_writable, default_path};
use crate::cli::progress::Line;
use crate::cli::signals::Signals;
use crate::cli::terminal::{print, say};
use crate::private_file::PrivateFile;
use crate::process::{Process, ProcessError};
use crate::render::phrases;
use crate::render::sparkline::sparkline;
use crate::render::timeline::write_recorded;
use crate::timeline::{Form, History, Observer, Options, Sample, Writer};

/// Record the memory of a process over time.
///
/// The file is a table that any program can read, with a line per process and sample. It grows as it is
/// recorded, so nothing is lost if leakspy is killed. `leakspy plot` draws it, `leakspy peak` prints peaks
/// and slopes. The process is never paused.
#[derive(Debug, clap::Args)]
#[command(override_usage = "leakspy timeline [OPTIONS] <PID>
       leakspy timeline [OPTIONS] -- <COMMAND>...")]
pub struct Args {
    /// What is observed.
    #[command(flatten)]
    pub target: Target,
    /// Stop after this time, such as 90s or 5m [default: on Ctrl-C, or when the process ends].
    #[arg(short, long, value_name = "TIME", value_parser = seconds)]
    pub duration: Option<Duration>,
    /// The time between two samples.
    #[arg(short, long, value_name = "TIME", default_value = "0.1s", value_parser = seconds)]
    pub interval: Duration,
    /// The time between two looks at the proportional and the unique set (PSS and USS), which cost more;
    /// `never` for none.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = seconds_or_never)]
    pub shares: Duration,
    /// The file to write, `-` for standard output [default: leakspy-PID-TIME.csv].
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// What to write [default: by the extension of the file, otherwise csv].
    #[arg(short, long, value_enum)]
    pub format: Option<Format>,
    /// Whether child processes are included.
    #[command(flatten)]
    pub children: SubprocessesArg,
    /// Note what Python runs whenever the resident set has jumped.
    #[arg(long)]
    pub stacks: bool,
    /// Whether what was found is printed as JSON at the end.
    #[command(flatten)]
    pub json: JsonArg,
}

/// The forms of output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Comma-separated values, with names and units in the first line.
    #[default]
    Csv,
    /// The format that memory_profiler's `mprof plot` reads.
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

impl Args {
    fn format(&self) -> Result<Format, CommandError> {
        let forms: &[(&str, &[Format])] = &[("csv", &[Format::Csv]), ("dat", &[Format::Mprof])];
        Ok(form("format", self.format, self.output.as_deref(), forms)?.unwrap_or_default())
    }
}

/// Records the memory of a process, or of a command.
pub fn run(args: &Args) -> Result<ExitCode, CommandError> {
    args.format()?;
    if args.json.json && args.output.as_deref() == Some(Path::new("-")) {
        return Err(CommandError::Usage(
            "`--json` and `-o -` would both write to standard output: give the samples a file"
                .into(),
        ));
    }
    if let Some(path) = &args.output {
        check_writable(path)?;
    }
    let signals = Signals::listen().context("cannot listen for signals")?;
    let too_short = |pid| CommandError::new(format_args!("Process {pid} ended at once."));
    let record = |process| record(args, process, &signals);
    let (_, status) = args.target.observe(&signals, too_short, record)?;
    Ok(status)
}

fn record(args: &Args, process: Process, signals: &Signals) -> Result<(), CommandError> {
    let pid = process.pid();
    let (form, ending) = args.format()?.form();
    let path = args.output.clone().unwrap_or_else(|| default_path(pid, ending));
    let out: Box<dyn Write> = match &*path {
        path if path == Path::new("-") => Box::new(io::stdout()),
        path => {
            // It has its name from the start: whoever looks meanwhile sees what has come so far.
            let file = PrivateFile::create(path).and_then(PrivateFile::finish);
            Box::new(file.with_context(|| format!("cannot write {}", path.display()))?)
        }
    };
    if args.target.pid().is_some() {
        tell_left_out(pid, args.children);
    }
    let mut writer = Writer::new(out, form, pid);
    let options = Options {
        subprocesses: args.children.subprocesses,
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
        if args.children.subprocesses {
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
    let elapsed = clock.begin.elapsed();
    say(summary(&history, elapsed));
    if args.json.json {
        let file = path.to_string_lossy();
        print(true, |out| Ok(write_recorded(pid, &file, elapsed.as_secs_f64(), &history, out)?))?;
    }
    Ok(())
}

/// The line shown meanwhile.
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

/// The summary at the end.
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
