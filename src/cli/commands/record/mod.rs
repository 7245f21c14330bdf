//! `leakspy record`: a picture of a process's memory, in one of several views.
//!
//! This file has what all views share; each view has a file of its own.

mod allocated;
mod files;
mod live;
mod traced;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{ValueEnum, value_parser};

use crate::cli::args::core::CoreArgs;
use crate::cli::args::flags::{
    Breakpoints, BreakpointsArg, MemoryArg, NonblockingArg, PathsArg, SubprocessesArg,
};
use crate::cli::args::form::form;
use crate::cli::args::process::Place;
use crate::cli::args::target::Target;
use crate::cli::args::time::seconds;
use crate::cli::children::tell_left_out;
use crate::cli::collection::tell;
use crate::cli::errors::{CommandError, Context};
use crate::cli::output::{OutputSpec, check_writable};
use crate::cli::signals::Signals;
use crate::guardian::Program;
use crate::heap::CaptureOptions;
use crate::process::Process;
use crate::profile::By;
use crate::profile::recorder::Options;
use crate::profile::stack_recorder;
use crate::render::{Form, Style};

/// What a recording without pauses shows.
const NONBLOCKING: &str = "Never pause the process. alloc then records only stacks, which say nothing about \
    memory; in live some objects and references are inconsistent";

/// Samples per second, unless the user says otherwise.
const RATE: u32 = 100;

/// Draw a flamegraph of live objects or of allocations.
///
/// By default it shows every live object under the reference that keeps it alive; with --duration, what grew
/// and shrank meanwhile. --view alloc shows which stacks allocate memory: an estimate of everything allocated
/// while recording, freed since or not, from allocations sampled at random with the processor's breakpoint
/// registers. If the process runs with tracemalloc on, --view traced shows exactly which stacks allocated
/// what is alive.
#[derive(Debug, clap::Args)]
#[command(override_usage = "leakspy record [OPTIONS] <PID>
       leakspy record [OPTIONS] -- <COMMAND>...
       leakspy record [OPTIONS] <FILE> [LATER]
       leakspy record [OPTIONS] --core <FILE>")]
#[command(mut_arg("place", |place| {
    place
        .index(1)
        .value_name("PID|FILE")
        .help("PID of the process, or the snapshot file to draw instead")
        .value_parser(Place::parser())
        .required_unless_present_any(["pid", "name", "command", "core"])
}))]
#[command(mut_arg("core", |core| core.conflicts_with("target")))]
#[command(mut_arg("command", |command| command.index(3)))]
#[command(mut_group("target", |group| group.required(false)))]
#[command(mut_arg("nonblocking", |it| it.help(NONBLOCKING)))]
#[command(mut_arg("breakpoints", |it| it.conflicts_with("nonblocking")))]
pub struct Args {
    /// Core file to draw instead of a process.
    #[command(flatten)]
    pub core: CoreArgs,
    /// What is recorded.
    #[command(flatten)]
    pub target: Target,
    /// A later snapshot file: draws what grew and shrank between the two.
    #[arg(value_name = "LATER", index = 2, requires = "place")]
    pub later: Option<PathBuf>,
    /// What to show [default: live; alloc for a COMMAND].
    #[arg(long, value_enum, value_name = "VIEW")]
    pub view: Option<View>,
    /// Stop after this time, such as 90s or 5m [default: on Ctrl-C, or when the process ends; live and traced capture at
    /// once].
    #[arg(short, long, value_name = "TIME", value_parser = seconds)]
    pub duration: Option<Duration>,
    /// Samples per second (alloc) [default: 100].
    #[arg(
        short, long, value_name = "RATE",
        value_parser = value_parser!(u32).range(1..=10_000)
    )]
    pub rate: Option<u32>,
    /// The file to write, `-` for standard output [default: leakspy-PID-TIME.svg].
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// What to write [default: by the extension of the file, otherwise flamegraph].
    #[arg(short, long, value_enum)]
    pub format: Option<Format>,
    /// The measure for widths and ranks.
    #[arg(long, value_enum, default_value_t, value_name = "MEASURE")]
    pub by: Measure,
    /// Whether child processes are included.
    #[command(flatten)]
    pub children: SubprocessesArg,
    /// Keep threads apart (live always does).
    #[arg(short, long)]
    pub threads: bool,
    /// How files are shown.
    #[command(flatten)]
    pub paths: PathsArg,
    /// Whether the process is paused.
    #[command(flatten)]
    pub pausing: NonblockingArg,
    /// Also show where each object was allocated, if tracemalloc is on in the process (live).
    #[arg(long)]
    pub born: bool,
    /// How much memory it may take (live).
    #[command(flatten)]
    pub memory: MemoryArg,
    /// How breakpoints are set (alloc).
    #[command(flatten)]
    pub breakpoints: BreakpointsArg,
}

