//! `leakspy watch`: waits until a process has too much memory, and then does something.

use std::env;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use bytesize::ByteSize;
use clap::value_parser;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::record::seconds;
use super::timeline::{Clock, now};
use crate::cli::errors::{CommandError, Context};
use crate::cli::say;
use crate::cli::signals::Signals;
use crate::heap::{CaptureOptions, TypeCounts};
use crate::process::cgroup::group_memory;
use crate::process::descendants::by_command;
use crate::process::{Process, ProcessError};
use crate::python::Python;
use crate::render::phrases::mib;
use crate::timeline::{Condition, Edge, Now, Observer, Options, Sample, Watched};

/// The status if nothing happened.
const NOT_FIRED: u8 = 3;
/// How often a process is looked for by its command.
const SEARCH: Duration = Duration::from_secs(2);

/// Wait until a process has too much memory, and then look at it, stop it, or run a command.
///
/// The exit status is 0 if a condition came to hold, and 3 if the process ended before, or leakspy was
/// told to. A condition that holds from the beginning counts. After it was met it has to fall by 5 %
/// before it can be met again.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Whom to watch.
    #[command(flatten)]
    pub whom: Whom,
    /// What to wait for; several of them are each waited for.
    #[command(flatten)]
    pub conditions: Conditions,
    /// The seconds over which growth is measured.
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    pub window: Duration,
    /// The seconds between two countings of objects, at least.
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    pub objects_interval: Duration,
    /// Go on afterwards, and act every time a condition comes to hold again.
    #[arg(long)]
    pub every: bool,
    /// Count its child processes in, and theirs.
    #[arg(short, long)]
    pub subprocesses: bool,
    /// The time between two looks, in seconds.
    #[arg(short, long, value_name = "SECONDS", default_value = "1", value_parser = seconds)]
    pub interval: Duration,
    /// Stop waiting after this many seconds.
    #[arg(short, long, value_name = "SECONDS", value_parser = seconds)]
    pub duration: Option<Duration>,
    /// What to do.
    #[command(flatten)]
    pub actions: Actions,
}

/// A process, or whichever has a command line.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub struct Whom {
    /// The process to watch.
    #[arg(short, long, value_name = "PID", value_parser = value_parser!(i32).range(1..))]
    pub pid: Option<i32>,
    /// Watch the process whose command line contains this text, and the next one after it has ended.
    #[arg(long, value_name = "TEXT")]
    pub name: Option<String>,
}

/// What can be waited for.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = true)]
pub struct Conditions {
    /// More memory than this (the resident set), such as 2GiB.
    #[arg(long, value_name = "SIZE")]
    pub rss_above: Option<ByteSize>,
    /// Faster growth than this, such as 50MiB/min.
    #[arg(long, value_name = "RATE", value_parser = rate)]
    pub growth: Option<f64>,
    /// More objects of a type than this, such as 'app.Session>10000'. To count them the process is paused.
    #[arg(long, value_name = "TYPE>N", value_parser = objects)]
    pub objects: Vec<(String, u64)>,
    /// More than this in the arenas of Python's own allocator.
    #[arg(long, value_name = "SIZE")]
    pub arena_above: Option<ByteSize>,
    /// More than this part of what its control group (its container) may have, in percent.
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    pub cgroup_above: Option<f64>,
}

/// What can be done.
#[derive(Debug, clap::Args)]
pub struct Actions {
    /// Print its objects by type, and keep the figures in a file (as `leakspy heap --save`).
    #[arg(long, value_name = "FILE")]
    pub heap: Option<PathBuf>,
    /// Draw a flamegraph of its objects (as `leakspy record`).
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
    /// Print the stacks of its threads (as `leakspy dump`).
    #[arg(long)]
    pub dump: bool,
    /// Print what its memory is made of (as `leakspy mem`).
    #[arg(long)]
    pub mem: bool,
    /// Hunt for what leaks in it for half a minute (as `leakspy hunt`).
    #[arg(long)]
    pub hunt: bool,
    /// Run a shell command, in which {pid} is the process.
    #[arg(long, value_name = "COMMAND")]
    pub exec: Option<String>,
    /// Stop it (SIGSTOP), so that a debugger can be attached.
    #[arg(long)]
    pub stop: bool,
}

impl Args {
    /// All that is waited for.
    fn conditions(&self) -> Vec<Condition> {
        let wanted = &self.conditions;
        let mut all = Vec::new();
        all.extend(wanted.rss_above.map(|size| Condition::Rss(size.as_u64())));
        all.extend(
            wanted.growth.map(|per_second| Condition::Growth { per_second, window: self.window }),
        );
        all.extend(wanted.arena_above.map(|size| Condition::Arenas(size.as_u64())));
        all.extend(wanted.cgroup_above.map(Condition::Group));
        all.extend(wanted.objects.iter().map(|(kind, count)| Condition::Objects {
            kind: kind.clone(),
            count: *count,
            every: self.objects_interval,
        }));
        all
    }
}

