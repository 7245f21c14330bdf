//! `leakspy watch`: waits until a process has too much memory, and then acts.
//!
//! | | |
//! |---|---|
//! | [`conditions`] | what to wait for: its arguments and its words |
//! | [`actions`] | what to do then |

mod actions;
mod conditions;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::value_parser;

use self::actions::{Actions, act};
use self::conditions::{Conditions, words};
use crate::cli::args::flags::{JsonArg, SubprocessesArg};
use crate::cli::args::process::Place;
use crate::cli::args::time::seconds;
use crate::cli::children::tell_left_out;
use crate::cli::clock::{Clock, now};
use crate::cli::errors::{CommandError, Context};
use crate::cli::help::NOT_MET;
use crate::cli::progress::Line;
use crate::cli::signals::Signals;
use crate::cli::terminal::{print, say};
use crate::heap::{CaptureOptions, Grouping};
use crate::process::Process;
use crate::process::by_command::first_named;
use crate::process::cgroup::group_memory;
use crate::render::phrases::{mib, trend};
use crate::render::watch::{Event, write_json};
use crate::source::{LiveProcess, Source};
use crate::timeline::{Edge, History, Now, Observer, Options, Sample, Watched};

/// How often to search for a process by its command.
const SEARCH: Duration = Duration::from_secs(2);
/// Over how long growth is measured, and how often objects are counted.
const MINUTE: Duration = Duration::from_secs(60);

/// Wait until a process uses too much memory, then inspect it, stop it, or run a command.
///
/// A condition that holds from the beginning counts. Once met, the figure has to fall by 5 % before the condition
/// can be met again.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What is watched.
    #[command(flatten)]
    pub whom: Whom,
    /// What to wait for; several of them are each waited for.
    #[command(flatten)]
    pub conditions: Conditions,
    /// The window over which growth is measured [default: 60s].
    #[arg(long, value_name = "TIME", value_parser = seconds)]
    pub window: Option<Duration>,
    /// The least time between two counts of objects [default: 60s].
    #[arg(long, value_name = "TIME", value_parser = seconds)]
    pub objects_interval: Option<Duration>,
    /// Keep watching, and act each time a condition is met again.
    #[arg(long)]
    pub every: bool,
    /// Whether child processes are counted in.
    #[command(flatten)]
    pub children: SubprocessesArg,
    /// The time between two checks.
    #[arg(short, long, value_name = "TIME", default_value = "1s", value_parser = seconds)]
    pub interval: Duration,
    /// Stop waiting after this time.
    #[arg(short, long, value_name = "TIME", value_parser = seconds)]
    pub duration: Option<Duration>,
    /// What to do.
    #[command(flatten)]
    pub actions: Actions,
    /// Whether what happens is printed as JSON, a line for each event, and so is what `--heap`, `--mem`, `--dump` and
    /// `--hunt` find.
    #[command(flatten)]
    pub form: JsonArg,
}

impl Args {
    /// Refuses options that no condition uses.
    fn refuse_idle(&self) -> Result<(), CommandError> {
        if self.window.is_some() && self.conditions.growth.is_none() {
            return Err(CommandError::Usage(
                "only `--growth` has a `--window`: leave it out".into(),
            ));
        }
        if self.objects_interval.is_some() && self.conditions.objects.is_empty() {
            return Err(CommandError::Usage(
                "only `--objects` has an `--objects-interval`: leave it out".into(),
            ));
        }
        Ok(())
    }
}

/// A process, or any process with a certain command line.
#[derive(Debug, clap::Args)]
#[group(id = "whom", required = true, multiple = false, args = ["place", "pid", "name"])]
pub struct Whom {
    /// PID of the process.
    #[arg(value_name = "PID", value_parser = Place::only_pid)]
    place: Option<Place>,
    /// PID of the process.
    #[arg(short, long, value_name = "PID", value_parser = value_parser!(i32).range(1..))]
    pid: Option<i32>,
    /// Watch the process whose command line contains this text, and its successor when it has ended.
    #[arg(long, value_name = "TEXT")]
    pub name: Option<String>,
}

impl Whom {
    /// The process, if it is given by its PID.
    pub fn pid(&self) -> Option<i32> {
        self.place.as_ref().and_then(Place::pid).or(self.pid)
    }
}

/// How watching one process ended.
enum End {
    /// A condition was met, and no more is wanted.
    Fired,
    /// leakspy was told to stop, or the time is over.
    Stopped,
    /// The process ended.
    Gone,
}

/// Waits, and acts.
pub fn run(args: &Args) -> Result<ExitCode, CommandError> {
    args.refuse_idle()?;
    args.actions.check()?;
    let signals = Signals::listen().context("cannot listen for signals")?;
    let began = Instant::now();
    let mut fired = 0;
    let mut process = args.whom.pid().map(Process::open).transpose()?;
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
    Ok(if fired > 0 { ExitCode::SUCCESS } else { ExitCode::from(NOT_MET) })
}