/// The views.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum View {
    /// Live objects, under the references that keep them alive.
    Live,
    /// Memory allocated while recording, freed since or not, by allocating stack (an estimate).
    Alloc,
    /// Live blocks by allocating stack, from the tables of tracemalloc, which must be on in the process
    /// (exact).
    Traced,
}

/// The forms of output.
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
    /// A file for `go tool pprof` and Pyroscope.
    Pprof,
}

/// The weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Measure {
    /// Bytes.
    #[default]
    Bytes,
    /// The number of objects.
    Objects,
}

impl Args {
    /// The form to write.
    ///
    /// # Errors
    /// `--format` contradicts the name of the file, or that has an unknown extension.
    pub fn form(&self) -> Result<Form, CommandError> {
        let forms: &[(&str, &[Format])] = &[
            ("svg", &[Format::Flamegraph]),
            ("speedscope.json", &[Format::Speedscope]),
            ("json", &[Format::Json, Format::Speedscope]),
            ("folded", &[Format::Folded]),
            ("collapsed", &[Format::Folded]),
            ("txt", &[Format::Folded]),
            ("pb.gz", &[Format::Pprof]),
            ("pprof", &[Format::Pprof]),
        ];
        let format = form("format", self.format, self.output.as_deref(), forms)?;
        Ok(match format.unwrap_or_default() {
            Format::Flamegraph => Form::Flamegraph,
            Format::Folded => Form::Folded,
            Format::Speedscope => Form::Speedscope,
            Format::Json => Form::Json,
            Format::Pprof => Form::Pprof,
        })
    }

    /// Samples per second.
    fn rate(&self) -> u32 {
        self.rate.unwrap_or(RATE)
    }

    /// The style of the profile.
    pub fn style(&self) -> Style {
        Style {
            by: match self.by {
                Measure::Bytes => By::Bytes,
                Measure::Objects => By::Objects,
            },
            paths: self.paths.paths(),
        }
    }

    /// How and where the result is written.
    ///
    /// # Errors
    /// Those of [`form`](Self::form).
    pub fn output_spec(&self) -> Result<OutputSpec, CommandError> {
        Ok(OutputSpec { form: self.form()?, style: self.style(), path: self.output.clone() })
    }

    /// The view to show.
    pub fn view(&self) -> View {
        self.view.unwrap_or(match self.target.command.is_empty() {
            true => View::Live,
            false => View::Alloc,
        })
    }

