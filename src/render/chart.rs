//! A chart of memory against time, as SVG: a line per process, their sum, the peak, and below the chart the
//! peak and slope of each line.

use std::iter;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use plotters::coord::Shift;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::RenderError;
use super::labels::printable;
use super::phrases;
use super::phrases::mib;
use crate::timeline::{Measure, Series, Timeline, Who};

/// Pixels: the width of the picture, the height of the chart, and of a line of text below it.
const WIDTH: u32 = 1200;
const HEIGHT: u32 = 480;
const LINE: u32 = 22;
/// The columns in which a line is thinned: two per column of pixels.
const COLUMNS: usize = 1000;
/// How many processes are named; the others are drawn in grey.
const NAMED: usize = 10;
/// The maximum length of a command, in characters.
const LONGEST_NAME: usize = 70;
/// The scale covers at least this part of the largest value, so that small changes look flat.
const LEAST_RANGE: f64 = 0.05;
/// Colours that are easy to tell from each other and from white.
const COLORS: [RGBColor; 10] = [
    RGBColor(31, 119, 180),
    RGBColor(214, 39, 40),
    RGBColor(44, 160, 44),
    RGBColor(148, 103, 189),
    RGBColor(230, 110, 0),
    RGBColor(140, 86, 75),
    RGBColor(219, 79, 170),
    RGBColor(0, 150, 160),
    RGBColor(150, 140, 0),
    RGBColor(60, 60, 160),
];
/// Bytes in the units.
const MIB: f64 = 1048576.0;
const GIB: f64 = 1073741824.0;

/// A timeline, and its name beside others.
#[derive(Debug, Clone, Copy)]
pub struct Run<'a> {
    /// The name of its file.
    pub name: &'a str,
    /// The samples.
    pub timeline: &'a Timeline,
}

/// What the axes show.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Scales {
    /// The scale of memory begins at zero.
    pub from_zero: bool,
    /// The time of day instead of the time since the first sample.
    pub clock: bool,
}

/// A line of the chart.
struct Curve<'a> {
    series: &'a Series,
    name: String,
    /// The beginning of its timeline, in seconds since 1970.
    begin: f64,
    color: RGBColor,
    is_named: bool,
    is_whole: bool,
}

/// Draws timelines: of one, each process and the sum; of several, only the whole of each, all starting at
/// zero.
pub fn svg(runs: &[Run<'_>], measure: Measure, scales: Scales) -> Result<String, RenderError> {
    let curves = curves(runs, measure);
    let named = curves.iter().filter(|curve| curve.is_named).count() as u32;
    let unnamed = curves.len() as u32 - named;
    let lines = named + u32::from(unnamed > 0);
    let size = (WIDTH, HEIGHT + LINE * (lines + 1));
    let mut text = String::new();
    {
        let root = SVGBackend::with_string(&mut text, size).into_drawing_area();
        draw(&root, &curves, measure, runs, scales)
            .map_err(|error| RenderError::Chart(error.to_string()))?;
        root.present().map_err(|error| RenderError::Chart(error.to_string()))?;
    }
    text.push('\n');
    Ok(text)
}

/// The curves, the most important last, above the others.
fn curves<'a>(runs: &[Run<'a>], measure: Measure) -> Vec<Curve<'a>> {
    let mut curves: Vec<Curve<'a>> = Vec::new();
    let is_alone = runs.len() == 1;
    for run in runs {
        let whole = run.timeline.whole().map(|series| series.who);
        for series in &run.timeline.series {
            let is_whole = Some(series.who) == whole;
            if series.points(measure).next().is_none() || !(is_alone || is_whole) {
                continue;
            }
            let name = match (is_alone, series.who) {
                (true, Who::All) => "all processes together".to_string(),
                (true, Who::Process(pid, _)) => {
                    format!("{} ({pid})", shortened(&printable(&without_folders(series.command()))))
                }
                (false, _) => shortened(&printable(run.name)),
            };
            let begin = run.timeline.begin();
            curves.push(Curve { series, name, begin, color: BLACK, is_named: true, is_whole });
        }
    }
    if is_alone {
        let peak = |curve: &Curve<'_>| curve.series.peak(measure).map_or(0, |peak| peak.bytes);
        curves.sort_by_cached_key(|curve| (!curve.is_whole, u64::MAX - peak(curve)));
    }
    for (number, curve) in curves.iter_mut().enumerate() {
        curve.is_named = number <= NAMED;
        curve.color = match () {
            () if !curve.is_named => RGBColor(190, 190, 190),
            () if is_alone && number == 0 => RGBColor(20, 20, 20),
            () => COLORS.get(number % COLORS.len()).copied().unwrap_or(BLACK),
        };
    }
    curves.reverse();
    curves
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Problem<'a> = DrawingAreaErrorKind<<SVGBackend<'a> as DrawingBackend>::ErrorType>;

