//! `leakspy plot`: timelines as a chart.

use std::fs::File;
use std::io::{self, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::ValueEnum;

use crate::cli::args::flags::JsonArg;
use crate::cli::args::form::form;
use crate::cli::args::time::moment;
use crate::cli::errors::{CommandError, Context};
use crate::cli::output::{check_writable, png_of, write_whole};
use crate::cli::terminal::{print, say};
use crate::render::chart;
use crate::render::chart::{Run, Scales};
use crate::render::timeline::write_json;
use crate::timeline;
use crate::timeline::Timeline;

/// Draw files of `leakspy timeline`, or of memory_profiler's `mprof`, as a chart.
///
/// From one file, every process is a line, and so is their sum; from several files, each file is a line, all
/// with a common start. Ticks at the bottom are collections of Python's old generation.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The files.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// The chart to write, `-` for standard output [default: beside the first file, ending in .svg].
    #[arg(short, long, value_name = "FILE", conflicts_with = "json")]
    pub output: Option<PathBuf>,
    /// What to draw [default: by the extension of the file, otherwise svg].
    #[arg(short, long, value_enum, conflicts_with = "json")]
    pub format: Option<Picture>,
    /// Whether JSON is printed instead.
    #[command(flatten)]
    pub json: JsonArg,
    /// Begin the scale of memory at zero.
    #[arg(long, conflicts_with = "json")]
    pub zero: bool,
    /// Show the time of day instead of the time since the first sample. For one file.
    #[arg(long, conflicts_with = "json")]
    pub clock: bool,
    /// The part of each file to show.
    #[command(flatten)]
    pub part: Part,
}

/// The forms of a chart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Picture {
    /// A picture for a browser.
    #[default]
    Svg,
    /// A picture for everything else.
    Png,
}

/// The part of a file to show.
#[derive(Debug, Default, clap::Args)]
pub struct Part {
    /// The figure to show.
    #[arg(long = "of", value_enum, default_value_t, value_name = "FIGURE")]
    pub measure: Measure,
    /// Leave out what was before this time, such as a program's start.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub from: Option<Duration>,
    /// Leave out everything after this time.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub to: Option<Duration>,
}

/// The figures that a chart can show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Measure {
    /// The resident set.
    #[default]
    Rss,
    /// The proportional set: shared pages divided by the number of their users.
    Pss,
    /// The unique set: what would be freed if the process ended.
    Uss,
    /// Swapped-out memory.
    Swap,
    /// Anonymous memory.
    Anonymous,
    /// File pages.
    File,
    /// Shared memory.
    Shared,
    /// The arenas of Python's own allocator.
    Arenas,
}

impl Part {
    /// The figure.
    pub fn measure(&self) -> timeline::Measure {
        match self.measure {
            Measure::Rss => timeline::Measure::Rss,
            Measure::Pss => timeline::Measure::Pss,
            Measure::Uss => timeline::Measure::Uss,
            Measure::Swap => timeline::Measure::Swap,
            Measure::Anonymous => timeline::Measure::Anonymous,
            Measure::File => timeline::Measure::File,
            Measure::Shared => timeline::Measure::Shared,
            Measure::Arenas => timeline::Measure::Arenas,
        }
    }

    /// Reads that part of a file.
    pub fn read(&self, path: &Path) -> Result<Timeline, CommandError> {
        let cannot = || format!("cannot read {}", path.display());
        let file = File::open(path).with_context(cannot)?;
        let timeline = timeline::read(BufReader::new(file)).with_context(cannot)?;
        let timeline = timeline
            .part(self.from.map(|from| from.as_secs_f64()), self.to.map(|to| to.as_secs_f64()));
        let measure = self.measure();
        if !timeline.series.iter().any(|series| series.points(measure).next().is_some()) {
            return Err(CommandError::new(format_args!(
                "There is nothing about {} in {}.",
                measure.name(),
                path.display()
            )));
        }
        Ok(timeline)
    }
}

/// Draws the files.
pub fn run(args: &Args) -> Result<ExitCode, CommandError> {
    let forms: &[(&str, &[Picture])] = &[("svg", &[Picture::Svg]), ("png", &[Picture::Png])];
    let picture = form("format", args.format, args.output.as_deref(), forms)?.unwrap_or_default();
    if args.clock && args.files.len() > 1 {
        return Err(CommandError::Usage(
            "several files are drawn from a common start: leave `--clock` out, or give one".into(),
        ));
    }
    if let Some(path) = &args.output {
        check_writable(path)?;
    }
    let timelines: Vec<Timeline> =
        args.files.iter().map(|path| args.part.read(path)).collect::<Result<_, CommandError>>()?;
    let names: Vec<String> =
        args.files.iter().map(|path| path.to_string_lossy().into_owned()).collect();
    let runs: Vec<Run<'_>> =
        names.iter().zip(&timelines).map(|(name, timeline)| Run { name, timeline }).collect();
    let measure = args.part.measure();
    if args.json.json {
        return print(true, |out| Ok(write_json(&runs, measure, true, out)?));
    }
    let path = match (&args.output, args.files.first()) {
        (Some(path), _) => path.clone(),
        (None, first) => {
            let ending = if picture == Picture::Png { "png" } else { "svg" };
            first.map(|path| path.with_extension(ending)).unwrap_or_default()
        }
    };
    let svg = chart::svg(&runs, measure, Scales { from_zero: args.zero, clock: args.clock })?;
    if path == Path::new("-") {
        let mut out = io::stdout().lock();
        out.write_all(svg.as_bytes()).and_then(|()| out.flush()).context("standard output")?;
        return Ok(ExitCode::SUCCESS);
    }
    let bytes = match picture {
        Picture::Png => png_of(&svg, &path)?,
        Picture::Svg => svg.into_bytes(),
    };
    write_whole(&path, &bytes).with_context(|| format!("cannot write {}", path.display()))?;
    say(format_args!("Wrote {}", path.display()));
    Ok(ExitCode::SUCCESS)
}
