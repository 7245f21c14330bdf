//! What `leakspy watch` does when a condition is met.

use std::env;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::cli::args::flags::JsonArg;
use crate::cli::errors::{CommandError, Context};
use crate::cli::output::check_writable;
use crate::cli::terminal::say;
use crate::process::{Process, ProcessError};

/// The possible actions.
#[derive(Debug, clap::Args)]
pub struct Actions {
    /// Print its objects by type, and save the figures (as `leakspy heap --save`).
    #[arg(long, value_name = "FILE")]
    pub heap: Option<PathBuf>,
    /// Write its objects into a snapshot file, to ask questions later (as `leakspy snapshot`).
    #[arg(long, value_name = "FILE")]
    pub snapshot: Option<PathBuf>,
    /// Draw a flamegraph of its objects (as `leakspy record`).
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
    /// Print the stacks of its threads (as `leakspy dump`).
    #[arg(long)]
    pub dump: bool,
    /// Print what its resident set is made of (as `leakspy mem`).
    #[arg(long)]
    pub mem: bool,
    /// Hunt for leaks for half a minute (as `leakspy hunt`).
    #[arg(long)]
    pub hunt: bool,
    /// Run a shell command; {pid} stands for the process.
    #[arg(long, value_name = "COMMAND")]
    pub exec: Option<String>,
    /// Stop it (SIGSTOP), so that a debugger can attach.
    #[arg(long)]
    pub stop: bool,
}

impl Actions {
    /// Makes sure that the files can be written, before waiting for the moment at which they are.
    pub fn check(&self) -> Result<(), CommandError> {
        for path in [&self.heap, &self.snapshot, &self.record].into_iter().flatten() {
            check_writable(path)?;
        }
        Ok(())
    }
}

/// Does the actions asked for. If one fails, leakspy says so, and does the others.
/// With `--json` the commands that can print JSON do.
pub fn act(
    actions: &Actions,
    process: &Process,
    number: u32,
    form: JsonArg,
) -> Result<(), CommandError> {
    let pid = process.pid();
    let program = env::current_exe().context("cannot find leakspy's own program")?;
    let leakspy = |words: &[&str]| {
        let mut command = Command::new(&program);
        command.args(words).args(["--pid", &pid.to_string()]);
        command
    };
    let printing = |words: &[&str]| {
        let mut command = leakspy(words);
        command.args(form.json.then_some("--json"));
        command
    };
    // First: if it is about to be killed, the others can be asked of the file.
    if let Some(path) = &actions.snapshot {
        run_to_end(leakspy(&["snapshot"]).arg("--output").arg(numbered(path, number)));
    }
    if let Some(path) = &actions.heap {
        run_to_end(printing(&["heap"]).arg("--save").arg(numbered(path, number)));
    }
    if actions.mem {
        run_to_end(&mut printing(&["mem"]));
    }
    if actions.dump {
        run_to_end(&mut printing(&["dump"]));
    }
    if let Some(path) = &actions.record {
        run_to_end(leakspy(&["record"]).arg("--output").arg(numbered(path, number)));
    }
    if actions.hunt {
        run_to_end(&mut printing(&["hunt"]));
    }
    if let Some(command) = &actions.exec {
        run_to_end(Command::new("sh").arg("-c").arg(command.replace("{pid}", &pid.to_string())));
    }
    if actions.stop {
        // It may have ended meanwhile, and another process may have its PID.
        if !process.is_alive() {
            return Err(ProcessError::Ended { pid }.into());
        }
        kill(Pid::from_raw(pid), Signal::SIGSTOP)
            .map_err(io::Error::from)
            .with_context(|| format!("cannot stop process {pid}"))?;
        say(format_args!(
            "Stopped process {pid}. Attach a debugger now (`gdb -p {pid}`); `kill -CONT {pid}` lets it \
             go on."
        ));
    }
    Ok(())
}

fn run_to_end(command: &mut Command) {
    match command.status() {
        Ok(status) if status.success() => {}
        Ok(status) => say(format_args!("leakspy: {command:?} failed ({status}).")),
        Err(error) => say(format_args!("leakspy: {command:?} could not be run: {error}.")),
    }
}

/// The file for the second time and later, with the number before its extension.
fn numbered(path: &Path, number: u32) -> PathBuf {
    if number <= 1 {
        return path.to_path_buf();
    }
    let mut name = path.file_stem().unwrap_or_default().to_os_string();
    name.push(format!("-{number}"));
    if let Some(ending) = path.extension() {
        name.push(".");
        name.push(ending);
    }
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_later_times_are_others() {
        assert_eq!(numbered(Path::new("/a/b.svg"), 1), Path::new("/a/b.svg"));
        assert_eq!(numbered(Path::new("/a/b.svg"), 2), Path::new("/a/b-2.svg"));
        assert_eq!(numbered(Path::new("heap"), 12), Path::new("heap-12"));
    }
}