fn draw<'a>(
    root: &Area<'a>,
    curves: &[Curve<'_>],
    measure: Measure,
    runs: &[Run<'_>],
    scales: Scales,
) -> Result<(), Problem<'a>> {
    root.fill(&WHITE)?;
    let (upper, lower) = root.split_vertically(HEIGHT);
    let axes = Axes::of(curves, measure, scales.from_zero);
    let begin = runs.first().map(|run| run.timeline.begin()).unwrap_or_default();
    let time_label = |value: &f64| match scales.clock {
        true => time_of_day(begin + value * axes.time, axes.end * axes.time),
        false => tick(*value),
    };
    let of_time = match scales.clock {
        true => "time of day".to_owned(),
        false => format!("{} since the first sample", axes.time_name),
    };
    let title = match runs {
        [run] => format!("Memory over time: {}", measure.name()) + &counted(run.timeline),
        runs => format!("Memory over time: {}, {} runs", measure.name(), runs.len()),
    };
    let mut chart = ChartBuilder::on(&upper)
        .caption(title, ("sans-serif", 20))
        .margin(12)
        .margin_right(30)
        .x_label_area_size(44)
        .y_label_area_size(84)
        .build_cartesian_2d(0.0..axes.end, axes.low..axes.high)?;
    chart
        .configure_mesh()
        .x_desc(of_time)
        .y_desc(axes.bytes_name)
        .x_label_formatter(&time_label)
        .y_label_formatter(&|value| tick(*value))
        .label_style(("sans-serif", 14))
        .axis_desc_style(("sans-serif", 15))
        .light_line_style(WHITE)
        .bold_line_style(RGBColor(225, 225, 225))
        .draw()?;
    for curve in curves {
        draw_curve(&mut chart, curve, &axes, measure)?;
    }
    for (row, curve) in curves.iter().rev().filter(|curve| curve.is_named).enumerate() {
        let y = 4 + row as i32 * LINE as i32;
        let swatch = [(96, y + 8), (124, y + 8)];
        lower.draw(&PathElement::new(swatch, curve.color.stroke_width(curve.width() + 1)))?;
        let words = format!("{}: {}", curve.name, phrases::series(curve.series, measure));
        lower.draw(&Text::new(words, (134, y), ("sans-serif", 15)))?;
    }
    let unnamed = curves.iter().filter(|curve| !curve.is_named).count();
    if unnamed > 0 {
        let y = 4 + (curves.len() - unnamed) as i32 * LINE as i32;
        let words = format!("{unnamed} more processes in grey, each with less");
        lower.draw(&Text::new(words, (134, y), ("sans-serif", 15)))?;
    }
    Ok(())
}

type Chart<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

fn draw_curve<'b>(
    chart: &mut Chart<'_, 'b>,
    curve: &Curve<'_>,
    axes: &Axes,
    measure: Measure,
) -> Result<(), Problem<'b>> {
    let place = |time: f64, bytes: f64| ((time - curve.begin) / axes.time, bytes / axes.bytes);
    let points: Vec<(f64, f64)> =
        curve.series.points(measure).map(|(time, bytes)| place(time, bytes as f64)).collect();
    chart.draw_series(LineSeries::new(
        thinned(&points, axes.end, COLUMNS),
        curve.color.stroke_width(curve.width()),
    ))?;
    // Collections of the old generation, as ticks on the time axis.
    let height = (axes.high - axes.low) / 40.0;
    let ticks = curve.series.full_collections().map(|time| place(time, 0.0).0);
    let ticks: Vec<f64> = dedup_near(ticks, axes.end / COLUMNS as f64).collect();
    chart.draw_series(ticks.into_iter().map(|x| {
        PathElement::new([(x, axes.low), (x, axes.low + height)], curve.color.stroke_width(1))
    }))?;
    if let Some(peak) = curve.series.peak(measure).filter(|_| curve.is_whole) {
        let at = place(peak.time, peak.bytes as f64);
        let right = at.0 > axes.end * 0.85;
        let anchor = Pos::new(if right { HPos::Right } else { HPos::Left }, VPos::Bottom);
        let style = TextStyle::from(("sans-serif", 14)).color(&curve.color).pos(anchor);
        let label = format!("peak {}", mib(peak.bytes as f64));
        let shift = (if right { -8 } else { 8 }, -4);
        let mark = EmptyElement::at(at)
            + Circle::new((0, 0), 4, curve.color.filled())
            + Text::new(label, shift, style);
        chart.draw_series(iter::once(mark))?;
    }
    Ok(())
}

impl Curve<'_> {
    fn width(&self) -> u32 {
        if self.is_whole { 2 } else { 1 }
    }
}

/// The ranges of a chart, and the units of its axes.
struct Axes {
    /// Seconds in the unit of time, and its name.
    time: f64,
    time_name: &'static str,
    /// Bytes in the unit of memory, and its name.
    bytes: f64,
    bytes_name: &'static str,
    /// The end of the time axis, and both ends of the memory axis, in these units.
    end: f64,
    low: f64,
    high: f64,
}

