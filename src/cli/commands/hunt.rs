//! `leakspy hunt`: what leaks in a process, what holds it, and which code feeds it.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use crate::cli::args::flags::{BreakpointsArg, JsonArg, MemoryArg, SubprocessesArg};
use crate::cli::args::target::Target;
use crate::cli::args::time::seconds;
use crate::cli::errors::advice;
use crate::cli::errors::{CommandError, Context};
use crate::cli::output::write_whole;
use crate::cli::processes;
use crate::cli::progress::Line;
use crate::cli::signals::{Signals, TICK};
use crate::cli::terminal::say;
use crate::guardian::Program;
use crate::heap::CaptureOptions;
use crate::hunt::hunter::{Hunter, Options, Phase};
use crate::hunt::verdict::Verdict;
use crate::process::Process;
use crate::process::newcomers::Newcomers;
use crate::render::hunt as render;

/// The exit status when something leaks.
const LEAKS: u8 = 3;
/// A child that appears when less than this is left is not hunted.
const SHORTEST: Duration = Duration::from_secs(2);

/// Find what leaks, what retains it, and which lines of code add to it.
///
/// leakspy captures the heap four times within half a minute, in short pauses. What grows steadily is then
/// watched with the processor's breakpoint registers, so that every insertion shows its stack. What grows so
/// slowly that only the last capture shows it is watched for up to a quarter of the time more.
#[derive(Debug, clap::Args)]
#[command(override_usage = "leakspy hunt [OPTIONS] --pid <PID>
       leakspy hunt [OPTIONS] -- <COMMAND>...")]
pub struct Args {
    /// What is hunted.
    #[command(flatten)]
    pub target: Target,
    /// How long to observe, in seconds.
    #[arg(short, long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    pub duration: Duration,
    /// Draw a flamegraph of the stacks that feed the leaks.
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Whether JSON is printed.
    #[command(flatten)]
    pub form: JsonArg,
    /// Exit with status 3 if a leak is found.
    #[arg(long)]
    pub fail_on_leak: bool,
    /// Whether child processes are included.
    #[command(flatten)]
    pub children: SubprocessesArg,
    /// How much memory it may take.
    #[command(flatten)]
    pub memory: MemoryArg,
    /// How breakpoints are set.
    #[command(flatten)]
    pub breakpoints: BreakpointsArg,
}

impl Args {
    fn options(&self, duration: Duration, guardian: &Program) -> Options {
        let capture = CaptureOptions { pausing: true, max_memory: self.memory.bytes() };
        Options { duration, capture, way: self.breakpoints.way(), guardian: guardian.clone() }
    }
}

/// Hunts, and prints the verdict.
pub fn run(args: &Args, guardian: &Program) -> Result<ExitCode, CommandError> {
    let signals = Signals::listen().context("cannot listen for signals")?;
    let runs = args.target.pid().is_some();
    let hunt = |process| Hunt::begin(args, &process, runs, guardian)?.go_on(&signals)?.tell(args);
    let (leaks, status) = args.target.observe(&signals, no_python, hunt)?;
    match leaks {
        Some(true) if args.fail_on_leak => Ok(ExitCode::from(LEAKS)),
        _ => Ok(status),
    }
}

fn no_python(pid: i32) -> CommandError {
    CommandError::new(format_args!(
        "Process {pid} ended before it became a Python that could be hunted."
    ))
}

/// The hunt of one process, or several.
struct Hunt<'a> {
    args: &'a Args,
    guardian: &'a Program,
    pid: i32,
    began: Instant,
    newcomers: Newcomers,
    hunters: Vec<Hunter>,
}

/// The results.
struct Verdicts {
    pid: i32,
    verdicts: Vec<Verdict>,
}

