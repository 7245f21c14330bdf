//! `leakspy snapshot`: writes a heap to a file, for later questions.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::UNIX_EPOCH;

use indicatif::HumanBytes;
use nix::sys::statvfs::statvfs;

use crate::cli::args::disclosure::DisclosureArgs;
use crate::cli::args::flags::{MemoryArg, NonblockingArg, PidArg};
use crate::cli::collection::tell;
use crate::cli::errors::{CommandError, Context};
use crate::cli::processes::open;
use crate::cli::progress::Line;
use crate::cli::terminal::say;
use crate::heap::CaptureOptions;
use crate::process::Process;
use crate::snapshot::{self, Facts};
use crate::source::{Heap, Moment, Source};

/// Write the heap of a process into a file, to ask it questions later.
///
/// The process is paused once, as by `leakspy heap`; the file is written after it has gone on. `leakspy heap FILE`,
/// `why FILE TYPE`, `tree`, `cycles`, `show` and `graph` then answer without the process. The file has names of
/// types, attributes and variables and short keys of dicts, but no values, unless they are asked for. Only you can
/// read it.
#[derive(Debug, clap::Args)]
#[command(mut_arg("pid", |pid| pid.required(true)))]
pub struct Args {
    /// Which process.
    #[command(flatten)]
    pub pid: PidArg,
    /// Where to write it [default: leakspy-PID.leakspy].
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// How much of keys and values is written.
    #[command(flatten)]
    pub disclosure: DisclosureArgs,
    /// Whether the process is paused.
    #[command(flatten)]
    pub pausing: NonblockingArg,
    /// How much memory it may take.
    #[command(flatten)]
    pub memory: MemoryArg,
}

/// The largest share of a resident set that the file of its objects takes: small objects take some 60 bytes
/// in the process, and some 10 in the file. With values it can be more.
const LARGEST_SHARE: u64 = 4;

/// Writes the file.
pub fn run(args: &Args) -> Result<ExitCode, CommandError> {
    let pid = args.pid.pid.context("there is no process")?;
    let path = args.output.clone().unwrap_or_else(|| format!("leakspy-{pid}.leakspy").into());
    let options = CaptureOptions {
        pausing: !args.pausing.nonblocking,
        max_memory: args.memory.bytes(),
        on_delay: Some(tell),
    };
    let source = open(pid, options)?;
    announce(pid, &path)?;
    let Moment { heap, composition, threads } = source.moment()?;
    let line = Line::begin();
    let facts = facts(&source, &heap, args);
    let collectors = heap.collectors()?;
    let written = snapshot::Heap {
        analysis: &heap.analysis,
        names: heap.names(),
        collectors: &collectors,
        facts: &facts,
        composition: composition.as_ref(),
        threads: threads.as_ref(),
    };
    let mut show = |part: f64| {
        line.show("The process goes on; writing.", || {
            format!("The process goes on. Writing: {:.0} %", 100.0 * part)
        });
    };
    let length = snapshot::write(&path, written, &mut show);
    line.clear();
    let length = length.with_context(|| format!("cannot write {}", path.display()))?;
    say(format_args!(
        "Wrote {}: {} objects, {}. The process was paused for {:.1} ms.",
        path.display(),
        heap.analysis.total().objects,
        HumanBytes(length),
        1000.0 * facts.paused.as_secs_f64()
    ));
    Ok(ExitCode::SUCCESS)
}

/// Says how much room the file needs, and refuses if the disk does not have it.
fn announce(pid: i32, path: &Path) -> Result<(), CommandError> {
    let resident = Process::open(pid)?.resident_bytes()?;
    let disk = resident / LARGEST_SHARE;
    say(format_args!(
        "Process {pid} has {}: this takes up to {} of memory, and up to {} on the disk.",
        HumanBytes(resident),
        HumanBytes(resident / 2 * 3),
        HumanBytes(disk)
    ));
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let cannot = || format!("cannot write into {}", folder.display());
    let space = statvfs(folder).map_err(std::io::Error::from).with_context(cannot)?;
    let free = space.blocks_available().saturating_mul(space.fragment_size());
    if free < disk {
        return Err(CommandError::new(format_args!(
            "a snapshot of process {pid} may take {} and {} has {} free; choose another place with --output",
            HumanBytes(disk),
            folder.display(),
            HumanBytes(free)
        )));
    }
    Ok(())
}

fn facts(source: &dyn Source, heap: &Heap<'_>, args: &Args) -> Facts {
    let identity = source.identity();
    let capture = heap.analysis.facts;
    let found = heap.analysis.graph.inconsistencies();
    Facts {
        leakspy: env!("CARGO_PKG_VERSION").to_owned(),
        host: fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned(),
        pid: identity.pid,
        started: identity.started,
        command: identity.command.clone(),
        executable: identity.executable.clone(),
        python: identity.version.to_string(),
        time: heap.provenance.time.duration_since(UNIX_EPOCH).unwrap_or_default(),
        clock: source.monotonic_clock(),
        pause: capture.pause,
        paused: capture.paused,
        copied: capture.copied,
        left_out: capture.left_out,
        rss: capture.rss,
        open_lists: found.open_lists,
        dangling: found.dangling,
        unreadable: found.unreadable,
        disclosure: crate::python::objects::Disclosure::from(&args.disclosure).into(),
    }
}
