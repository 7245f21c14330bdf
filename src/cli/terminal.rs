//! Messages to the user on standard error, and an answer on standard output.
//!
//! On a terminal, lines are broken between words at its width. Elsewhere, a line is never broken: whoever searches or
//! cuts the output gets it whole. `COLUMNS` overrules both.

use std::env;
use std::fmt::Display;
use std::io::{self, BufWriter, IsTerminal, StdoutLock, Write};
use std::os::fd::AsFd;
use std::process::ExitCode;

use anstream::{AutoStream, ColorChoice};
use clap::ValueEnum;

use super::errors::CommandError;
use crate::render::fitting::wrap_line;
use crate::render::sheet::{HEADING, Sheet};

/// The narrowest terminal that text is fitted to.
const NARROWEST: usize = 40;

/// When text has colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Colour {
    /// On a terminal, unless the variable `NO_COLOR` is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl Colour {
    /// Applies it to all that is printed from now on.
    pub fn apply(self) {
        match self {
            Colour::Auto => ColorChoice::Auto,
            Colour::Always => ColorChoice::Always,
            Colour::Never => ColorChoice::Never,
        }
        .write_global();
    }
}

/// The width to which lines are fitted; `None` if they can be of any length.
fn columns(stream: impl AsFd + IsTerminal) -> Option<usize> {
    let asked = env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let terminal = || {
        let (width, _) = terminal_size::terminal_size_of(stream.as_fd())?;
        Some(width.0.into())
    };
    let width: Option<usize> =
        asked.or_else(|| if stream.is_terminal() { terminal() } else { None });
    width.map(|width| width.max(NARROWEST))
}

/// Prints a line for the user on standard error. A failure to print is not an error.
pub fn say(line: impl Display) {
    let mut out = io::stderr().lock();
    let width = if io::stderr().is_terminal() { columns(io::stderr()) } else { None };
    for line in line.to_string().split('\n') {
        for part in wrap_line(line, width.unwrap_or(usize::MAX)) {
            let _ = writeln!(out, "{part}");
        }
    }
}

/// Standard output.
pub struct Out {
    inner: BufWriter<StdoutLock<'static>>,
    width: Option<usize>,
    colours: bool,
    /// A line that has not ended yet.
    line: Vec<u8>,
}

impl Out {
    /// Standard output for a person.
    pub fn text() -> Out {
        let colours = !matches!(AutoStream::choice(&io::stdout()), ColorChoice::Never);
        Out { width: columns(io::stdout()), colours, ..Out::data() }
    }

    /// Standard output for a program: nothing is changed in what is written.
    pub fn data() -> Out {
        let inner = BufWriter::new(io::stdout().lock());
        Out { inner, width: None, colours: false, line: Vec::new() }
    }

    /// That for a program if `is_data`, otherwise that for a person.
    pub fn for_data(is_data: bool) -> Out {
        if is_data { Out::data() } else { Out::text() }
    }

    /// Says on a terminal what can be typed next.
    pub fn next(&mut self, command: &str, what: &str) -> io::Result<()> {
        match self.width {
            Some(_) => {
                let command = self.styled(HEADING, command);
                writeln!(self, "\nNext: {command}  {what}")
            }
            None => Ok(()),
        }
    }

    fn end_line(&mut self, width: usize) -> io::Result<()> {
        let line = std::mem::take(&mut self.line);
        for part in wrap_line(&String::from_utf8_lossy(&line), width) {
            writeln!(self.inner, "{part}")?;
        }
        Ok(())
    }
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(width) = self.width else { return self.inner.write(bytes) };
        for part in bytes.split_inclusive(|&byte| byte == b'\n') {
            match part.split_last() {
                Some((b'\n', rest)) => {
                    self.line.extend_from_slice(rest);
                    self.end_line(width)?;
                }
                _ => self.line.extend_from_slice(part),
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let rest = std::mem::take(&mut self.line);
        self.inner.write_all(&rest)?;
        self.inner.flush()
    }
}

impl Sheet for Out {
    fn width(&self) -> Option<usize> {
        self.width
    }

    fn has_colours(&self) -> bool {
        self.colours
    }
}

/// Prints a whole answer, for a program if `is_data`. Succeeds if it could be printed.
pub fn print(
    is_data: bool,
    write: impl FnOnce(&mut Out) -> Result<(), CommandError>,
) -> Result<ExitCode, CommandError> {
    let mut out = Out::for_data(is_data);
    write(&mut out)?;
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}