impl<'a> Hunt<'a> {
    /// Begins with a process that is a Python, or will be one (if it is not running yet).
    fn begin(
        args: &'a Args,
        process: &Process,
        runs: bool,
        guardian: &'a Program,
    ) -> Result<Hunt<'a>, CommandError> {
        let (pid, newcomers) = (process.pid(), Newcomers::beside(process));
        let mut hunt =
            Hunt { args, guardian, pid, began: Instant::now(), newcomers, hunters: Vec::new() };
        if runs {
            match hunt.take_up(pid, args.duration) {
                Err(error) if args.children.subprocesses && error.is_not_python() => {
                    hunt.newcomers.look_around(pid);
                    hunt.try_newcomers();
                    if hunt.hunters.is_empty() {
                        return Err(error);
                    }
                }
                result => result?,
            }
        } else {
            hunt.newcomers.expect(process);
        }
        Ok(hunt)
    }

    fn take_up(&mut self, pid: i32, duration: Duration) -> Result<(), CommandError> {
        let (process, python) = processes::attach(pid)?;
        let options = self.args.options(duration, self.guardian);
        self.hunters.push(Hunter::start(process, python, options)?);
        Ok(())
    }

    /// Checks whether the processes waited for are Pythons now.
    fn try_newcomers(&mut self) {
        let left = match self.hunters.first() {
            Some(first) => self.args.duration.saturating_sub(first.elapsed()),
            None => self.args.duration,
        };
        if left < SHORTEST.min(self.args.duration) {
            self.newcomers.clear();
            return;
        }
        let mut newcomers = std::mem::replace(&mut self.newcomers, Newcomers::none());
        // Processes that are not Pythons are ignored.
        let _ = newcomers.try_all(|process| self.take_up(process.pid(), left));
        self.newcomers = newcomers;
    }

    /// Hunts to the end, or until a signal comes.
    fn go_on(mut self, signals: &Signals) -> Result<Verdicts, CommandError> {
        let line = Line::begin();
        loop {
            if self.args.children.subprocesses {
                self.newcomers.look_around_sometimes(self.pid);
            }
            self.try_newcomers();
            let over = self.hunters.iter().all(|hunter| hunter.phase() == Phase::Over);
            if over && self.newcomers.is_empty() || signals.came() {
                break;
            }
            if self.hunters.is_empty() {
                std::thread::sleep(TICK);
            }
            let tick = TICK / self.hunters.len().max(1) as u32;
            self.step(tick)?;
            line.show("Hunting; Ctrl-C to stop and tell what is known.", || self.state());
        }
        line.clear();
        let mut verdicts = Vec::new();
        for mut hunter in self.hunters {
            hunter.hurry()?;
            let pid = hunter.process().pid();
            if let Some(trouble) = hunter.trouble() {
                say(format_args!("leakspy: Who feeds them could not be seen: {trouble}."));
            }
            match hunter.verdict() {
                Ok(verdict) => verdicts.push(verdict),
                Err(error) if pid == self.pid => return Err(error.into()),
                Err(error) => {
                    say(format_args!("leakspy: {}", advice::explain(&error.into(), Some(pid))));
                }
            }
        }
        if verdicts.is_empty() {
            Err(no_python(self.pid))
        } else {
            Ok(Verdicts { pid: self.pid, verdicts })
        }
    }

    /// Advances the hunt of each process. An error of a child is reported, and the child left out.
    fn step(&mut self, tick: Duration) -> Result<(), CommandError> {
        let mut going_on = Vec::new();
        for mut hunter in self.hunters.drain(..) {
            let pid = hunter.process().pid();
            match hunter.step(tick) {
                Ok(()) => going_on.push(hunter),
                Err(error) if pid == self.pid => return Err(error.into()),
                Err(error) => {
                    say(format_args!("leakspy: {}", advice::explain(&error.into(), Some(pid))));
                }
            }
        }
        self.hunters = going_on;
        Ok(())
    }

    /// The progress, in a line.
    fn state(&self) -> String {
        let elapsed = self.began.elapsed().as_secs_f64();
        let what = match self.hunters.first().map(Hunter::phase) {
            None => "waiting for Python".to_owned(),
            Some(Phase::Comparing(captures)) => {
                format!("comparing the heap, capture {captures} of 4")
            }
            Some(Phase::Watching(0)) => "no suspects so far, comparing the heap".to_owned(),
            Some(Phase::Watching(count)) => {
                let first = self.hunters.iter().flat_map(Hunter::suspects).next();
                let name = first.map_or("", |finding| &*finding.holder.name);
                format!("watching {count} suspects: {name}")
            }
            Some(Phase::WatchingLast(count)) => format!("watching {count} more suspects"),
            Some(Phase::Over) => "done".to_owned(),
        };
        format!("Hunting {elapsed:.0} of {:.0} s: {what}", self.args.duration.as_secs_f64())
    }
}

impl Verdicts {
    /// Prints the verdicts, and returns whether something leaks.
    fn tell(&self, args: &Args) -> Result<bool, CommandError> {
        let mut out = BufWriter::new(io::stdout().lock());
        let (first, others) = self.verdicts.split_first().context("there is no process")?;
        if args.form.json {
            render::write_json(first, args.children.subprocesses.then_some(others), &mut out)?;
        } else {
            for (number, verdict) in self.verdicts.iter().enumerate() {
                if number > 0 {
                    writeln!(out)?;
                }
                render::write_text(verdict, &mut out)?;
            }
        }
        out.flush()?;
        if let Some(path) = &args.output {
            self.draw(path)?;
        }
        Ok(self.verdicts.iter().any(|verdict| !verdict.findings.is_empty()))
    }

    fn draw(&self, path: &Path) -> Result<(), CommandError> {
        let Some(first) =
            self.verdicts.iter().find(|it| it.pid == self.pid).or(self.verdicts.first())
        else {
            return Ok(());
        };
        let mut bytes = Vec::new();
        render::write_picture(&self.verdicts, first, &mut bytes)?;
        write_whole(path, &bytes).with_context(|| format!("cannot write {}", path.display()))?;
        say(format_args!("Wrote {}", path.display()));
        Ok(())
    }
}
