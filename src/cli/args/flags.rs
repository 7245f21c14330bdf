//! Options that several commands take, each declared once. A command flattens those that it takes into its
//! own.

use bytesize::ByteSize;
use clap::ValueEnum;

use super::size::size;
use crate::process::breakpoint::Way;
use crate::python::SourceLines;
use crate::render::Paths;
use crate::source::Source;

/// `--subprocesses` and `--no-subprocesses`. Without either of them, a command says which children it leaves
/// out; `hunt` includes them.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct SubprocessesArg {
    /// Include its child processes, and theirs.
    #[arg(short, long, overrides_with = "no_subprocesses")]
    pub subprocesses: bool,
    /// Leave child processes out without saying so.
    #[arg(long, overrides_with = "subprocesses")]
    pub no_subprocesses: bool,
}

/// `--nonblocking`.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct NonblockingArg {
    /// Do not pause the process. What changes while it is read is then inconsistent; leakspy says how much.
    #[arg(long)]
    pub nonblocking: bool,
}

/// `--max-memory`.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub struct MemoryArg {
    /// Memory that leakspy itself may use, such as 2GiB [default: half of the available memory].
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub max_memory: Option<ByteSize>,
}

impl MemoryArg {
    /// The limit in bytes, if there is one.
    pub fn bytes(&self) -> Option<u64> {
        self.max_memory.map(|size| size.as_u64())
    }
}

/// `--json`.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct JsonArg {
    /// Print JSON (described in docs/json.md).
    #[arg(short, long)]
    pub json: bool,
}

/// `--full-paths`.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct PathsArg {
    /// Show full file paths.
    #[arg(long, alias = "full-filenames")]
    pub full_paths: bool,
}

impl PathsArg {
    /// How paths are shown.
    pub fn paths(&self) -> Paths {
        if self.full_paths { Paths::Full } else { Paths::Short }
    }
}

/// `--no-source`.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct NoSourceArg {
    /// Leave the lines of source code out.
    #[arg(long)]
    pub no_source: bool,
}

impl NoSourceArg {
    /// The lines of source code, if they are shown and the source has them.
    pub fn of(self, source: &dyn Source) -> Option<SourceLines> {
        if self.no_source { None } else { source.source_lines() }
    }
}

/// `--breakpoints`.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct BreakpointsArg {
    /// How to set hardware breakpoints.
    #[arg(long, value_enum, default_value_t, value_name = "WAY")]
    pub breakpoints: Breakpoints,
}

/// How to reach the processor's breakpoint registers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Breakpoints {
    /// Perf events, or ptrace where those are refused.
    #[default]
    Auto,
    /// Perf events only (Linux 5.13 or later).
    Perf,
    /// ptrace only.
    Ptrace,
}

impl BreakpointsArg {
    /// The required way, if there is one.
    pub fn way(&self) -> Option<Way> {
        match self.breakpoints {
            Breakpoints::Auto => None,
            Breakpoints::Perf => Some(Way::Perf),
            Breakpoints::Ptrace => Some(Way::Ptrace),
        }
    }
}