    /// Why the arguments contradict each other, if they do.
    fn contradiction(&self) -> Option<&'static str> {
        let view = self.view();
        if self.later.is_some() && self.target.file().is_none() {
            return Some(
                "a later file is compared with an earlier file: give two files, or `--duration`",
            );
        }
        if self.target.file().is_some() || self.core.core.is_some() {
            return self.contradiction_of_files(view);
        }
        if let Some(idle) = self.without_effect(view) {
            return Some(idle);
        }
        if view != View::Alloc && self.breakpoints.breakpoints != Breakpoints::Auto {
            Some("only `--view alloc` sets breakpoints: leave `--breakpoints` out")
        } else if view != View::Alloc && self.target.pid().is_none() && self.duration.is_none() {
            Some(
                "this view looks at one moment: say with `--duration` how long after the start of the \
                 command",
            )
        } else if view == View::Traced && self.threads {
            Some("tracemalloc does not know which thread allocated a block: leave `--threads` out")
        } else if view == View::Traced && self.pausing.nonblocking {
            Some("`--view traced` needs one pause: leave `--nonblocking` out")
        } else {
            None
        }
    }

    /// Which option says nothing to this view, if one does.
    fn without_effect(&self, view: View) -> Option<&'static str> {
        if view != View::Alloc && self.rate.is_some() {
            Some("only `--view alloc` takes samples: leave `--rate` out")
        } else if view == View::Live && self.threads {
            Some("the live view always keeps threads apart: leave `--threads` out")
        } else if view != View::Live && self.born {
            Some("only the live view shows where objects were allocated: leave `--born` out")
        } else if view != View::Live && self.memory.max_memory.is_some() {
            Some("only the live view reads the whole heap: leave `--max-memory` out")
        } else {
            None
        }
    }

    /// Why the arguments do not go with a file, if they do not.
    fn contradiction_of_files(&self, view: View) -> Option<&'static str> {
        if let Some(idle) = self.without_effect(View::Live).filter(|_| view == View::Live) {
            Some(idle)
        } else if view != View::Live {
            Some("a file has live objects only: leave `--view` out, or give `--pid`")
        } else if self.children.subprocesses {
            Some("a file has one process: leave `--subprocesses` out, or give `--pid`")
        } else if self.duration.is_some() || self.pausing.nonblocking {
            Some("a file is of one moment: leave `--duration` and `--nonblocking` out")
        } else if self.born && self.target.file().is_some() {
            Some("a snapshot file does not say where objects were allocated: leave `--born` out")
        } else {
            None
        }
    }

    /// How a heap is captured.
    fn capture_options(&self) -> CaptureOptions {
        CaptureOptions {
            pausing: !self.pausing.nonblocking,
            max_memory: self.memory.bytes(),
            on_delay: Some(tell),
        }
    }

    /// The options of sampling.
    fn options(&self, guardian: &Program) -> Options {
        Options {
            rate: f64::from(self.rate()),
            way: self.breakpoints.way(),
            threads: self.threads,
            processes: self.children.subprocesses,
            guardian: guardian.clone(),
        }
    }

    /// The options of sampling without pauses.
    fn stack_options(&self) -> stack_recorder::Options {
        stack_recorder::Options { threads: self.threads, subprocesses: self.children.subprocesses }
    }
}

