//! Cycles and the collector's state, against the target's own collector.

use std::time::Instant;

use leakspy::inspect::cycles::{Cycles, Fate, cycles};
use libtest_mimic::{Failed, Trial};
use serde_json::Value;

use crate::support::{
    Interpreter, Target, assert_documented, cases, interpreters, leakspy, with_heap,
};

const PAIRS: u64 = 10_000;

pub fn trials() -> Vec<Trial> {
    let mut trials = cases("cycles_garbage", garbage_is_what_the_target_then_collects);
    trials.extend(cases("cycles_collector", the_collector_is_as_it_says_itself));
    trials.extend(cases("cycles_blocking", old_finalizers_are_named_before_and_after));
    trials.extend(cases("cycles_last", the_last_collection_is_when_the_target_had_it));
    let some = interpreters().last().expect("an interpreter");
    trials.push(Trial::test(format!("cycles_command::{}", some.name), || {
        the_table_says_what_is_in_the_json(some)
    }));
    trials
}

fn cycles_of(target: &Target) -> Result<Cycles, Failed> {
    with_heap(target, |heap, names, python| {
        let reader = heap.reader().ok_or("there is no memory")?;
        Ok(cycles(heap, names, python.collectors(reader)?))
    })?
}

/// The number of cycles of pairs with this fate, and of objects in them.
fn pairs(cycles: &Cycles, fate: Fate) -> [u64; 2] {
    let of_pairs = |types: &[(String, u64)]| types == [("__main__.Pair".to_owned(), 2)];
    let some = cycles.patterns.iter().filter(|one| one.fate == fate && of_pairs(&one.types));
    some.fold([0, 0], |[count, objects], one| [count + one.count, objects + one.objects])
}

fn garbage_is_what_the_target_then_collects(
    interpreter: &'static Interpreter,
) -> Result<(), Failed> {
    let mut target = Target::start(interpreter, "cycles", &[]);
    let none = cycles_of(&target)?;
    assert_eq!(none.garbage_count, 0, "{:?}", none.patterns.first());
    target.ask(&format!("litter {PAIRS}"));
    target.ask("close 7");
    target.ask("hold 30");
    let found = cycles_of(&target)?;
    assert_eq!(found.garbage_count, PAIRS + 7);
    assert_eq!(pairs(&found, Fate::Garbage), [PAIRS, 2 * PAIRS]);
    // Held by a single list, or by two lists.
    assert_eq!(pairs(&found, Fate::OneEntry), [30, 60]);
    assert_eq!(pairs(&found, Fate::Held), [30, 60]);
    let closing = found.patterns.iter().find(|one| !one.finalizers.is_empty());
    let closing = closing.expect("it has a finalizer");
    assert_eq!((closing.count, closing.fate), (7, Fate::Garbage));
    assert_eq!(closing.finalizers, ["__main__.Closing"]);
    assert!(found.patterns.iter().all(|one| one.blocking.is_empty()));

    // Only objects that the collector tracks: the values of an instance are not among them.
    let collected = target.ask("collect").as_u64().expect("a number");
    assert!(collected >= 2 * PAIRS + 7 && collected <= u64::from(found.garbage.objects));
    let after = cycles_of(&target)?;
    assert_eq!((after.garbage_count, after.garbage.objects), (0, 0));
    assert_eq!(pairs(&after, Fate::OneEntry), [30, 60]);
    target.assert_healthy();
    Ok(())
}

fn the_collector_is_as_it_says_itself(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let mut target = Target::start(interpreter, "cycles", &[]);
    for question in ["", "enable", "litter 20", "save", "collect", "freeze"] {
        if !question.is_empty() {
            target.ask(question);
        }
        let truth = target.ask("state");
        let found = cycles_of(&target)?;
        let [collector] = &found.collectors[..] else { panic!("one collector") };
        assert_eq!(truth["enabled"], collector.enabled);
        assert_eq!(truth["debug"], collector.debug);
        assert_eq!(truth["frozen"], collector.frozen);
        assert_eq!(truth["garbage"], collector.garbage.len());
        for generation in 0..3 {
            assert_eq!(truth["thresholds"][generation], collector.thresholds[generation]);
            let sums = collector.collections[generation];
            let stats = &truth["stats"][generation];
            assert_eq!(stats["collections"], sums.count, "{question}");
            assert_eq!(stats["collected"], sums.collected);
            assert_eq!(stats["uncollectable"], sums.uncollectable);
            let keeps_times = interpreter.version[1] >= 15 && sums.count > 0;
            assert_eq!(sums.last.is_some(), keeps_times);
        }
        // Answering allocates objects.
        for generation in 1..3 {
            assert_eq!(truth["counts"][generation], collector.counts[generation]);
        }
        if question == "collect" {
            assert_eq!(found.uncollectable, [("__main__.Pair".to_owned(), 40)]);
        }
    }
    Ok(())
}