/// Bytes a second, from a size and a unit of time.
fn rate(text: &str) -> Result<f64, String> {
    let (size, unit) =
        text.split_once('/').ok_or("must be a size and a time, such as 50MiB/min")?;
    let size: ByteSize = size.trim().parse()?;
    let seconds = match unit.trim() {
        "s" | "sec" | "second" => 1.0,
        "min" | "minute" => 60.0,
        "h" | "hour" => 3600.0,
        "d" | "day" => 86400.0,
        _ => return Err("the time must be s, min, h or d".into()),
    };
    Ok(size.as_u64() as f64 / seconds)
}

/// A type and a number of objects.
fn objects(text: &str) -> Result<(String, u64), String> {
    let (kind, count) = text.split_once('>').ok_or("must be a type and a number: TYPE>N")?;
    let count = count.trim().parse().map_err(|_| "not a number of objects".to_string())?;
    match kind.trim() {
        "" => Err("the type is missing".into()),
        kind => Ok((kind.into(), count)),
    }
}

/// A part of a whole.
fn percent(text: &str) -> Result<f64, String> {
    let percent: f64 =
        text.trim_end_matches('%').parse().map_err(|_| "not a number".to_string())?;
    match percent {
        0.0..=100.0 => Ok(percent / 100.0),
        _ => Err("must be from 0 to 100".into()),
    }
}

/// How watching one process ended.
enum End {
    /// A condition was met, and that was all that was wanted.
    Fired,
    /// We were told to stop, or the time is over.
    Stopped,
    /// The process ended.
    Gone,
}

/// Waits, and acts.
pub fn run(args: &Args) -> Result<ExitCode, CommandError> {
    let signals = Signals::listen().context("cannot listen for signals")?;
    let began = Instant::now();
    let mut fired = 0;
    let mut process = args.whom.pid.map(Process::open).transpose()?;
    loop {
        let found = match (process.take(), &args.whom.name) {
            (Some(process), _) => process,
            (None, Some(name)) => match search(name, args, &signals, began) {
                Some(process) => process,
                None => break,
            },
            (None, None) => break,
        };
        match watch(args, found, &signals, began, &mut fired)? {
            End::Fired | End::Stopped => break,
            End::Gone => {}
        }
    }
    Ok(if fired > 0 { ExitCode::SUCCESS } else { ExitCode::from(NOT_FIRED) })
}

/// Whether the time is over.
fn is_over(args: &Args, began: Instant) -> bool {
    args.duration.is_some_and(|most| began.elapsed() >= most)
}

/// Waits for a process with such a command line; `None` if we are told to stop.
fn search(name: &str, args: &Args, signals: &Signals, began: Instant) -> Option<Process> {
    let mut clock = Clock::start(SEARCH);
    let rest = args.duration.map(|most| most.saturating_sub(began.elapsed()));
    let mut told = false;
    while !signals.came() && !is_over(args, began) {
        if let Some(process) = by_command(name).and_then(|pid| Process::open(pid).ok()) {
            return Some(process);
        }
        if !told {
            say(format_args!("Waiting for a process with `{name}` in its command line."));
            told = true;
        }
        clock.wait(signals, rest);
    }
    None
}

/// Watches one process.
fn watch(
    args: &Args,
    process: Process,
    signals: &Signals,
    began: Instant,
    fired: &mut u32,
) -> Result<End, CommandError> {
    let pid = process.pid();
    let mut conditions: Vec<Watched> = args.conditions().into_iter().map(Watched::new).collect();
    // One to look at, and one to act upon. It may have ended since it was found.
    let second = Process::open(pid).ok().filter(|second| second.started() == process.started());
    let (Some(second), Ok(command)) = (second, process.command()) else {
        say(format_args!("Process {pid} has ended."));
        return Ok(End::Gone);
    };
    say(format_args!("Watching process {pid}: {command}"));
    let options = Options {
        subprocesses: args.subprocesses,
        counters: args.conditions.arena_above.is_some(),
        stacks: false,
        shares: Duration::ZERO,
    };
    let mut observer = Observer::new(process, options);
    let mut clock = Clock::start(args.interval);
    let rest = args.duration.map(|most| most.saturating_sub(began.elapsed()));
    let mut most = 0;
    loop {
        let samples = observer.look(now());
        if samples.is_empty() || observer.has_ended() {
            say(format_args!(
                "Process {pid} has ended. The most memory that was seen of it is {}.",
                mib(most as f64)
            ));
            return Ok(End::Gone);
        }
        let sample = Sample::sum(&samples);
        most = most.max(sample.rss_bytes);
        let look = Now {
            sample: &sample,
            group: &|| group_memory(pid).map(|memory| memory.part()),
            objects: &|kind| count(&second, kind),
        };
        for watched in &mut conditions {
            match watched.see(&look) {
                Some((Edge::Crossed, figure)) => {
                    *fired += 1;
                    say(format_args!("Process {pid}: {}.", words(&watched.condition, figure)));
                    act(args, &second, *fired)?;
                    if !args.every {
                        return Ok(End::Fired);
                    }
                }
                Some((Edge::Rearmed, figure)) => say(format_args!(
                    "Process {pid} is below again: {}.",
                    words(&watched.condition, figure)
                )),
                _ => {}
            }
        }
        if signals.came() || is_over(args, began) {
            return Ok(End::Stopped);
        }
        clock.wait(signals, rest);
    }
}

