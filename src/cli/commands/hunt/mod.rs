//! `leakspy hunt`: what leaks in a process, what holds it, and which code feeds it.

mod files;
mod steps;

use std::collections::{BTreeSet, HashMap};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use self::steps::StepsArgs;
use crate::cli::args::disclosure::DisclosureArgs;
use crate::cli::args::flags::{BreakpointsArg, JsonArg, MemoryArg, NoSourceArg, SubprocessesArg};
use crate::cli::args::process::Place;
use crate::cli::args::source::{memory_for_files, quoted};
use crate::cli::args::target::Target;
use crate::cli::args::time::HuntTime;
use crate::cli::children::runs_python;
use crate::cli::commands::report::write_report;
use crate::cli::errors::advice;
use crate::cli::errors::{CommandError, Context};
use crate::cli::help::{LEAKS, MAY_LEAK};
use crate::cli::known_leaks::{Known, KnownLeaksArg};
use crate::cli::output::{check_writable, write_whole};
use crate::cli::processes;
use crate::cli::progress::Line;
use crate::cli::signals::{Signals, TICK};
use crate::cli::terminal::{Out, say};
use crate::guardian::Program;
use crate::heap::CaptureOptions;
use crate::hunt::finding::{Finding, LeakKind};
use crate::hunt::hunter::{HuntError, Hunter, Keep, Options, Phase};
use crate::hunt::verdict::{LeftOut, Verdict, WhyLeftOut};
use crate::obstacle::{Obstacle, Obstructed};
use crate::private_file::create_folder;
use crate::process::Process;
use crate::process::files::ProcessFiles;
use crate::process::newcomers::Newcomers;
use crate::python::SourceLines;
use crate::python::objects::Disclosure;
use crate::render::hunt as render;
use crate::render::hunt_of_several::{self, write_left_out};
use crate::source::{SnapshotFile, Source};

/// A child that appears when a smaller part of the duration is left, or less than this, is not hunted: what a
/// program does at its start looks like a leak.
const LEAST_PART: u32 = 3;
const SHORTEST: Duration = Duration::from_secs(2);
/// A child that lives for less than this is never paused.
const SETTLED: Duration = Duration::from_secs(1);
/// The most processes that are hunted at a time.
const MOST_PROCESSES: usize = 16;

/// Find what leaks, what retains it, and which lines of code add to it.
///
/// leakspy captures the heap four times within half a minute, in short pauses. What grows steadily is then
/// watched with the processor's breakpoint registers, so that every insertion shows its stack. What grows so
/// slowly that only the last capture shows it is watched for up to a quarter of the time more.
///
/// Child processes that run Python are hunted too, up to 16 at a time, each with pauses of its own. What several
/// of them leak in the same way is reported once.
///
/// From three snapshot files of a process on, leakspy says what grew between them and what holds it, but not which lines
/// add to it.
#[derive(Debug, clap::Args)]
#[command(override_usage = "leakspy hunt [OPTIONS] <PID>
       leakspy hunt [OPTIONS] --every <COMMAND> <PID>
       leakspy hunt [OPTIONS] -- <COMMAND>...
       leakspy hunt [OPTIONS] <FILE> <FILE> <FILE>...")]
