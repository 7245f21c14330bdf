//! The closing paragraph: what a profile comes to, in a few lines for a terminal.

use std::io::Write;
use std::time::Duration;

use indicatif::{HumanBytes, HumanCount};

use super::{Heading, Paths, Pauses, RenderError, Style, View, labels, whole};
use crate::profile::{Profile, Stack, Weight};

/// How many of the heaviest stacks are named.
const STACKS: usize = 3;

/// With a larger relative error than this a total is not more than a hint.
const ROUGH: f64 = 0.5;

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
    let seconds = heading.duration.as_secs_f64();
    write!(out, "{} samples in {seconds:.1} s", HumanCount(heading.samples))?;
    if heading.view == View::Allocated && heading.samples > 0 {
        write!(out, ": {}", amounts(total))?;
        if seconds > 0.0 {
            write!(out, ", {} a second", amounts(total * seconds.recip()))?;
        }
        match heading.error {
            Some(error) if error > ROUGH => {
                write!(
                    out,
                    " (a rough estimate, perhaps many times too low: allocations follow each other faster than can be timed)"
                )?;
            }
            Some(error) => write!(out, " (estimated, ± {:.1} %)", error * 100.0)?,
            None => write!(out, " (estimated; too little was seen to tell how well)")?,
        }
    }
    writeln!(out, ".")?;
    match heading.pauses {
        Pauses { total: Duration::ZERO, .. } => writeln!(out, "The target never stood still.")?,
        Pauses { mean, max, total } => writeln!(
            out,
            "The target stood still for {} a sample, {} at most; with what was only counted {} in all.",
            time(mean),
            time(max),
            time(total)
        )?,
    }

    if total.by(by) > 0.0 {
        writeln!(out, "Heaviest stacks by {}:", heading.view.unit(by))?;
        for (stack, weight) in profile.heaviest(by).into_iter().take(STACKS) {
            let share = 100.0 * weight.by(by) / total.by(by);
            writeln!(out, "{share:6.1} %  {}", calls(stack, style.paths))?;
            let circumstances = circumstances(stack);
            if !circumstances.is_empty() {
                writeln!(out, "          {circumstances}")?;
            }
        }
    }
    Ok(())
}

fn amounts(weight: Weight) -> String {
    let allocations = HumanCount(whole(weight.objects));
    format!("{} in {allocations} allocations", HumanBytes(whole(weight.bytes)))
}

/// A time in the unit that suits it.
fn time(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    match seconds {
        ..1e-3 => format!("{:.0} µs", seconds * 1e6),
        ..1.0 => format!("{:.1} ms", seconds * 1e3),
        _ => format!("{seconds:.1} s"),
    }
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

/// What was asked for, and in which process and thread.
fn circumstances(stack: &Stack) -> String {
    let parts = stack.leaf.iter().chain(&stack.roots).map(|part| labels::printable(part));
    parts.collect::<Vec<_>>().join(", ")
}
