//! `leakspy export`: a heap as a file for another tool.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::ValueEnum;

use crate::cli::args::disclosure::DisclosureArgs;
use crate::cli::args::flags::MemoryArg;
use crate::cli::args::form::form;
use crate::cli::args::source::SourceArgs;
use crate::cli::errors::CommandError;
use crate::cli::output::{check_writable, write_streamed};
use crate::cli::terminal::say;
use crate::inspect::live::{Heavy, live};
use crate::render::{Form, Heading, Pauses, Style, View, chrome};

/// Write the heap of a process, or of a snapshot file, for another tool.
///
/// `chrome` is for the Memory panel of Chrome's developer tools and for memlab: objects by type with retained
/// sizes, their retainers, and the comparison of two files. `pprof` is for `go tool pprof` and Pyroscope: the
/// paths of `leakspy record`. Values of strings are written only with --values.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which heap.
    #[command(flatten)]
    pub source: SourceArgs,
    /// Which tool it is for [default: by the extension of the file].
    #[arg(long, value_enum, value_name = "TOOL", required_unless_present = "output")]
    pub to: Option<Tool>,
    /// The file to write, `-` for standard output [default: leakspy-PID.heapsnapshot or leakspy-PID.pb.gz].
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// How much of keys and values is written.
    #[command(flatten)]
    pub disclosure: DisclosureArgs,
    /// How much memory it may take.
    #[command(flatten)]
    pub memory: MemoryArg,
}

/// The tools.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Tool {
    /// The Memory panel of Chrome, and memlab (.heapsnapshot).
    Chrome,
    /// `go tool pprof` and Pyroscope (profile.proto, gzipped).
    Pprof,
}

/// The tools by the extension of the file.
const FORMS: &[(&str, &[Tool])] =
    &[("heapsnapshot", &[Tool::Chrome]), ("pb.gz", &[Tool::Pprof]), ("pprof", &[Tool::Pprof])];

/// Writes the file.
pub fn run(args: &Args) -> Result<ExitCode, CommandError> {
    let to = form("to", args.to, args.output.as_deref(), FORMS)?.ok_or(CommandError::Usage(
        "say which tool it is for: `--to chrome`, or `--to pprof`".into(),
    ))?;
    if let Some(path) = &args.output {
        check_writable(path)?;
    }
    let source = args.source.open(args.memory)?;
    let heap = args.source.heap(&*source, &args.disclosure)?;
    let (analysis, names, pause) = (&heap.analysis, heap.names(), heap.provenance.pause);
    let disclosure = (&args.disclosure).into();
    let owner = &heap.provenance.owner;
    let path = args.output.clone().unwrap_or_else(|| {
        let ending = match to {
            Tool::Chrome => "heapsnapshot",
            Tool::Pprof => Form::Pprof.extension(),
        };
        format!("leakspy-{}.{ending}", owner.pid).into()
    });
    write_streamed(&path, |mut out| match to {
        Tool::Chrome => chrome::write(analysis, names, disclosure, &mut out),
        Tool::Pprof => {
            let profile = live(analysis, names, None, Heavy::of(analysis), disclosure);
            let heading = Heading {
                pid: owner.pid,
                command: owner.command.clone(),
                python: owner.python.clone(),
                view: View::Live,
                duration: Duration::ZERO,
                samples: 1,
                pauses: Pauses { mean: pause, max: pause, total: pause },
                accuracy: None,
                earlier: None,
            };
            Form::Pprof.write(&profile, &heading, Style::default(), &mut out)
        }
    })?;
    if path.as_os_str() != "-" {
        say(format_args!("Wrote {}: {} objects.", path.display(), analysis.total().objects));
    }
    Ok(ExitCode::SUCCESS)
}
