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

/// Samples, rates, error, pauses and the heaviest stacks are those of `profile`.
pub fn assert_agrees(said: &str, profile: &Value) -> Result<(), Failed> {
    assert_eq!(number(between(said, "", " samples in ")?)?, float(&profile["samples"]), "{said}");
    let seconds: f64 = between(said, " samples in ", " s: ")?.parse()?;
    assert_near(seconds, float(&profile["duration_s"]), 0.05, said);

    let totals = between(said, " s: ", " (")?;
    let (_, per_second) = totals.split_once(" allocations, ").ok_or(totals)?;
    let rate = number(between(per_second, "B in ", " allocations a second")?)?;
    assert_near(rate, float(&profile["allocations_per_s"]), 1.0, said);
    let error = float(&profile["error"]);
    if error > 0.5 {
        assert!(said.contains("(a rough estimate"), "{said}");
    } else {
        let told: f64 = between(said, "(estimated, ± ", " %)")?.parse()?;
        assert_near(told / 100.0, error, 0.0006, said);
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
        let (share, calls) = told[0].split_once(" %  ").ok_or(said)?;
        assert_near(share.trim().parse()?, 100.0 * float(&stack["bytes"]) / all, 0.051, said);
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
