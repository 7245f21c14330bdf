//! The flamegraph: an SVG that opens in any browser, drawn by inferno from the folded form.
//!
//! The outermost frames are at the bottom. The colour says whose code a frame is, and its shade comes from
//! the function's name, so nothing is random.

use std::io::{self, Write};
use std::time::Duration;

use indicatif::{HumanBytes, HumanCount};
use inferno::flamegraph::color::{BackgroundColor, Color, PaletteMap};
use inferno::flamegraph::{Options, TextTruncateDirection, from_lines};

use super::labels::{Kind, Label};
use super::{Heading, Paths, RenderError, Style, View, folded, grown, whole};
use super::{labels, phrases};
use crate::profile::{By, Profile};

/// The largest sum of widths drawn one to one: a browser's numbers have 53 bits.
const LARGEST_TOTAL: f64 = (1_u64 << 53) as f64;

/// Live objects are in thousands of places, most of them tiny: those below this many percent are left out.
const NARROWEST_LIVE: f64 = 0.05;

/// How many characters fit into the title between inferno's two buttons, at the width of 1200 pixels that a
/// viewer without scripts shows.
const TITLE_CHARACTERS: usize = 96;

/// Writes `profile` as an SVG. Frames narrower than a hundredth of a percent, or five hundredths for live
/// objects, are left out. If nothing has weight, the picture says so.
pub fn write(
    profile: &Profile,
    heading: &Heading,
    style: Style,
    out: &mut impl Write,
) -> Result<(), RenderError> {
    let by = heading.view.measure(style.by);
    let total = profile.total().by(by);
    if total <= 0.0 {
        return Ok(write_nothing(&title(heading, by), out)?);
    }
    let unit = (total / LARGEST_TOTAL).max(1.0);
    let stacks = folded::stacks(profile, by, style.paths);
    let lines: Vec<String> = match &heading.earlier {
        None => stacks
            .iter()
            .map(|(stack, weight)| format!("{stack} {}", whole(weight / unit)))
            .collect(),
        Some(earlier) => {
            let before = folded::stacks(earlier, by, style.paths);
            grown::lines(&before, &stacks, unit).into_iter().rev().collect()
        }
    };
    let mut palette = palette(profile, style.paths);

    let mut options = Options::default();
    options.title = title(heading, by);
    options.subtitle = Some(subtitle(total, heading, by));
    options.notes = "drawn for leakspy".into();
    options.name_type = "Frame:".into();
    options.count_name = heading.view.unit(by).into();
    options.factor = unit;
    options.palette_map = Some(&mut palette);
    options.bgcolors = Some(BackgroundColor::Grey);
    options.text_truncate_direction = TextTruncateDirection::Right;
    options.pretty_xml = true;
    // Lines of two moments are in the order of their tree. As a chart, inferno leaves them so, but for turning them
    // round.
    options.flame_chart = heading.earlier.is_some();
    if heading.view == View::Live {
        options.min_width = NARROWEST_LIVE;
    }
    from_lines(&mut options, lines.iter().map(String::as_str), out)?;
    Ok(())
}

/// A picture without frames, which inferno does not draw.
fn write_nothing(title: &str, out: &mut impl Write) -> io::Result<()> {
    let title = title.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    writeln!(
        out,
        r#"<?xml version="1.0" encoding="UTF-8"?>
<svg version="1.1" width="1200" height="78" viewBox="0 0 1200 78" xmlns="http://www.w3.org/2000/svg">
  <rect width="100%" height="100%" fill="rgb(248,248,248)"/>
  <g font-family="monospace" text-anchor="middle">
    <text id="title" x="50%" y="24" font-size="17">{title}</text>
    <text id="subtitle" x="50%" y="52" font-size="12">Nothing was recorded</text>
  </g>
</svg>"#
    )
}

