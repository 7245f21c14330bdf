//! The processes that run Python: as a table for a terminal and as JSON (docs/json.md).

use std::time::Duration;

use indicatif::HumanBytes;
use serde::Serialize;

use super::RenderError;
use super::json::SCHEMA;
use super::labels::printable;
use super::sheet::Sheet;
use super::table::Table;

/// A process that runs Python.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// Its PID.
    pub pid: i32,
    /// Its command line.
    pub command: String,
    /// Its version of Python, if it can be read.
    pub python: Option<String>,
    /// Its resident set, in bytes.
    pub rss: u64,
    /// For how long it has run.
    pub age: Duration,
    /// Why it cannot be read, if it cannot.
    pub refusal: Option<String>,
}

/// Writes them as a table.
pub fn write(found: &[Found], out: &mut impl Sheet) -> Result<(), RenderError> {
    if found.is_empty() {
        return Ok(writeln!(out, "No process here runs Python.")?);
    }
    let mut table = Table::new(["pid", "python", "rss", "age", "readable", "command"])
        .names([1, 4])
        .texts([5])
        .spare(&["age", "python"]);
    for one in found {
        table.add_row([
            one.pid.to_string(),
            one.python.clone().unwrap_or_else(|| "?".to_owned()),
            HumanBytes(one.rss).to_string(),
            age(one.age),
            one.refusal.clone().map_or_else(|| "yes".to_owned(), |why| format!("no: {why}")),
            printable(&one.command),
        ]);
    }
    table.write(out)
}

/// An age in its largest units.
pub fn age(age: Duration) -> String {
    const MINUTE: u64 = 60;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 86_400;
    match age.as_secs() {
        seconds @ ..MINUTE => format!("{seconds}s"),
        seconds @ ..HOUR => format!("{}m{:02}s", seconds / MINUTE, seconds % MINUTE),
        seconds @ ..DAY => format!("{}h{:02}m", seconds / HOUR, seconds % HOUR / MINUTE),
        seconds => format!("{}d{:02}h", seconds / DAY, seconds % DAY / HOUR),
    }
}

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    processes: Vec<Row<'a>>,
}

#[derive(Serialize)]
struct Row<'a> {
    pid: i32,
    command: &'a str,
    python: Option<&'a str>,
    rss_bytes: u64,
    age_s: f64,
    readable: bool,
    refusal: Option<&'a str>,
}

impl<'a> From<&'a Found> for Row<'a> {
    fn from(one: &'a Found) -> Row<'a> {
        Row {
            pid: one.pid,
            command: &one.command,
            python: one.python.as_deref(),
            rss_bytes: one.rss,
            age_s: one.age.as_secs_f64(),
            readable: one.refusal.is_none(),
            refusal: one.refusal.as_deref(),
        }
    }
}

/// Writes them as JSON.
pub fn write_json(found: &[Found], out: &mut impl Sheet) -> Result<(), RenderError> {
    let processes = found.iter().map(Row::from).collect();
    serde_json::to_writer_pretty(&mut *out, &Document { schema: SCHEMA, processes })?;
    Ok(writeln!(out)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_have_two_units() {
        for (seconds, expected) in [(9, "9s"), (65, "1m05s"), (3700, "1h01m"), (90_000, "1d01h")] {
            assert_eq!(age(Duration::from_secs(seconds)), expected);
        }
    }
}