/// Objects with an old finalizer are reported as blocking; after a collection they are where the target has
/// them.
fn old_finalizers_are_named_before_and_after(
    interpreter: &'static Interpreter,
) -> Result<(), Failed> {
    let mut target = Target::start(interpreter, "cycles", &[]);
    target.ask("block 5");
    let found = cycles_of(&target)?;
    let blocking = found.patterns.iter().filter(|one| !one.blocking.is_empty());
    let blocking: Vec<_> = blocking.collect();
    let [pattern] = &blocking[..] else { panic!("one pattern: {blocking:?}") };
    assert_eq!((pattern.count, pattern.fate), (5, Fate::Garbage));
    assert_eq!(pattern.blocking, ["__main__.Old"]);
    assert_eq!(found.uncollectable, []);
    target.ask("collect");
    assert_eq!(target.ask("state")["garbage"], 5);
    let after = cycles_of(&target)?;
    assert_eq!(after.uncollectable, [("__main__.Old".to_owned(), 5)]);
    assert_eq!(after.garbage_count, 0);
    let text = leakspy(["cycles", "--pid", &target.pid().to_string()]);
    let text = String::from_utf8(text.stdout)?;
    for words in [
        "In gc.garbage, never freed: 5 __main__.Old.",
        "__main__.Old has an old finalizer (tp_del): its cycles are never freed.",
    ] {
        assert!(text.contains(words), "{text}");
    }
    target.assert_healthy();
    Ok(())
}

/// 3.15 records when the last collection was. Others record no times, and none is reported.
fn the_last_collection_is_when_the_target_had_it(
    interpreter: &'static Interpreter,
) -> Result<(), Failed> {
    const OLD: usize = 2;
    let mut target = Target::start(interpreter, "cycles", &[]);
    let before = Instant::now();
    let times: [f64; 2] = serde_json::from_value(target.ask("collect_timed"))?;
    let after = Instant::now();
    let found = cycles_of(&target)?;
    let last = found.collectors[0].collections[OLD].last;
    let pid = target.pid().to_string();
    let since = after.elapsed().as_secs_f64();
    let json: Value = serde_json::from_slice(&leakspy(["cycles", "--json", "--pid", &pid]).stdout)?;
    let old = &json["collectors"][0]["generations"][OLD];
    let text = String::from_utf8(leakspy(["cycles", "--pid", &pid]).stdout)?;
    if interpreter.version[1] < 15 {
        assert_eq!(
            (last, &old["last_ago_s"], &old["last_took_s"]),
            (None, &Value::Null, &Value::Null)
        );
        assert!(!text.contains(" ago"), "{text}");
        return Ok(());
    }
    let last = last.expect("it keeps times");
    let [began, ended] = [last.ended - last.took, last.ended].map(|time| time.as_secs_f64());
    assert!(times[0] <= began && began < ended && ended <= times[1], "{last:?}, {times:?}");
    let ago = old["last_ago_s"].as_f64().expect("a number");
    assert!(ago >= since && ago <= before.elapsed().as_secs_f64(), "{ago}");
    assert_eq!(old["last_took_s"], last.took.as_secs_f64());
    assert!(text.contains(" ago, took "), "{text}");
    Ok(())
}

fn the_table_says_what_is_in_the_json(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let mut target = Target::start(interpreter, "cycles", &[]);
    target.ask("litter 100");
    target.ask("close 1");
    let pid = target.pid().to_string();
    let output = leakspy(["cycles", "--json", "--pid", &pid]);
    assert!(output.status.success(), "{output:?}");
    let document: Value = serde_json::from_slice(&output.stdout)?;
    assert_documented("`leakspy cycles --json`", &document);
    assert_eq!(document["garbage_cycles"], 101);
    let first = &document["patterns"][0];
    assert_eq!([&first["fate"], &first["types"][0]["type"]], ["garbage", "__main__.Pair"]);
    let output = leakspy(["cycles", "--pid", &pid]);
    let text = String::from_utf8(output.stdout)?;
    assert!(text.contains("101 of them garbage"), "{text}");
    assert!(text.contains("The collector is off (gc.disable())"), "{text}");
    assert!(text.contains("2 __main__.Pair"), "{text}");
    assert!(text.contains("__main__.Closing has a __del__"), "{text}");
    Ok(())
}