#[command(mut_arg("place", |place| {
    place
        .index(1)
        .value_name("PID|FILE")
        .help("PID of the process, or the first of the snapshot files to compare instead")
        .value_parser(Place::parser())
}))]
#[command(mut_arg("command", |command| command.index(3)))]
#[command(mut_arg("breakpoints", |it| it.conflicts_with("later")))]
#[command(mut_arg("subprocesses", |it| it.conflicts_with("later")))]
#[command(mut_arg("no_subprocesses", |it| it.conflicts_with("later")))]
#[command(mut_arg("every", |it| it.conflicts_with("later")))]
#[command(mut_arg("subprocesses", |it| it.help("Include its child processes, and theirs (the default)")))]
#[command(mut_arg("no_subprocesses", |it| it.help("Hunt one process only")))]
pub struct Args {
    /// What is hunted.
    #[command(flatten)]
    pub target: Target,
    /// Further snapshot files.
    #[arg(value_name = "FILE", index = 2, requires = "place")]
    later: Vec<PathBuf>,
    /// How long to observe, such as 90s, 5m or 2h; auto: 30 s, and up to 3 minutes while it is undecided whether
    /// something leaks.
    #[arg(short, long, value_name = "TIME", default_value = "auto", value_parser = HuntTime::parse,
          conflicts_with = "later")]
    pub duration: HuntTime,
    /// Steps of a test.
    #[command(flatten)]
    pub steps: StepsArgs,
    /// Draw a flamegraph of the stacks that feed the leaks.
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Write one HTML file with the verdict and everything about the heap at the end.
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Keep the captures as snapshot files in this folder.
    #[arg(long, value_name = "DIR", conflicts_with = "later")]
    pub snapshot: Option<PathBuf>,
    /// How much of keys and values those files have.
    #[command(flatten)]
    pub disclosure: DisclosureArgs,
    /// Whether JSON is printed.
    #[command(flatten)]
    pub form: JsonArg,
    /// Exit with status 3 if a leak is found that is not known, and with 4 if something grows that may be one.
    #[arg(long)]
    pub fail_on_leak: bool,
    /// Which leaks are known.
    #[command(flatten)]
    pub known: KnownLeaksArg,
    /// Whether child processes are included.
    #[command(flatten)]
    pub children: SubprocessesArg,
    /// How much memory it may take.
    #[command(flatten)]
    pub memory: MemoryArg,
    /// How breakpoints are set.
    #[command(flatten)]
    pub breakpoints: BreakpointsArg,
    /// Whether lines of source code are shown.
    #[command(flatten)]
    pub source_lines: NoSourceArg,
}

impl Args {
    /// The snapshot files to compare, if they take the place of a process.
    fn files(&self) -> Vec<&Path> {
        let first = self.target.file().into_iter();
        first.chain(self.later.iter().map(PathBuf::as_path)).collect()
    }

    fn options(&self, duration: Duration, guardian: &Program) -> Options {
        let longest = duration.max(self.duration.longest());
        let capture =
            CaptureOptions { max_memory: self.memory.bytes(), ..CaptureOptions::default() };
        let disclosure = Disclosure::from(&self.disclosure);
        let keep = self.snapshot.clone().map(|folder| Keep { folder, disclosure });
        Options {
            duration,
            longest,
            steps: self.steps.counted(),
            capture,
            way: self.breakpoints.way(),
            guardian: guardian.clone(),
            keep,
        }
    }
}

/// Hunts, and prints the verdict.
pub fn run(args: &Args, guardian: &Program) -> Result<ExitCode, CommandError> {
    if !args.later.is_empty() && args.target.file().is_none() {
        return Err(CommandError::Usage(
            "a process is hunted by itself: give one PID, or three files or more".into(),
        ));
    }
    for path in [&args.output, &args.report].into_iter().flatten() {
        check_writable(path)?;
    }
    let known = args.known.read()?;
    let tell = |mut hunted: Verdicts| {
        known.mark(&mut hunted.verdicts);
        hunted.tell(args)?;
        known.write(&hunted.verdicts)?;
        Ok(hunted.found(&known))
    };
    let (found, status) = if args.files().is_empty() {
        if let Some(folder) = &args.snapshot {
            let cannot = || format!("cannot write into {}", folder.display());
            create_folder(folder).with_context(cannot)?;
        }
        let signals = Signals::listen().context("cannot listen for signals")?;
        let runs = args.target.pid().is_some();
        let hunt = |process| tell(Hunt::begin(args, &process, runs, guardian)?.go_on(&signals)?);
        args.target.observe(&signals, no_python, hunt)?
    } else {
        (Some(tell(files::compare(args)?)?), ExitCode::SUCCESS)
    };
    match found {
        Some(Found::Leak) if args.fail_on_leak => Ok(ExitCode::from(LEAKS)),
        Some(Found::Growth) if args.fail_on_leak => Ok(ExitCode::from(MAY_LEAK)),
        _ => Ok(status),
    }
}

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    /// Something leaks.
    Leak,
    /// Something grows that may be a leak.
    Growth,
    /// Neither.
    Nothing,
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
    /// The files of each process, which are there after it has ended too.
    files: HashMap<i32, ProcessFiles>,
    left_out: Vec<LeftOut>,
}