impl Axes {
    fn of(curves: &[Curve<'_>], measure: Measure, from_zero: bool) -> Axes {
        let (mut end, mut low, mut high) = (0.0_f64, f64::INFINITY, 0.0_f64);
        for curve in curves {
            for (time, bytes) in curve.series.points(measure) {
                end = end.max(time - curve.begin);
                low = low.min(bytes as f64);
                high = high.max(bytes as f64);
            }
        }
        let (time, time_name) = match end {
            ..300.0 => (1.0, "seconds"),
            ..18_000.0 => (60.0, "minutes"),
            _ => (3600.0, "hours"),
        };
        let (bytes, bytes_name) = if high < 4.0 * GIB { (MIB, "MiB") } else { (GIB, "GiB") };
        // The scale starts at zero, unless everything would be in its upper half.
        let range = (high - low).max(high * LEAST_RANGE).max(1.0);
        let low = if from_zero || low < high / 2.0 { 0.0 } else { (high - range * 1.15).max(0.0) };
        let high = high + range * 0.12;
        Axes {
            time,
            time_name,
            bytes,
            bytes_name,
            end: (end / time).max(1e-3),
            low: low / bytes,
            high: high / bytes,
        }
    }
}

/// Points for a line that looks the same: in each column the first, the lowest, the highest and the last.
pub(super) fn thinned(points: &[(f64, f64)], end: f64, columns: usize) -> Vec<(f64, f64)> {
    let column = |point: &(f64, f64)| (point.0 / end * columns as f64) as i64;
    let mut thin = Vec::new();
    for some in points.chunk_by(|a, b| column(a) == column(b)) {
        let by_bytes = |a: &&(f64, f64), b: &&(f64, f64)| a.1.total_cmp(&b.1);
        let four =
            [some.first(), some.iter().min_by(by_bytes), some.iter().max_by(by_bytes), some.last()];
        let mut four: Vec<(f64, f64)> = four.into_iter().flatten().copied().collect();
        four.sort_by(|a, b| a.0.total_cmp(&b.0));
        four.dedup();
        thin.extend(four);
    }
    thin
}

/// The values without those too close to the last one kept.
fn dedup_near(values: impl Iterator<Item = f64>, distance: f64) -> impl Iterator<Item = f64> {
    let mut last = f64::NEG_INFINITY;
    values.filter(move |&value| {
        let is_far = value - last >= distance;
        if is_far {
            last = value;
        }
        is_far
    })
}

/// A number on an axis.
fn tick(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_string()
}

/// A moment in seconds since 1970 as the local time of day, with the date where a chart is of more than a day.
fn time_of_day(moment: f64, seconds: f64) -> String {
    let form = match seconds {
        ..600.0 => "%H:%M:%S",
        ..86_400.0 => "%H:%M",
        _ => "%m-%d %H:%M",
    };
    let moment = Timestamp::from_millisecond((1e3 * moment) as i64).unwrap_or_default();
    moment.to_zoned_datetime(TimeZone::system()).strftime(form).to_string()
}

fn counted(timeline: &Timeline) -> String {
    let processes =
        timeline.series.iter().filter(|series| matches!(series.who, Who::Process(..))).count();
    if processes > 1 { format!(", {processes} processes") } else { String::new() }
}

/// A command line without the folders of its program and files, which are long and similar.
fn without_folders(command: &str) -> String {
    let file = |word: &str| match word.rsplit_once('/') {
        Some((_, file)) if word.starts_with('/') && !file.is_empty() => file.to_string(),
        _ => word.to_string(),
    };
    command.split(' ').map(file).collect::<Vec<_>>().join(" ")
}

fn shortened(name: &str) -> String {
    match name.char_indices().nth(LONGEST_NAME) {
        Some((end, _)) => format!("{}…", name.get(..end).unwrap_or_default()),
        None => name.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thin_line_keeps_its_extremes() {
        let points: Vec<(f64, f64)> =
            (0..100_000).map(|i| (f64::from(i), if i == 70_123 { 900.0 } else { 5.0 })).collect();
        let thin = thinned(&points, 100_000.0, COLUMNS);
        assert!(thin.len() <= 4 * COLUMNS + 4, "{}", thin.len());
        assert!(thin.contains(&(70_123.0, 900.0)));
        assert_eq!((thin.first(), thin.last()), (points.first(), points.last()));
        assert!(thin.is_sorted_by(|a, b| a.0 <= b.0));
    }

    #[test]
    fn names_are_those_of_files() {
        let command = "/usr/bin/python3 /srv/app/main.py --root /srv/ --url a/b";
        assert_eq!(without_folders(command), "python3 main.py --root /srv/ --url a/b");
    }

    #[test]
    fn ticks_are_short() {
        assert_eq!([tick(10.0), tick(0.25), tick(1.5), tick(0.0)], ["10", "0.25", "1.5", "0"]);
    }
}