/// One line: what was measured, for how long and of which process, and as much of its command line as there
/// is room for.
fn title(heading: &Heading, by: By) -> String {
    let what = match (heading.view, by) {
        (View::Stacks, _) => "Stacks of",
        (View::Allocated, By::Bytes) => "Bytes allocated by",
        (View::Allocated, By::Objects) => "Objects allocated by",
        (View::Live, By::Bytes) => "Bytes of live objects of",
        (View::Live, By::Objects) => "Live objects of",
        (View::Fed, By::Bytes) => "Bytes accumulated in",
        (View::Fed, By::Objects) => "Objects accumulated in",
        (View::Traced, By::Bytes) => "Bytes traced by tracemalloc in",
        (View::Traced, By::Objects) => "Blocks traced by tracemalloc in",
    };
    let duration = match heading.duration {
        Duration::ZERO => String::new(),
        duration => format!(" in {:.1} s", duration.as_secs_f64()),
    };
    let start = format!(
        "{what} PID {}{duration}, Python {}: ",
        heading.pid,
        labels::printable(&heading.python),
    );
    let room = TITLE_CHARACTERS.saturating_sub(start.chars().count());
    start + &clipped(&labels::printable(&heading.command), room)
}

/// One line: what a width means, and how accurate it is.
fn subtitle(total: f64, heading: &Heading, by: By) -> String {
    let samples = HumanCount(heading.samples);
    let all = match by {
        By::Bytes => HumanBytes(whole(total)).to_string(),
        By::Objects => format!("{} {}", HumanCount(whole(total)), heading.view.unit(by)),
    };
    match heading.view {
        View::Live => {
            let colors = match &heading.earlier {
                Some(_) => "; red: what it retains grew, blue: shrank",
                None => "",
            };
            format!(
                "A frame is as wide as what it retains, down to single objects: {all} in total{colors}"
            )
        }
        View::Stacks => format!(
            "A frame is as wide as its share of {samples} stack samples, which say nothing about memory"
        ),
        View::Fed => format!(
            "A frame is as wide as what it and its callees inserted for good: {all} in total, divided up \
             by {samples} observed inserts"
        ),
        View::Traced => format!(
            "A frame is as wide as the live blocks that it and its callees allocated: exactly {all} in \
             total"
        ),
        View::Allocated => {
            let Some(accuracy) = &heading.accuracy else {
                return format!("A frame is as wide as what it and its callees allocated: {all}");
            };
            let seconds = heading.duration.as_secs_f64().max(f64::MIN_POSITIVE);
            let pace = phrases::pace(accuracy.total(by).times(seconds.recip()), by);
            let of = |share| phrases::interval(accuracy.of_share(by, share));
            format!(
                "A frame is as wide as what it and its callees allocated, freed since or not: {pace} a \
                 second, estimated from {samples} samples. 95 % intervals: half the width stands for {}, \
                 a tenth for {}",
                of(0.5),
                of(0.1)
            )
        }
    }
}

/// `text` in at most `most` characters.
fn clipped(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.into();
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

/// The colour of every label of `profile`.
fn palette(profile: &Profile, paths: Paths) -> PaletteMap {
    let mut palette = PaletteMap::default();
    // inferno's own frame below all others has no name.
    palette.insert("", Color::new(225, 225, 225));
    for (stack, _) in profile.sorted() {
        for label in labels::of_stack(stack, paths) {
            let color = color(&label);
            palette.insert(label.text, color);
        }
    }
    palette
}

/// Warm for the program's own functions, blue for packages, green for the standard library, violet
/// for kinds of allocation, teal for live objects, grey for processes and threads.
fn color(label: &Label) -> Color {
    // Lines of one function share a shade.
    let name = label.text.split(" (").next().unwrap_or_default();
    let shade = shade(name);
    let mix = |from: u8, span: u8| from + (f32::from(span) * shade) as u8;
    match label.kind {
        Kind::Program => Color::new(mix(235, 18), mix(120, 85), mix(70, 30)),
        Kind::Package => Color::new(mix(110, 50), mix(175, 40), mix(225, 20)),
        Kind::Library => Color::new(mix(140, 50), mix(195, 30), mix(120, 40)),
        Kind::Allocation => Color::new(mix(185, 35), mix(150, 40), mix(225, 20)),
        Kind::Holder => Color::new(mix(95, 50), mix(185, 35), mix(185, 35)),
        Kind::Root => Color::new(mix(200, 20), mix(200, 20), mix(200, 20)),
    }
}

/// A number from 0 to 1, always the same for a name (FNV-1a).
fn shade(name: &str) -> f32 {
    let hash = name
        .bytes()
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    f32::from((hash >> 24) as u8) / 255.0
}