/// Records, and writes the recording.
pub fn run(args: &Args, guardian: &Program) -> Result<ExitCode, CommandError> {
    if let Some(refusal) = args.contradiction() {
        return Err(CommandError::Usage(refusal.into()));
    }
    args.form()?;
    if let Some(path) = &args.output {
        check_writable(path)?;
    }
    if let Some(file) = args.target.file() {
        files::record(args, file)?;
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(core) = args.core.open(args.memory)? {
        live::record_core(args, &core)?;
        return Ok(ExitCode::SUCCESS);
    }
    let signals = Signals::listen().context("cannot listen for signals")?;
    let record = |process| record(args, process, &signals, guardian);
    let too_short = |pid| nothing_recorded(pid, &signals);
    let (_, status) = args.target.observe(&signals, too_short, record)?;
    Ok(status)
}

fn record(
    args: &Args,
    process: Process,
    signals: &Signals,
    guardian: &Program,
) -> Result<(), CommandError> {
    if args.target.pid().is_some() {
        tell_left_out(process.pid(), args.children);
    }
    match args.view() {
        View::Live => live::record(args, &process, signals),
        View::Alloc => allocated::record(args, process, signals, guardian),
        View::Traced => traced::record(args, &process, signals),
    }
}

/// Why there is nothing to write, not even an empty recording.
fn nothing_recorded(pid: i32, signals: &Signals) -> CommandError {
    let what = if signals.came() { "did not become" } else { "ended before it became" };
    CommandError::new(format_args!("Process {pid} {what} a Python that could be recorded."))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::render::Paths;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn parse(line: &str) -> Result<Args, clap::Error> {
        let words = ["record"].into_iter().chain(line.split_whitespace());
        Line::try_parse_from(words).map(|line| line.args)
    }

    fn form_of(args: &Args) -> Form {
        args.form().expect("nothing contradicts")
    }

    #[test]
    fn the_form_follows_from_the_name_of_the_file() {
        for (line, expected) in [
            ("1 -o a.svg", Form::Flamegraph),
            ("1 -o a.folded", Form::Folded),
            ("1 -o a.json", Form::Json),
            ("1 -o a.speedscope.json", Form::Speedscope),
            ("1 -o a.pb.gz", Form::Pprof),
            ("1 -o a.json -f speedscope", Form::Speedscope),
            ("1 -o - -f json", Form::Json),
        ] {
            assert_eq!(form_of(&parse(line).expect("parsed")), expected, "{line}");
        }
        for line in ["1 -o a.svg -f json", "1 -o a.png"] {
            assert!(parse(line).expect("parsed").form().is_err(), "{line}");
        }
    }

    #[test]
    fn options_without_effect_are_refused() {
        for line in ["1 --rate 5", "1 -t", "1 --view alloc --born", "1 --view traced --rate 5"] {
            assert!(parse(line).expect("parsed").contradiction().is_some(), "{line}");
        }
        for line in ["1 --view alloc --rate 5 -t", "1 --born", "-- python"] {
            assert_eq!(parse(line).expect("parsed").contradiction(), None, "{line}");
        }
    }

    #[test]
    fn a_number_is_a_process_and_anything_else_a_file() {
        let process = parse("1234").expect("parsed");
        assert_eq!((process.target.pid(), process.target.file()), (Some(1234), None));
        assert_eq!(parse("app.leakspy").expect("parsed").target.pid(), None);
    }

    #[test]
    fn defaults() {
        let args = parse("--pid 12").expect("parsed");
        assert_eq!(args.target.pid(), Some(12));
        assert_eq!((args.duration, args.rate(), args.output.as_deref()), (None, 100, None));
        assert_eq!((form_of(&args), args.style()), (Form::Flamegraph, Style::default()));
        assert_eq!(args.breakpoints.way(), None);
        assert_eq!(args.view(), View::Live);
    }

    #[test]
    fn a_command_keeps_its_own_options() {
        let args =
            parse("-d 2.5 -f json --by objects -- python -m app --pid 3 -d").expect("parsed");
        assert_eq!(args.target.pid(), None);
        assert_eq!(args.target.command, ["python", "-m", "app", "--pid", "3", "-d"]);
        assert_eq!(args.duration, Some(Duration::from_millis(2500)));
        assert_eq!((form_of(&args), args.style().by), (Form::Json, By::Objects));
    }

    #[test]
    fn what_py_spy_calls_by_other_names_is_understood() {
        let args = parse("-p 12 --view alloc -f raw --full-filenames -s -t").expect("parsed");
        assert_eq!((form_of(&args), args.style().paths), (Form::Folded, Paths::Full));
        assert!(args.children.subprocesses && args.threads);
    }

    #[test]
    fn files_take_the_place_of_a_process() {
        let args = parse("a.leakspy b.leakspy").expect("parsed");
        assert!(args.target.file().is_some() && args.later.is_some());
        assert_eq!((args.view(), args.contradiction()), (View::Live, None));
        for line in ["a --view alloc", "a -s", "a -d 3", "a --nonblocking", "a --born"] {
            let refused = parse(line).is_ok_and(|args| args.contradiction().is_some());
            assert!(refused, "{line:?} was accepted");
        }
        let command = parse("-- python app.py").expect("parsed");
        assert_eq!((command.target.file().is_some(), command.view()), (false, View::Alloc));
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
            "--pid 12 a.leakspy",
            "a.leakspy b.leakspy c.leakspy",
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