/// How many objects of a type there are.
fn count(process: &Process, kind: &str) -> Option<u64> {
    let python = Python::attach(process).ok()?;
    let (_, types) = TypeCounts::take(process, &python, &CaptureOptions::default()).ok()?;
    let is_meant = |name: &str| name == kind || name.rsplit('.').next() == Some(kind);
    let counts = types.by_type().filter(|(found, _)| is_meant(&found.name));
    Some(counts.map(|(_, count)| count.objects).sum())
}

/// A condition and its figure in words.
fn words(condition: &Condition, figure: f64) -> String {
    match condition {
        Condition::Rss(limit) => {
            format!("{} in memory, the limit is {}", mib(figure), mib(*limit as f64))
        }
        Condition::Growth { per_second, .. } => format!(
            "it grows by {} a minute, the limit is {}",
            mib(figure * 60.0),
            mib(per_second * 60.0)
        ),
        Condition::Arenas(limit) => {
            format!("{} in arenas, the limit is {}", mib(figure), mib(*limit as f64))
        }
        Condition::Group(limit) => format!(
            "{:.1} % of what its control group may have, the limit is {:.1} %",
            100.0 * figure,
            100.0 * limit
        ),
        Condition::Objects { kind, count, .. } => {
            format!("{figure} objects of {kind}, the limit is {count}")
        }
    }
}

/// Does what was asked for. What fails is said, and the rest done.
fn act(args: &Args, process: &Process, number: u32) -> Result<(), CommandError> {
    let pid = process.pid();
    let actions = &args.actions;
    let program = env::current_exe().context("cannot find leakspy's own program")?;
    let leakspy = |words: &[&str]| {
        let mut command = Command::new(&program);
        command.args(words).args(["--pid", &pid.to_string()]);
        command
    };
    if let Some(path) = &actions.heap {
        run_to_end(leakspy(&["heap"]).arg("--save").arg(numbered(path, number)));
    }
    if actions.mem {
        run_to_end(&mut leakspy(&["mem"]));
    }
    if actions.dump {
        run_to_end(&mut leakspy(&["dump"]));
    }
    if let Some(path) = &actions.record {
        run_to_end(leakspy(&["record"]).arg("--output").arg(numbered(path, number)));
    }
    if actions.hunt {
        run_to_end(&mut leakspy(&["hunt"]));
    }
    if let Some(command) = &actions.exec {
        run_to_end(Command::new("sh").arg("-c").arg(command.replace("{pid}", &pid.to_string())));
    }
    if actions.stop {
        // It may have ended meanwhile, and the PID be another's.
        if !process.is_alive() {
            return Err(ProcessError::Ended { pid }.into());
        }
        kill(Pid::from_raw(pid), Signal::SIGSTOP)
            .map_err(io::Error::from)
            .with_context(|| format!("cannot stop process {pid}"))?;
        say(format_args!(
            "Stopped process {pid}. Attach a debugger now (`gdb -p {pid}`); `kill -CONT {pid}` lets it \
             go on."
        ));
    }
    Ok(())
}

fn run_to_end(command: &mut Command) {
    match command.status() {
        Ok(status) if status.success() => {}
        Ok(status) => say(format_args!("leakspy: {command:?} failed ({status}).")),
        Err(error) => say(format_args!("leakspy: {command:?} could not be run: {error}.")),
    }
}

/// The file for the second time and later: with the number before its ending.
fn numbered(path: &Path, number: u32) -> PathBuf {
    if number <= 1 {
        return path.to_path_buf();
    }
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    match path.extension() {
        Some(ending) => {
            path.with_file_name(format!("{stem}-{number}.{}", ending.to_string_lossy()))
        }
        None => path.with_file_name(format!("{stem}-{number}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_counts_and_parts_are_read() {
        assert_eq!(rate("60MiB/min"), Ok(1048576.0));
        assert_eq!(rate("3600B/h"), Ok(1.0));
        assert!(rate("60MiB").is_err() && rate("60MiB/fortnight").is_err());
        assert_eq!(objects("app.Session>1000"), Ok(("app.Session".into(), 1000)));
        assert!(objects("app.Session").is_err() && objects(">5").is_err());
        assert_eq!(percent("90%"), Ok(0.9));
        assert!(percent("101").is_err() && percent("many").is_err());
    }

    #[test]
    fn files_of_later_times_are_others() {
        assert_eq!(numbered(Path::new("/a/b.svg"), 1), Path::new("/a/b.svg"));
        assert_eq!(numbered(Path::new("/a/b.svg"), 2), Path::new("/a/b-2.svg"));
        assert_eq!(numbered(Path::new("heap"), 12), Path::new("heap-12"));
    }
}
