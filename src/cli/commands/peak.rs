//! `leakspy peak`: timelines summed up in words.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use super::plot::Part;
use crate::cli::args::flags::JsonArg;
use crate::cli::errors::CommandError;
use crate::cli::terminal::{Out, print};
use crate::render::chart::Run;
use crate::render::labels::printable;
use crate::render::phrases;
use crate::render::timeline::write_json;
use crate::timeline::{Timeline, Who};

/// Print peak and slope of each process in files of `leakspy timeline` or `mprof`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The files.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// The part of each file to read.
    #[command(flatten)]
    pub part: Part,
    /// Whether JSON is printed.
    #[command(flatten)]
    pub form: JsonArg,
}

/// Prints peak and slope of each process.
pub fn run(args: &Args) -> Result<ExitCode, CommandError> {
    let measure = args.part.measure();
    if args.form.json {
        let read: Vec<(String, Timeline)> = args
            .files
            .iter()
            .map(|path| Ok((path.to_string_lossy().into_owned(), args.part.read(path)?)))
            .collect::<Result<_, CommandError>>()?;
        let runs: Vec<Run<'_>> =
            read.iter().map(|(name, timeline)| Run { name, timeline }).collect();
        return print(true, |out| Ok(write_json(&runs, measure, false, out)?));
    }
    let mut out = Out::text();
    for path in &args.files {
        let timeline = args.part.read(path)?;
        writeln!(out, "{}: {}", path.display(), measure.name())?;
        for series in &timeline.series {
            let words = phrases::series(series, measure);
            let command = printable(series.command());
            match series.who {
                _ if words.is_empty() => {}
                Who::All => writeln!(out, "  all together: {words}")?,
                Who::Process(pid, _) => writeln!(out, "  {pid} {command}: {words}")?,
            }
        }
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}
