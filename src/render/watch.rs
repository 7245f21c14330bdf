//! What `leakspy watch` sees, as JSON (docs/json.md): a document in a line for each event.

use serde::Serialize;

use super::RenderError;
use super::json::SCHEMA;
use super::sheet::Sheet;
use crate::timeline::Condition;

/// What has happened.
#[derive(Debug, Clone, Copy)]
pub enum Event<'a> {
    /// A process is watched from now on: its command line.
    Watching(&'a str),
    /// A condition is met, by this figure.
    Met(&'a Condition, f64),
    /// A figure is below its limit again.
    Below(&'a Condition, f64),
    /// The process ended.
    Ended,
}

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    event: &'static str,
    time_s: f64,
    pid: i32,
    command: Option<&'a str>,
    most_rss_bytes: u64,
    condition: Option<&'static str>,
    r#type: Option<&'a str>,
    figure: Option<f64>,
    limit: Option<f64>,
}

/// Writes an event: when it was seen, in seconds since 1970, and the largest resident set until then.
pub fn write_json(
    pid: i32,
    event: Event<'_>,
    time_s: f64,
    most_rss_bytes: u64,
    out: &mut impl Sheet,
) -> Result<(), RenderError> {
    let (name, command, met) = match event {
        Event::Watching(command) => ("watching", Some(command), None),
        Event::Met(condition, figure) => ("met", None, Some((condition, figure))),
        Event::Below(condition, figure) => ("below", None, Some((condition, figure))),
        Event::Ended => ("ended", None, None),
    };
    let known = met.map(|(condition, _)| describe(condition));
    let document = Document {
        schema: SCHEMA,
        event: name,
        time_s,
        pid,
        command,
        most_rss_bytes,
        condition: known.map(|(name, ..)| name),
        r#type: known.and_then(|(_, kind, _)| kind),
        figure: met.map(|(_, figure)| figure),
        limit: known.map(|(.., limit)| limit),
    };
    serde_json::to_writer(&mut *out, &document)?;
    Ok(writeln!(out)?)
}

/// The name of a condition, the type of the objects that it counts, and its limit.
fn describe(condition: &Condition) -> (&'static str, Option<&str>, f64) {
    match condition {
        Condition::Rss(limit) => ("rss", None, *limit as f64),
        Condition::Growth { per_second, .. } => ("growth", None, *per_second),
        Condition::Arenas(limit) => ("arenas", None, *limit as f64),
        Condition::Group(limit) => ("cgroup", None, *limit),
        Condition::Objects { kind, count, .. } => ("objects", Some(kind), *count as f64),
    }
}
