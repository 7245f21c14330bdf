//! `leakspy snapshot`: writes a heap to a file, for later questions.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use indicatif::HumanBytes;
use nix::sys::statvfs::statvfs;
use serde::Serialize;

use crate::cli::args::core::CoreArgs;
use crate::cli::args::disclosure::DisclosureArgs;
use crate::cli::args::flags::{MemoryArg, NonblockingArg, SubprocessesArg};
use crate::cli::args::process::{Place, ProcessArg};
use crate::cli::collection::tell;
use crate::cli::errors::{CommandError, Context};
use crate::cli::output::{check_writable, write_whole};
use crate::cli::processes::{each, open};
use crate::cli::progress::Line;
use crate::cli::terminal::say;
use crate::heap::CaptureOptions;
use crate::inspect::waste::waste;
use crate::private_file::create_folder;
use crate::process::Process;
use crate::python::objects::Disclosure;
use crate::render::json::SCHEMA;
use crate::snapshot;
use crate::source::facts::facts;
use crate::source::{Moment, Source};

/// Write the heap of a process into a file, to ask it questions later.
///
/// The process is paused once, as by `leakspy heap`; the file is written after it has gone on. `leakspy heap FILE`,
/// `why FILE TYPE`, `tree`, `cycles`, `show` and `graph` then answer without the process. The file has names of
/// types, attributes and variables and short keys of dicts, but no values, unless they are asked for. Only you can
/// read it.
#[derive(Debug, clap::Args)]
#[command(
    mut_arg("pid", |pid| pid.conflicts_with("place")),
    mut_arg("name", |name| name.conflicts_with("place")),
    mut_arg("core", |core| {
        core.conflicts_with_all(["pid", "name", "place", "subprocesses", "nonblocking"])
    })
)]
pub struct Args {
    /// Which process.
    #[command(flatten)]
    process: ProcessArg,
    /// PID of the process.
    #[arg(
        value_name = "PID",
        value_parser = Place::only_pid,
        required_unless_present_any = ["pid", "name", "core"]
    )]
    place: Option<Place>,
    /// Core file to keep instead of a process.
    #[command(flatten)]
    pub core: CoreArgs,
    /// Whether child processes are included: then there is a folder, with a file for each.
    #[command(flatten)]
    pub children: SubprocessesArg,
    /// Where to write it [default: leakspy-PID.leakspy, or the folder leakspy-PID].
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

impl Args {
    /// The process asked for, if it is one.
    pub fn pid(&self) -> Option<i32> {
        self.place.as_ref().and_then(Place::pid).or(self.process.pid())
    }

    /// The argument that may name the process.
    pub fn process(&mut self) -> &mut ProcessArg {
        &mut self.process
    }
}

/// The largest share of a resident set that the file of its objects takes: small objects take some 60 bytes
/// in the process, and some 10 in the file. With values it can be more.
const LARGEST_SHARE: u64 = 4;

/// The name of the list of files in a folder.
const INDEX: &str = "index.json";

/// The list of the files in a folder.
#[derive(Debug, Serialize)]
struct Index {
    schema: u32,
    snapshots: Vec<Entry>,
}

/// A file that was written.
#[derive(Debug, Serialize)]
struct Entry {
    file: String,
    pid: i32,
    command: String,
    python: String,
    time_s: f64,
    objects: u32,
    bytes: u64,
    rss_bytes: u64,
}

/// Writes the file, or the files.
pub fn run(args: &Args) -> Result<ExitCode, CommandError> {
    if let Some(core) = args.core.open(args.memory)? {
        let default = || format!("leakspy-{}.leakspy", core.identity().pid).into();
        let path = args.output.clone().unwrap_or_else(default);
        check_writable(&path)?;
        write_moment(args, &core, &core.moment()?, &path)?;
        return Ok(ExitCode::SUCCESS);
    }
    let pid = args.pid().context("there is no process")?;
    if args.children.subprocesses {
        let path = args.output.clone().unwrap_or_else(|| format!("leakspy-{pid}").into());
        return write_folder(args, pid, &path);
    }
    let path = args.output.clone().unwrap_or_else(|| format!("leakspy-{pid}.leakspy").into());
    check_writable(&path)?;
    write_file(args, pid, &path)?;
    Ok(ExitCode::SUCCESS)
}

/// Writes a file for the process and each of its descendants into a folder, and a list of them.
fn write_folder(args: &Args, pid: i32, folder: &Path) -> Result<ExitCode, CommandError> {
    let cannot = || format!("cannot write into {}", folder.display());
    create_folder(folder).with_context(cannot)?;
    let write = |pid| write_file(args, pid, &folder.join(format!("{pid}.leakspy")));
    let (first, others) = each(pid, true, write)?;
    let snapshots: Vec<Entry> = [first].into_iter().chain(others).collect();
    let count = snapshots.len();
    let mut bytes = serde_json::to_vec_pretty(&Index { schema: SCHEMA, snapshots })?;
    bytes.push(b'\n');
    let path = folder.join(INDEX);
    write_whole(&path, &bytes).with_context(cannot)?;
    say(format_args!("Wrote {}: {count} processes.", path.display()));
    Ok(ExitCode::SUCCESS)
}

/// Writes the file of one process.
fn write_file(args: &Args, pid: i32, path: &Path) -> Result<Entry, CommandError> {
    let options = CaptureOptions {
        pausing: !args.pausing.nonblocking,
        max_memory: args.memory.bytes(),
        on_delay: Some(tell),
    };
    let source = open(pid, options)?;
    announce(pid, path)?;
    write_moment(args, &source, &source.moment()?, path)
}

/// Writes the file of one moment.
fn write_moment(
    args: &Args,
    source: &dyn Source,
    moment: &Moment<'_>,
    path: &Path,
) -> Result<Entry, CommandError> {
    let Moment { heap, composition, threads } = moment;
    let line = Line::begin();
    let (time, told) = (heap.provenance.time, Disclosure::from(&args.disclosure));
    let clock = source.monotonic_clock();
    let facts = facts(source.identity(), source.host(), &heap.analysis, time, clock, told);
    let collectors = heap.collectors()?;
    let waste = waste(&heap.analysis, heap.names(), (&args.disclosure).into());
    let written = snapshot::Heap {
        analysis: &heap.analysis,
        names: heap.names(),
        collectors: &collectors,
        facts: &facts,
        composition: composition.as_ref(),
        threads: threads.as_ref(),
        waste: waste.as_ref(),
    };
    let mut show = |part: f64| {
        line.show("Nothing is paused any more; writing.", || {
            format!("Nothing is paused any more. Writing: {:.0} %", 100.0 * part)
        });
    };
    let length = snapshot::write(path, written, &mut show);
    line.clear();
    let length = length.with_context(|| format!("cannot write {}", path.display()))?;
    let paused = match facts.paused.is_zero() {
        true => "The target was never paused.".to_owned(),
        false => {
            format!("The process was paused for {:.1} ms.", 1000.0 * facts.paused.as_secs_f64())
        }
    };
    say(format_args!(
        "Wrote {}: {} objects, {}. {paused}",
        path.display(),
        heap.analysis.total().objects,
        HumanBytes(length),
    ));
    let total = heap.analysis.total();
    Ok(Entry {
        file: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        pid: facts.pid,
        command: facts.command,
        python: facts.python,
        time_s: facts.time.as_secs_f64(),
        objects: total.objects,
        bytes: total.bytes,
        rss_bytes: facts.rss,
    })
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
