//! Timelines as JSON (docs/json.md): peak and trend of each process, and the points between.

use serde::Serialize;

use super::RenderError;
use super::chart::Run;
use super::json::SCHEMA;
use super::sheet::Sheet;
use crate::timeline::{History, Measure, Peak, Series, Trend, TrendKind, Who};

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    figure: &'static str,
    files: Vec<JsonFile<'a>>,
}

#[derive(Serialize)]
struct JsonFile<'a> {
    file: &'a str,
    processes: Vec<JsonProcess<'a>>,
}

#[derive(Serialize)]
struct JsonProcess<'a> {
    pid: Option<i32>,
    command: Option<&'a str>,
    samples: usize,
    begin_s: Option<f64>,
    last_bytes: Option<u64>,
    peak: Option<JsonPoint>,
    trend: Option<JsonTrend>,
    #[serde(skip_serializing_if = "Option::is_none")]
    points: Option<Vec<JsonPoint>>,
}

#[derive(Serialize)]
struct JsonPoint {
    time_s: f64,
    bytes: u64,
}

impl From<Peak> for JsonPoint {
    fn from(peak: Peak) -> JsonPoint {
        JsonPoint { time_s: peak.time, bytes: peak.bytes }
    }
}

#[derive(Serialize)]
struct JsonTrend {
    kind: &'static str,
    bytes_per_s: f64,
    error_bytes_per_s: Option<f64>,
}

impl From<Trend> for JsonTrend {
    fn from(trend: Trend) -> JsonTrend {
        JsonTrend {
            kind: match trend.kind {
                TrendKind::Grows => "grows",
                TrendKind::Shrinks => "shrinks",
                TrendKind::Flat => "flat",
                TrendKind::Unknown => "unknown",
            },
            bytes_per_s: trend.slope,
            error_bytes_per_s: Some(trend.error).filter(|error| error.is_finite()),
        }
    }
}

impl<'a> JsonFile<'a> {
    fn of(run: &Run<'a>, measure: Measure, with_points: bool) -> JsonFile<'a> {
        let known = run.timeline.series.iter();
        let known = known.filter(|series| series.points(measure).next().is_some());
        let processes = known.map(|series| JsonProcess::of(series, measure, with_points));
        JsonFile { file: run.name, processes: processes.collect() }
    }
}

impl<'a> JsonProcess<'a> {
    fn of(series: &'a Series, measure: Measure, with_points: bool) -> JsonProcess<'a> {
        let (pid, command) = match series.who {
            Who::All => (None, None),
            Who::Process(pid, _) => (Some(pid), Some(series.command())),
        };
        let points = || series.points(measure).map(|(time_s, bytes)| JsonPoint { time_s, bytes });
        JsonProcess {
            pid,
            command,
            samples: points().count(),
            begin_s: series.samples.first().map(|sample| sample.time_s),
            last_bytes: points().last().map(|point| point.bytes),
            peak: series.peak(measure).map(JsonPoint::from),
            trend: series.trend(measure).map(JsonTrend::from),
            points: with_points.then(|| points().collect()),
        }
    }
}

/// Writes the peak and the trend of a figure for each process of these files, and its points if they are asked for.
pub fn write_json(
    runs: &[Run<'_>],
    measure: Measure,
    with_points: bool,
    out: &mut impl Sheet,
) -> Result<(), RenderError> {
    let files = runs.iter().map(|run| JsonFile::of(run, measure, with_points)).collect();
    let document = Document { schema: SCHEMA, figure: measure.key(), files };
    serde_json::to_writer(&mut *out, &document)?;
    Ok(writeln!(out)?)
}

#[derive(Serialize)]
struct Recorded<'a> {
    schema: u32,
    pid: i32,
    file: &'a str,
    duration_s: f64,
    samples: u64,
    peak: Option<JsonPoint>,
    trend: Option<JsonTrend>,
}

/// Writes what a recording of a resident set has found.
pub fn write_recorded(
    pid: i32,
    file: &str,
    duration_s: f64,
    history: &History,
    out: &mut impl Sheet,
) -> Result<(), RenderError> {
    let document = Recorded {
        schema: SCHEMA,
        pid,
        file,
        duration_s,
        samples: history.seen(),
        peak: history.peak().map(JsonPoint::from),
        trend: history.trend().map(JsonTrend::from),
    };
    serde_json::to_writer(&mut *out, &document)?;
    Ok(writeln!(out)?)
}