/// Whether the time is over.
fn is_over(args: &Args, began: Instant) -> bool {
    args.duration.is_some_and(|most| began.elapsed() >= most)
}

/// Waits for a process with such a command line; `None` if leakspy is told to stop.
fn search(name: &str, args: &Args, signals: &Signals, began: Instant) -> Option<Process> {
    let mut clock = Clock::start(SEARCH);
    let rest = args.duration.map(|most| most.saturating_sub(began.elapsed()));
    let mut told = false;
    while !signals.came() && !is_over(args, began) {
        if let Some(process) = first_named(name).and_then(|pid| Process::open(pid).ok()) {
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
    let mut conditions: Vec<Watched> = args
        .conditions
        .all(args.window.unwrap_or(MINUTE), args.objects_interval.unwrap_or(MINUTE))
        .into_iter()
        .map(Watched::new)
        .collect();
    // One handle to read it, and one to act on it. It may have ended since it was found.
    let second = Process::open(pid).ok().filter(|second| second.started() == process.started());
    let (Some(second), Ok(command)) = (second, process.command()) else {
        say(format_args!("Process {pid} has ended."));
        return Ok(End::Gone);
    };
    let told = |event: Event<'_>, most| match args.form.json {
        true => print(true, |out| Ok(write_json(pid, event, now(), most, out)?)).map(drop),
        false => Ok(()),
    };
    say(format_args!("Watching process {pid}: {command}"));
    told(Event::Watching(&command), 0)?;
    tell_left_out(pid, args.children);
    let options = Options {
        subprocesses: args.children.subprocesses,
        counters: args.conditions.arena_above.is_some(),
        stacks: false,
        shares: Duration::ZERO,
    };
    let mut observer = Observer::new(process, options);
    let mut clock = Clock::start(args.interval);
    let rest = args.duration.map(|most| most.saturating_sub(began.elapsed()));
    let mut most = 0;
    let (line, mut history) = (Line::begin(), History::default());
    loop {
        let samples = observer.look(now());
        if samples.is_empty() || observer.has_ended() {
            line.clear();
            say(format_args!(
                "Process {pid} has ended. The most memory that was seen of it is {}.",
                mib(most as f64)
            ));
            told(Event::Ended, most)?;
            return Ok(End::Gone);
        }
        let sample = Sample::sum(&samples);
        most = most.max(sample.rss_bytes);
        history.add(sample.time_s, sample.rss_bytes);
        let look = Now {
            sample: &sample,
            group: &|| group_memory(pid).map(|memory| memory.part()),
            objects: &|kind| count(&second, kind),
        };
        for watched in &mut conditions {
            match watched.see(&look) {
                Some((Edge::Crossed, figure)) => {
                    *fired += 1;
                    line.aside(|| {
                        say(format_args!("Process {pid}: {}.", words(&watched.condition, figure)));
                        told(Event::Met(&watched.condition, figure), most)?;
                        act(&args.actions, &second, *fired, args.form)
                    })?;
                    if !args.every {
                        line.clear();
                        return Ok(End::Fired);
                    }
                }
                Some((Edge::Rearmed, figure)) => {
                    let below = words(&watched.condition, figure);
                    line.aside(|| {
                        say(format_args!("Process {pid} is below again: {below}."));
                        told(Event::Below(&watched.condition, figure), most)
                    })?;
                }
                _ => {}
            }
        }
        if signals.came() || is_over(args, began) {
            line.clear();
            return Ok(End::Stopped);
        }
        line.update(|| live(&history, args.conditions.rss_above.map(|limit| limit.as_u64())));
        clock.wait(signals, rest);
    }
}

/// The line shown meanwhile: the resident set, its limit, how it grows.
fn live(history: &History, limit: Option<u64>) -> String {
    let now = history.last().next_back().unwrap_or_default();
    let limit = limit.map(|limit| format!(" of {}", mib(limit as f64))).unwrap_or_default();
    let trend = history.trend().as_ref().map(|it| format!(", {}", trend(it))).unwrap_or_default();
    format!("now {}{limit}{trend}. Ctrl-C to stop.", mib(now))
}

/// The number of objects of a type.
fn count(process: &Process, kind: &str) -> Option<u64> {
    let source = LiveProcess::open(process.pid(), CaptureOptions::default()).ok()?;
    // Another process may have its PID now.
    if source.identity().started != process.started() {
        return None;
    }
    let types = source.summary(Grouping::Type).ok()?.types;
    let is_meant = |name: &str| name == kind || name.rsplit('.').next() == Some(kind);
    Some(types.iter().filter(|group| is_meant(&group.name)).map(|group| group.count).sum())
}
