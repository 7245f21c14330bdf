//! `leakspy info`: the process and moment of a snapshot or core file.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use indicatif::{HumanBytes, HumanCount};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::cli::args::core::CoreArgs;
use crate::cli::args::flags::MemoryArg;
use crate::cli::args::source::memory_for_files;
use crate::cli::errors::{CommandError, Context};
use crate::cli::terminal::print;
use crate::python::objects::Disclosure;
use crate::render::info;
use crate::render::labels::printable;
use crate::snapshot::container::Reader;
use crate::snapshot::load;

/// Print the process and moment of a snapshot file or a core file, and its contents.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The snapshot file.
    #[arg(value_name = "FILE", required_unless_present = "core", conflicts_with = "core")]
    pub file: Option<PathBuf>,
    /// Core file instead.
    #[command(flatten)]
    pub core: CoreArgs,
    /// How much memory it may take.
    #[command(flatten)]
    pub memory: MemoryArg,
}

/// Prints the information.
pub fn run(args: &Args) -> Result<ExitCode, CommandError> {
    if let Some(core) = args.core.open(args.memory)? {
        return print(false, |out| Ok(info::write(&core, out)?));
    }
    let file = args.file.as_deref().context("there is no file")?;
    let cannot = || format!("cannot read {}", file.display());
    let reader = Reader::open(file, memory_for_files(args.memory)).with_context(cannot)?;
    let facts = load::facts(&reader).with_context(cannot)?;
    let count = |name| reader.columns().find(|column| column.0 == name).map_or(0, |it| it.1);
    let time =
        Timestamp::try_from(facts.time()).unwrap_or_default().to_zoned_datetime(TimeZone::system());
    print(false, |out| {
        writeln!(
            out,
            "Process {}{}: {}",
            facts.pid,
            match facts.host.as_str() {
                "" => String::new(),
                host => format!(" on {}", printable(host)),
            },
            printable(&facts.command)
        )?;
        writeln!(
            out,
            "Python {}. {}, paused for {:.1} ms.",
            printable(&facts.python),
            time.strftime("%Y-%m-%d %H:%M:%S %Z"),
            1000.0 * facts.paused.as_secs_f64()
        )?;
        writeln!(
            out,
            "{} objects and {} references{}.",
            HumanCount(count("object.type")),
            HumanCount(count("edge.role")),
            match facts.rss {
                0 => String::new(),
                rss => format!("; the resident set was {}", HumanBytes(rss)),
            }
        )?;
        let told = match Disclosure::from(facts.disclosure) {
            Disclosure::Names => "Keys of dicts and values are not in it.",
            Disclosure::Keys => "Short keys of dicts are in it, values are not.",
            Disclosure::Values => "Keys and values are in it, shortened.",
        };
        writeln!(out, "{told}")?;
        writeln!(
            out,
            "Written by leakspy {}: {}.",
            printable(&facts.leakspy),
            HumanBytes(reader.len())
        )?;
        Ok(())
    })
}
