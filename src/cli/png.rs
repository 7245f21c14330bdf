//! Charts as PNG. leakspy draws SVG; a program that is made for it makes pixels of that, where there is one.

use std::io::{ErrorKind, Write};
use std::process::{Command, Stdio};

use super::errors::{CommandError, Context};

/// Programs that read SVG and write PNG, and how they are told to.
const CONVERTERS: [(&str, &[&str]); 2] = [
    ("rsvg-convert", &["--format", "png"]),
    ("inkscape", &["--pipe", "--export-type=png", "--export-filename=-"]),
];
/// What every PNG begins with.
const BEGINNING: &[u8] = b"\x89PNG";

/// The picture as PNG; `None` where no converter is installed.
pub fn of_svg(svg: &str) -> Result<Option<Vec<u8>>, CommandError> {
    for (program, arguments) in CONVERTERS {
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = match command.stderr(Stdio::piped()).spawn() {
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            child => child.with_context(|| format!("cannot run {program}"))?,
        };
        // It reads all before it draws. If it ends before, its own words say why.
        let _ = child.stdin.take().map(|mut input| input.write_all(svg.as_bytes()));
        let output = child.wait_with_output().with_context(|| format!("cannot run {program}"))?;
        if !output.status.success() || !output.stdout.starts_with(BEGINNING) {
            return Err(CommandError::new(format_args!(
                "{program} made no PNG of the chart ({}): {}",
                output.status,
                String::from_utf8_lossy(&output.stderr).trim()
            )));
        }
        return Ok(Some(output.stdout));
    }
    Ok(None)
}
