//! A target that allocates nothing: leakspy says so, and every form is valid.

use libtest_mimic::{Failed, Trial};
use serde_json::{Value, json};

use super::once;
use crate::support::{Interpreter, Recording, Target, assert_documented};

/// Records a target that stands still, and returns the contents of standard output.
fn record_idle(interpreter: &Interpreter, form: &str) -> Result<String, Failed> {
    let mut target = Target::start(interpreter, "stacks", &[]);
    target.wait_until_still();
    let options = ["--duration", "0.3", "--format", form, "--output", "-"];
    let recorded = Recording::attach(target.pid(), &options).end();
    recorded.assert_success();
    target.assert_healthy();
    let said: Vec<&str> = recorded.said.lines().collect();
    let last = said.last().ok_or("it said nothing")?;
    let start = format!("Process {} allocated nothing that was sampled in 0.", target.pid());
    assert!(last.starts_with(&start) && last.contains("`--duration`"), "{recorded:?}");
    assert!(said.iter().any(|line| line.starts_with("0 samples in 0.")), "{recorded:?}");
    Ok(recorded.stdout)
}

pub fn trials() -> Vec<Trial> {
    vec![
        once("idle::json", |interpreter| {
            let profile: Value = serde_json::from_str(&record_idle(interpreter, "json")?)?;
            assert_documented("`leakspy record --format json`", &profile);
            assert_eq!((&profile["samples"], &profile["stacks"]), (&json!(0), &json!([])));
            assert_eq!((&profile["error"], &profile["bytes_per_s"]), (&json!(null), &json!(0.0)));
            Ok(())
        }),
        once("idle::folded", |interpreter| {
            assert_eq!(record_idle(interpreter, "folded")?, "");
            Ok(())
        }),
        once("idle::speedscope", |interpreter| {
            let file: Value = serde_json::from_str(&record_idle(interpreter, "speedscope")?)?;
            assert_eq!(file["shared"]["frames"], json!([]));
            assert_eq!(file["profiles"][0]["samples"], json!([]));
            assert_eq!(file["profiles"][0]["endValue"], 0);
            Ok(())
        }),
        once("idle::flamegraph", |interpreter| {
            let text = record_idle(interpreter, "flamegraph")?;
            let svg = roxmltree::Document::parse(&text)?;
            let texts: Vec<&str> = svg.descendants().filter_map(|node| node.text()).collect();
            assert!(texts.iter().any(|text| text.starts_with("Bytes allocated by PID ")), "{text}");
            assert!(texts.contains(&"Nothing was recorded"), "{text}");
            Ok(())
        }),
    ]
}
