//! A command that is started to be observed, and whose exit status becomes leakspy's.

use std::ffi::OsString;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{self, Child, ExitCode, ExitStatus};

use crate::cli::errors::{CommandError, Context};

/// Starts a command whose output goes where leakspy's does.
pub fn start(command: &[OsString]) -> Result<Child, CommandError> {
    let (program, arguments) = command.split_first().context("no command")?;
    let mut command = process::Command::new(program);
    command.args(arguments);
    // Where Yama lets only ancestors trace a process, the guardian is not one: so the program allows tracing
    // by any process that has the right otherwise.
    // SAFETY: prctl with integer arguments is all that happens between fork and exec.
    unsafe {
        command.pre_exec(|| {
            libc::prctl(libc::PR_SET_PTRACER, libc::PR_SET_PTRACER_ANY);
            Ok(())
        });
    }
    command.spawn().with_context(|| format!("cannot start {}", program.to_string_lossy()))
}

/// The exit status that a shell gives a program that ended this way.
pub fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status.code().or_else(|| Some(128 + status.signal()?)).unwrap_or(1);
    u8::try_from(code).map_or(ExitCode::FAILURE, ExitCode::from)
}