/// The results.
struct Verdicts {
    pid: i32,
    verdicts: Vec<Verdict>,
    left_out: Vec<LeftOut>,
}

impl<'a> Hunt<'a> {
    /// Begins with a process that is a Python, or will be one (if it is not running yet), and its children.
    fn begin(
        args: &'a Args,
        process: &Process,
        runs: bool,
        guardian: &'a Program,
    ) -> Result<Hunt<'a>, CommandError> {
        let (pid, newcomers) = (process.pid(), Newcomers::beside(process));
        let mut hunt = Hunt {
            args,
            guardian,
            pid,
            began: Instant::now(),
            newcomers,
            hunters: Vec::new(),
            files: HashMap::new(),
            left_out: Vec::new(),
        };
        if !runs {
            hunt.newcomers.expect(process);
            return Ok(hunt);
        }
        let result = hunt.take_up(pid, args.duration.duration());
        if hunt.includes_children() {
            hunt.newcomers.look_around(pid);
            hunt.admit_newcomers(args.duration.duration());
        }
        match result {
            Err(error) if error.is_not_python() && !hunt.hunters.is_empty() => {}
            result => result?,
        }
        Ok(hunt)
    }

    fn includes_children(&self) -> bool {
        !self.args.children.no_subprocesses
    }

    fn take_up(&mut self, pid: i32, duration: Duration) -> Result<(), CommandError> {
        let (process, python) = processes::attach(pid)?;
        if !self.args.source_lines.no_source {
            self.files.extend(ProcessFiles::of(&process).ok().map(|files| (pid, files)));
        }
        let options = self.args.options(duration, self.guardian);
        self.hunters.push(Hunter::start(process, python, options)?);
        Ok(())
    }

    fn leave_out(&mut self, pid: i32, reason: WhyLeftOut) {
        if self.left_out.iter().all(|other| other.pid != pid) {
            self.left_out.push(LeftOut { pid, reason });
        }
    }

    /// Checks whether the processes waited for are Pythons now.
    fn try_newcomers(&mut self) {
        let duration = self.args.duration.duration();
        let left = match self.hunters.first() {
            Some(first) => duration.saturating_sub(first.elapsed()),
            None => duration,
        };
        if left < SHORTEST.min(duration).max(duration / LEAST_PART) {
            for pid in self.newcomers.give_up() {
                if runs_python(pid) {
                    self.leave_out(pid, WhyLeftOut::Late);
                }
            }
            return;
        }
        self.admit_newcomers(left);
    }

    fn admit_newcomers(&mut self, left: Duration) {
        let mut newcomers = std::mem::replace(&mut self.newcomers, Newcomers::none());
        for (pid, error) in newcomers.try_all(|process| self.admit(&process, left)) {
            if !error.is_not_python() {
                say(format_args!("leakspy: {}", advice::explain(&error, Some(pid))));
                self.leave_out(pid, WhyLeftOut::Failed);
            }
        }
        self.newcomers = newcomers;
    }

    /// Hunts one more process; an error if it has to wait.
    fn admit(&mut self, process: &Process, left: Duration) -> Result<(), CommandError> {
        let pid = process.pid();
        // Those that were there before the hunt are not short-lived for all we know.
        let is_new = process.age() < self.began.elapsed();
        if pid != self.pid && is_new && process.age() < SETTLED {
            return Err(CommandError::new("it has only just started"));
        }
        let is_hunted = |hunter: &&Hunter| hunter.phase() != Phase::Over;
        if self.hunters.iter().filter(is_hunted).count() < MOST_PROCESSES {
            return self.take_up(pid, left);
        }
        if runs_python(pid) {
            self.leave_out(pid, WhyLeftOut::Many);
        }
        Ok(())
    }

    /// Hunts to the end, or until a signal comes.
    fn go_on(mut self, signals: &Signals) -> Result<Verdicts, CommandError> {
        if let Some(command) = &self.args.steps.every {
            return self.go_on_by_steps(command, signals);
        }
        let line = Line::begin();
        loop {
            if self.includes_children() {
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
            self.advance(TICK)?;
            line.show("Hunting; Ctrl-C to stop and tell what is known.", || self.state());
        }
        line.clear();
        self.conclude()
    }

    /// The verdicts, or why there is none.
    fn conclude(mut self) -> Result<Verdicts, CommandError> {
        let mut verdicts = Vec::new();
        let mut troubles = BTreeSet::new();
        let mut refusal = None;
        for mut hunter in std::mem::take(&mut self.hunters) {
            let pid = hunter.process().pid();
            let hurried = hunter.hurry();
            troubles.extend(hunter.trouble().map(ToString::to_string));
            match hurried.and_then(|()| hunter.verdict()) {
                Ok(mut verdict) => {
                    if let Some(mut lines) = self.files.remove(&pid).map(SourceLines::new) {
                        verdict.frames_mut().for_each(|frame| lines.look_up(frame));
                    }
                    verdicts.push(verdict);
                }
                Err(error) if pid == self.pid => refusal = Some(error),
                Err(error) => self.lose(pid, error),
            }
        }
        for trouble in troubles {
            say(format_args!("leakspy: Who feeds them could not be seen: {trouble}."));
        }
        match refusal {
            Some(error) if verdicts.is_empty() => return Err(error.into()),
            None if verdicts.is_empty() => return Err(no_python(self.pid)),
            Some(error) => self.lose(self.pid, error),
            None => {}
        }
        Ok(Verdicts { pid: self.pid, verdicts, left_out: self.left_out })
    }

    /// Advances the hunt of each process, for no longer than `tick` together. An error of a child is reported, and the child left out.
    fn advance(&mut self, tick: Duration) -> Result<(), CommandError> {
        let tick = tick / self.hunters.len().max(1) as u32;
        let mut going_on = Vec::new();
        for mut hunter in std::mem::take(&mut self.hunters) {
            let pid = hunter.process().pid();
            match hunter.step(tick) {
                Ok(()) => going_on.push(hunter),
                Err(error) if pid == self.pid => return Err(error.into()),
                Err(error) => self.lose(pid, error),
            }
        }
        self.hunters = going_on;
        Ok(())
    }

    /// Leaves out a process of which there is no verdict.
    fn lose(&mut self, pid: i32, error: HuntError) {
        let reason = match &error {
            HuntError::TooShort => WhyLeftOut::Late,
            error if has_ended(error) => WhyLeftOut::Ended,
            _ => WhyLeftOut::Failed,
        };
        self.leave_out(pid, reason);
        if reason == WhyLeftOut::Failed {
            say(format_args!("leakspy: {}", advice::explain(&error.into(), Some(pid))));
        }
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
            Some(Phase::GoingOn) => "undecided so far, going on".to_owned(),
            Some(Phase::Over) => "done".to_owned(),
        };
        let processes = match self.hunters.len() {
            0 | 1 => String::new(),
            several => format!(", {several} processes"),
        };
        let ends = self.hunters.iter().map(Hunter::end).max();
        let duration = ends.unwrap_or(self.args.duration.duration()).as_secs_f64();
        format!("Hunting {elapsed:.0} of {duration:.0} s{processes}: {what}")
    }
}

