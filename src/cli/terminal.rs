//! What a person reads, on standard error, and an answer on standard output.

use std::fmt::Display;
use std::io::{self, BufWriter, StdoutLock, Write};
use std::process::ExitCode;

use super::errors::CommandError;

/// Tells the person something, in a line on standard error. Not being heard is no error.
pub fn say(line: impl Display) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Standard output.
pub type Out = BufWriter<StdoutLock<'static>>;

/// Prints an answer whole. That it could be printed is success.
pub fn print(
    write: impl FnOnce(&mut Out) -> Result<(), CommandError>,
) -> Result<ExitCode, CommandError> {
    let mut out = BufWriter::new(io::stdout().lock());
    write(&mut out)?;
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}
