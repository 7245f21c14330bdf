//! The closing paragraph: a profile summed up in a few lines for a terminal.

use std::io::Write;
use std::time::Duration;

use indicatif::{HumanBytes, HumanCount};

use super::{
    Heading, Paths, Pauses, RenderError, Style, View, heaviest, labels, phrases, time, whole,
};
use crate::profile::{By, Profile, Stack, Weight};

/// How many of the heaviest stacks are named.
const STACKS: usize = 3;

/// How many of a stack's frames are shown, counted from the innermost.
const FRAMES: usize = 3;

/// Writes the paragraph.
pub fn write(
    profile: &Profile,
    heading: &Heading,
    style: Style,
    out: &mut impl Write,
) -> Result<(), RenderError> {
    let by = heading.view.measure(style.by);
    let total = profile.total();
    match heading.view {
        View::Live => return write_live(profile, heading, style, out),
        View::Traced => traced(total, heading, out)?,
        View::Allocated | View::Stacks | View::Fed => sampled(total, heading, out)?,
    }

    if total.by(by) > 0.0 {
        writeln!(out, "Heaviest stacks by {}:", heading.view.unit(by))?;
        for (stack, weight) in profile.heaviest(by).into_iter().take(STACKS) {
            let share = 100.0 * weight.by(by) / total.by(by);
            let interval = heading.accuracy.map(|accuracy| {
                format!(" ({})", phrases::interval(accuracy.of_share(by, share / 100.0)))
            });
            let interval = interval.unwrap_or_default();
            writeln!(out, "{share:6.1} %{interval}  {}", calls(stack, style.paths))?;
            let circumstances = circumstances(stack);
            if !circumstances.is_empty() {
                writeln!(out, "          {circumstances}")?;
            }
        }
    }
    Ok(())
}

/// What was sampled, and at what cost.
fn sampled(total: Weight, heading: &Heading, out: &mut impl Write) -> Result<(), RenderError> {
    let seconds = heading.duration.as_secs_f64();
    write!(out, "{} samples in {seconds:.1} s", HumanCount(heading.samples))?;
    if heading.view == View::Allocated && heading.samples > 0 {
        let each = seconds.max(f64::MIN_POSITIVE).recip();
        match &heading.accuracy {
            Some(accuracy) => {
                let [bytes, allocations] = [By::Bytes, By::Objects]
                    .map(|by| phrases::pace(accuracy.total(by).times(each), by));
                write!(out, ": {allocations} a second, {bytes} (95 % intervals)")?;
            }
            None => write!(out, ": {}", amounts(total))?,
        }
    }
    writeln!(out, ".")?;
    match heading.pauses {
        Pauses { total: Duration::ZERO, .. } => writeln!(out, "The target was never paused.")?,
        Pauses { mean, max, total } => writeln!(
            out,
            "Paused for {} per sample, {} at most; {} in total, hits that were only counted included.",
            time(mean),
            time(max),
            time(total)
        )?,
    }
    if heading.view == View::Allocated && heading.samples > 0 {
        writeln!(
            out,
            "Not seen: blocks from Python's free lists, PyMem_RawMalloc, extensions' own malloc."
        )?;
    }
    Ok(())
}

/// What tracemalloc knew, and the cost of reading that.
fn traced(total: Weight, heading: &Heading, out: &mut impl Write) -> Result<(), RenderError> {
    let bytes = HumanBytes(whole(total.bytes));
    let blocks = HumanCount(whole(total.objects));
    writeln!(out, "tracemalloc traces {bytes} in {blocks} live blocks.")?;
    let Pauses { max, total: all, .. } = heading.pauses;
    match heading.samples {
        0 | 1 => writeln!(out, "Paused for {}.", time(all))?,
        processes => writeln!(
            out,
            "{processes} processes; longest pause {}, {} in total.",
            time(max),
            time(all)
        )?,
    }
    Ok(())
}

/// The same for live objects: the widest places, or those that grew most.
fn write_live(
    profile: &Profile,
    heading: &Heading,
    style: Style,
    out: &mut impl Write,
) -> Result<(), RenderError> {
    let total = profile.total();
    let objects = |weight: Weight| HumanCount(whole(weight.objects));
    write!(out, "{} live objects, {}", objects(total), HumanBytes(whole(total.bytes)))?;
    match &heading.earlier {
        None => writeln!(out, ".")?,
        Some(earlier) => {
            let before = earlier.total();
            writeln!(
                out,
                "; {:.1} s earlier: {}, {}.",
                heading.duration.as_secs_f64(),
                objects(before),
                HumanBytes(whole(before.bytes))
            )?;
        }
    }
    let Pauses { max, total: all, .. } = heading.pauses;
    match (all, heading.samples) {
        (Duration::ZERO, _) => writeln!(out, "The target was never paused.")?,
        (_, 1) => writeln!(out, "Paused for {}.", time(all))?,
        _ => writeln!(out, "Longest pause {}, {} in total.", time(max), time(all))?,
    }
    let places = heaviest::telling(profile, heading.earlier.as_ref(), style, STACKS);
    if !places.is_empty() {
        let what = if heading.earlier.is_some() { "Grew most" } else { "Widest" };
        writeln!(out, "{what} by {}:", style.by.unit())?;
    }
    for place in places {
        let amount = match style.by {
            By::Bytes => HumanBytes(whole(place.weight)).to_string(),
            By::Objects => HumanCount(whole(place.weight)).to_string(),
        };
        writeln!(out, "{amount:>12}  {}", place.labels.join(" › "))?;
    }
    Ok(())
}

fn amounts(weight: Weight) -> String {
    let allocations = HumanCount(whole(weight.objects));
    format!("{} in {allocations} allocations", HumanBytes(whole(weight.bytes)))
}

/// The innermost frames, each followed by its caller.
fn calls(stack: &Stack, paths: Paths) -> String {
    let frames = stack.frames.iter().take(FRAMES).map(|frame| labels::of_frame(frame, paths));
    let mut texts: Vec<String> = frames.collect();
    match stack.frames.len() {
        0 => texts.push(labels::NO_FRAME.into()),
        1..=FRAMES => {}
        _ => texts.push("…".into()),
    }
    texts.join(" ← ")
}

/// The kind of allocation, and its process and thread.
fn circumstances(stack: &Stack) -> String {
    let parts = stack.leaf.iter().chain(&stack.roots).map(|part| labels::printable(part));
    parts.collect::<Vec<_>>().join(", ")
}