/// Whether there is no verdict because the process has ended.
fn has_ended(error: &HuntError) -> bool {
    use Obstacle::{Ended, NoSuchProcess, Zombie};
    let obstacle = error.obstacle().map(|met| met.obstacle);
    matches!(obstacle, Some(Ended | NoSuchProcess | Zombie { .. }))
}

impl Verdicts {
    /// What was found that is not known.
    fn found(&self, known: &Known) -> Found {
        let is_new = |finding: &Finding| known.is_new(finding);
        let mut leaks = self.verdicts.iter().flat_map(|it| &it.findings);
        let mut growths = self.verdicts.iter().flat_map(|it| &it.undecided);
        match () {
            () if leaks.any(is_new) => Found::Leak,
            () if growths.any(|it| is_new(&it.growth)) => Found::Growth,
            () if self.verdicts.iter().any(|it| it.unexplained.is_some()) => Found::Growth,
            () => Found::Nothing,
        }
    }

    /// Prints the verdicts.
    fn tell(&self, args: &Args) -> Result<(), CommandError> {
        let mut out = Out::for_data(args.form.json);
        let (first, others) = self.verdicts.split_first().context("there is no process")?;
        if args.form.json {
            // The verdict on a process without children looks the same, whatever the default.
            let is_told = args.children.subprocesses || !others.is_empty();
            render::write_json(first, is_told.then_some(others), &self.left_out, &mut out)?;
        } else if others.is_empty() {
            render::write_text(first, &mut out)?;
            write_left_out(&self.left_out, &mut out)?;
        } else {
            hunt_of_several::write_text(&self.verdicts, &self.left_out, &mut out)?;
        }
        if !args.form.json {
            self.say_next(args, &mut out)?;
        }
        out.flush()?;
        if let Some(path) = &args.output {
            self.draw(path)?;
        }
        if let Some(path) = &args.report {
            self.report(args, path)?;
        }
        Ok(())
    }

