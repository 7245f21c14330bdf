//! The closing paragraph, against the profile that was written at the same time.

use libtest_mimic::Failed;
use serde_json::Value;

use super::{float, list, number};

/// How many of the heaviest stacks are named.
const STACKS: usize = 3;

/// The text between two others in the first line that has both.
pub fn between<'a>(text: &'a str, before: &str, after: &str) -> Result<&'a str, Failed> {
    let find = |line: &'a str| {
        let (_, rest) = line.split_once(before)?;
        Some(rest.split_once(after)?.0)
    };
    text.lines().find_map(find).ok_or_else(|| format!("no {before:?} … {after:?}: {text}").into())
}

/// Samples, the pace, pauses and the heaviest stacks are those of `profile`.
pub fn assert_agrees(said: &str, profile: &Value) -> Result<(), Failed> {
    assert_eq!(number(between(said, "", " samples in ")?)?, float(&profile["samples"]), "{said}");
    let seconds: f64 = between(said, " samples in ", " s: ")?.parse()?;
    assert_near(seconds, float(&profile["duration_s"]), 0.05, said);

    let pace = &profile["allocations_per_s_between"];
    let told = between(said, " s: ", " allocations a second, ")?;
    let (least, most) = match told.strip_prefix("at least ") {
        Some(least) => (least, None),
        None => told.split_once(" to ").map(|(least, most)| (least, Some(most))).ok_or(told)?,
    };
    assert_eq!(most.is_none(), pace["most"].is_null(), "{said}");
    for (told, end) in [(Some(least), "least"), (most, "most")] {
        let Some(told) = told else { continue };
        // Two digits.
        let told = match told.strip_suffix(" million") {
            Some(millions) => 1e6 * millions.parse::<f64>()?,
            None => number(told)?,
        };
        assert_near(told, float(&pace[end]), 0.06 * told, said);
    }

    let pauses = between(said, "Paused for ", " in total")?;
    let (mean, rest) = pauses.split_once(" per sample, ").ok_or(pauses)?;
    let (max, total) = rest.split_once(" at most; ").ok_or(pauses)?;
    for (told, key) in [(mean, "mean"), (max, "max"), (total, "total")] {
        let expected = float(&profile["pause_s"][key]);
        let told = seconds_of(told)?;
        // Rounded to a whole microsecond or to a tenth of the larger unit.
        assert_near(told, expected, 0.051 * expected.max(1e-5), said);
    }
    heaviest(said, profile)
}

fn heaviest(said: &str, profile: &Value) -> Result<(), Failed> {
    let stacks = list(&profile["stacks"]);
    let all: f64 = stacks.iter().map(|stack| float(&stack["bytes"])).sum();
    let lines: Vec<&str> =
        said.lines().skip_while(|line| *line != "Heaviest stacks by bytes:").skip(1).collect();
    assert_eq!(lines.len(), 2 * STACKS.min(stacks.len()), "{said}");
    for (told, stack) in lines.chunks(2).zip(stacks) {
        let (share, calls) = told[0].split_once(" %)  ").ok_or(said)?;
        let (share, interval) = share.split_once(" % (").ok_or(said)?;
        let share: f64 = share.trim().parse()?;
        assert_near(share, 100.0 * float(&stack["bytes"]) / all, 0.051, said);
        let (low, high) = interval.split_once(" to ").ok_or(said)?;
        let interval = low.parse::<f64>()? - 0.5..=high.parse::<f64>()? + 0.5;
        assert!(interval.contains(&share), "{said}");
        let frame = &stack["stack"][0];
        let function = frame["function"].as_str().ok_or("no function")?;
        assert!(calls.starts_with(&format!("{function} (")), "{calls} for {frame}");
        assert!(calls.contains(&format!(":{})", frame["line"])), "{calls} for {frame}");
        assert_eq!(Some(told[1].trim()), stack["allocation"].as_str());
    }
    Ok(())
}

/// `143 µs`, `2.3 ms` and `1.2 s` in seconds.
fn seconds_of(text: &str) -> Result<f64, Failed> {
    let (number, unit) = text.split_once(' ').ok_or(text)?;
    let unit = match unit {
        "µs" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        other => return Err(format!("{other} is no unit of time").into()),
    };
    Ok(number.parse::<f64>()? * unit)
}

#[track_caller]
fn assert_near(told: f64, expected: f64, most: f64, said: &str) {
    assert!((told - expected).abs() <= most, "{told} for {expected}: {said}");
}
