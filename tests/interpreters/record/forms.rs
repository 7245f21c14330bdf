//! The four forms, of a fixture that knows its allocation sites: each meets the expectations of its readers,
//! names those sites and no others of weight, and agrees with the closing paragraph.

use libtest_mimic::{Failed, Trial};
use serde_json::{Value, json};

use super::{command, float, list, paragraph, record, version};
use crate::support::{Interpreter, Target, interpreters};

type Test = fn(&'static Interpreter) -> Result<(), Failed>;

pub fn trials() -> Vec<Trial> {
    let tests: [(&str, Test); 4] = [
        ("flamegraph", flamegraph),
        ("folded", folded),
        ("speedscope", speedscope),
        ("json", json),
    ];
    let old = interpreters().iter().rev().find(|it| it.version[1] <= 10);
    let chosen: Vec<&Interpreter> = old.into_iter().chain(interpreters().last()).collect();
    tests
        .into_iter()
        .flat_map(|(name, test)| {
            chosen.clone().into_iter().map(move |interpreter| {
                Trial::test(format!("{name}::{}", interpreter.name), move || test(interpreter))
            })
        })
        .collect()
}

/// `allocation_sites.py`, and the names of its allocating functions.
fn start(interpreter: &'static Interpreter) -> (Target, Vec<String>) {
    let mut target = Target::start(interpreter, "allocation_sites", &[]);
    let truth = target.ask("truth");
    let name = |site: &Value| site["function"].as_str().expect("a name").to_owned();
    let sites = list(&truth["sites"]).iter().map(name).collect();
    (target, sites)
}

fn json(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let (mut target, sites) = start(interpreter);
    let written = record(&mut target, &["--format", "json"])?;
    let profile = written.json()?;
    assert_eq!(profile["schema"], 1);
    assert_eq!(profile["pid"], target.pid());
    assert_eq!(profile["command"], command(target.pid()));
    assert_eq!(profile["python"], version(interpreter));
    assert_eq!(profile["view"], "allocated");

    let pause = |of: &str| float(&profile["pause_s"][of]);
    assert!(0.0 < pause("mean") && pause("mean") <= pause("max"), "{}", profile["pause_s"]);
    assert!(pause("max") <= pause("total") + 1e-6, "{}", profile["pause_s"]);
    assert!(profile["error"].is_null());
    let pace = &profile["allocations_per_s_between"];
    let told = float(&profile["allocations_per_s"]);
    assert!((0.0..told).contains(&float(&pace["least"])), "{pace} for {told}");
    assert!(pace["most"].as_f64().is_none_or(|most| most > told), "{pace} for {told}");
    let stacks = list(&profile["stacks"]);
    assert!(profile["samples"].as_u64() >= Some(stacks.len() as u64));
    for (key, rate) in [("bytes", "bytes_per_s"), ("objects", "allocations_per_s")] {
        let sum: f64 = stacks.iter().map(|stack| float(&stack[key])).sum();
        let total = float(&profile[rate]) * float(&profile["duration_s"]);
        assert!((sum - total).abs() <= stacks.len() as f64, "{key}: {sum} for {total}");
    }
    assert!(stacks.is_sorted_by(|one, next| float(&one["bytes"]) >= float(&next["bytes"])));
    for stack in stacks {
        assert_eq!(stack["roots"], json!([]));
        assert!(stack["allocation"].is_string(), "{stack}");
    }
    let file = interpreter.fixture("allocation_sites.py");
    for site in &sites {
        let frame = stacks.iter().find_map(|stack| {
            list(&stack["stack"]).first().filter(|frame| frame["function"] == **site)
        });
        let frame = frame.ok_or(format!("{site} is missing"))?;
        assert_eq!(frame["file"], json!(file));
        assert!(frame["line"].as_u64() > Some(0), "{frame}");
    }
    paragraph::assert_agrees(&written.recorded.said, &profile)
}

/// Each line consists of labels separated by `;` and a whole number. The lines are sorted and distinct.
fn folded(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let (mut target, sites) = start(interpreter);
    let written = record(&mut target, &["--format", "folded", "--by", "objects"])?;
    assert!(written.text.ends_with('\n'));
    let mut sum = 0.0;
    let mut stacks = Vec::new();
    for line in written.text.lines() {
        let (stack, count) = line.rsplit_once(' ').ok_or(line)?;
        assert!(count.parse::<u64>()? > 0, "{line}");
        sum += count.parse::<f64>()?;
        stacks.push(stack);
        assert!(stack.split(';').all(|label| !label.is_empty()), "{line}");
    }
    assert!(stacks.is_sorted_by(|one, next| one < next), "{stacks:#?}");
    assert!(sum > 0.0);
    for site in sites {
        // The last label is the kind of allocation.
        let here = format!(";{site} (fixtures/allocation_sites.py:");
        let is_of_site = |stack: &&str| {
            let above = stack.rsplit_once(&here).map(|(_, rest)| rest.split(';').count());
            above == Some(2)
        };
        assert!(stacks.iter().any(is_of_site), "{site} is not in {stacks:#?}");
    }
    Ok(())
}

/// The requirements of speedscope's `file-format-schema.json` for a file with profiles of the type `sampled`.
fn speedscope(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let (mut target, sites) = start(interpreter);
    let written = record(&mut target, &["--format", "speedscope"])?;
    let file: Value = serde_json::from_str(&written.text)?;
    assert_eq!(file["$schema"], "https://www.speedscope.app/file-format-schema.json");
    let name = format!("{} (PID {}, Python ", command(target.pid()), target.pid());
    assert_eq!(file["name"], format!("{name}{})", version(interpreter)));
    let frames = list(&file["shared"]["frames"]);
    for frame in frames {
        assert!(frame["name"].is_string(), "{frame}");
        assert!(frame.get("file").is_none_or(Value::is_string), "{frame}");
        assert!(frame.get("line").is_none_or(Value::is_u64), "{frame}");
    }
    let profiles = list(&file["profiles"]);
    let names: Vec<&Value> = profiles.iter().map(|profile| &profile["name"]).collect();
    assert_eq!(names, ["bytes", "objects"]);
    let active = file["activeProfileIndex"].as_u64().ok_or("no active profile")?;
    assert!((active as usize) < profiles.len());
    for (profile, unit) in profiles.iter().zip(["bytes", "none"]) {
        assert_eq!(profile["type"], "sampled");
        assert_eq!(profile["unit"], unit);
        let (samples, weights) = (list(&profile["samples"]), list(&profile["weights"]));
        assert_eq!(samples.len(), weights.len());
        let span = float(&profile["endValue"]) - float(&profile["startValue"]);
        let sum: f64 = weights.iter().map(float).sum();
        assert!((sum - span).abs() < 1.0 && sum > 0.0, "{sum} for {span}");
        for index in samples.iter().flat_map(list) {
            let index = index.as_u64().ok_or("an index is a whole number")?;
            assert!((index as usize) < frames.len());
        }
    }
    for site in sites {
        let of_site = frames.iter().position(|frame| frame["name"] == *site);
        let of_site = of_site.ok_or(format!("{site} is missing"))?;
        // Outermost first: only the kind of allocation follows the function.
        let mut samples = list(&profiles[0]["samples"]).iter().map(list);
        assert!(samples.any(|stack| stack.iter().rev().nth(1) == Some(&json!(of_site))), "{site}");
    }
    Ok(())
}

/// XML, with a title for the whole and one for each frame.
fn flamegraph(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let (mut target, sites) = start(interpreter);
    let written = record(&mut target, &[])?;
    let options = roxmltree::ParsingOptions { allow_dtd: true, ..Default::default() };
    let svg = roxmltree::Document::parse_with_options(&written.text, options)?;
    assert_eq!(svg.root_element().tag_name().name(), "svg");
    let text = |id: &str| {
        let node = svg.descendants().find(|node| node.attribute("id") == Some(id));
        node.and_then(|node| node.text()).ok_or(format!("no {id}"))
    };
    let title = text("title")?;
    let seconds = paragraph::between(&written.recorded.said, " samples in ", " s")?;
    let start = format!("Bytes allocated by PID {} in {seconds} s, Python ", target.pid());
    let rest = title.strip_prefix(&format!("{start}{}: ", version(interpreter)));
    let shown = rest.ok_or(format!("{title:?} is not {start:?}"))?;
    let whole = command(target.pid());
    assert!(shown == whole || whole.starts_with(shown.trim_end_matches('…')), "{title}");
    assert!(!shown.is_empty(), "{title}");
    let samples = paragraph::between(&written.recorded.said, "", " samples in ")?;
    assert!(text("subtitle")?.contains(&format!("from {samples} samples")));

    let titles: Vec<&str> = svg
        .descendants()
        .filter(|node| node.tag_name().name() == "title")
        .filter_map(|node| node.text())
        .collect();
    assert!(titles.iter().any(|title| title.starts_with("all (")), "{titles:#?}");
    for site in sites {
        let label = format!("{site} (fixtures/allocation_sites.py:");
        let title = titles.iter().find(|title| title.starts_with(&label));
        let title = title.ok_or(format!("{site} is missing"))?;
        let share = paragraph::between(title, " bytes, ", "%)")?.parse::<f64>()?;
        assert!((0.01..100.0).contains(&share), "{title}");
    }
    Ok(())
}