    /// Says what to type next: about the first finding, or where nothing was found.
    fn say_next(&self, args: &Args, out: &mut Out) -> Result<(), CommandError> {
        let file = args.files().last().map(|file| quoted(&file.to_string_lossy()));
        let source = |pid: i32| file.clone().unwrap_or_else(|| pid.to_string());
        let mut findings =
            self.verdicts.iter().flat_map(|it| it.findings.iter().map(|one| (it.pid, one)));
        match findings.find(|(_, finding)| finding.kind == LeakKind::Container) {
            Some((pid, finding)) => {
                let command = format!("leakspy why {} {}", source(pid), quoted(&finding.grown));
                out.next(&command, "prints all that keeps them alive")?;
            }
            None if self.verdicts.iter().all(|it| it.findings.is_empty()) => {
                let command = format!("leakspy mem {}", source(self.pid));
                let longer = if file.is_none() { "; `--duration 5m` hunts for longer" } else { "" };
                out.next(&command, &format!("says what its memory is made of{longer}"))?;
            }
            None => {}
        }
        Ok(())
    }

    /// Writes a report of the process, or of the last file. A process that has ended has none.
    fn report(&self, args: &Args, path: &Path) -> Result<(), CommandError> {
        let options =
            CaptureOptions { max_memory: args.memory.bytes(), ..CaptureOptions::default() };
        let source: Box<dyn Source> = match args.files().last() {
            Some(file) => Box::new(SnapshotFile::open(file, memory_for_files(args.memory))?),
            None if Process::open(self.pid).is_ok_and(|it| it.is_alive()) => {
                Box::new(processes::open(self.pid, options)?)
            }
            None => {
                say("leakspy: the process has ended; there is no report of it.");
                return Ok(());
            }
        };
        write_report(&*source, &self.verdicts, None, Disclosure::Keys, path)
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
