//! A core file in place of a process: `--core` and `--sysroot`.

use std::path::PathBuf;

use super::flags::MemoryArg;
use crate::cli::errors::CommandError;
use crate::cli::terminal::say;
use crate::process::core::binaries::Places;
use crate::process::text::shown_path;
use crate::render::labels::printable;
use crate::source::CoreFile;

/// Which core file, and where to find the files that its process had mapped.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct CoreArgs {
    /// Core file to read instead of a process: of the kernel, of gcore or of coredumpctl, also compressed.
    #[arg(long, value_name = "FILE")]
    pub core: Option<PathBuf>,
    /// Folder with the programs and libraries of the machine that the core is from.
    #[arg(long, value_name = "DIR", requires = "core")]
    pub sysroot: Option<PathBuf>,
}

impl CoreArgs {
    /// Opens the core file, if there is one, and says what is missing beside it.
    pub fn open(&self, memory: MemoryArg) -> Result<Option<CoreFile>, CommandError> {
        let Some(path) = &self.core else { return Ok(None) };
        let places = Places { sysroot: self.sysroot.clone(), only_sysroot: false };
        let core = CoreFile::open(path, places, memory.bytes())?;
        if let Some(missing) = core.missing() {
            say(format_args!(
                "leakspy: {} was not found as the process had it, so the names of built-in types come from the \
                 core alone. `--sysroot DIR` says where the files of its machine are.",
                printable(&shown_path(missing))
            ));
        }
        Ok(Some(core))
    }
}
