//! `leakspy peak`: timelines summed up in words.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use super::plot::Part;
use crate::cli::errors::CommandError;
use crate::cli::terminal::Out;
use crate::render::labels::printable;
use crate::render::phrases;
use crate::timeline::Who;

/// Print peak and slope of each process in files of `leakspy timeline` or `mprof`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The files.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// The part of each file to read.
    #[command(flatten)]
    pub part: Part,
}

/// Prints peak and slope of each process.
pub fn run(args: &Args) -> Result<ExitCode, CommandError> {
    let measure = args.part.measure();
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
