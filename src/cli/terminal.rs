//! Messages to the user on standard error, and an answer on standard output.

use std::fmt::Display;
use std::io::{self, BufWriter, StdoutLock, Write};
use std::process::ExitCode;

use super::errors::CommandError;

/// Prints a line for the user on standard error. A failure to print is not an error.
pub fn say(line: impl Display) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Standard output.
pub type Out = BufWriter<StdoutLock<'static>>;

/// Prints a whole answer. Succeeds if it could be printed.
pub fn print(
    write: impl FnOnce(&mut Out) -> Result<(), CommandError>,
) -> Result<ExitCode, CommandError> {
    let mut out = BufWriter::new(io::stdout().lock());
    write(&mut out)?;
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}
