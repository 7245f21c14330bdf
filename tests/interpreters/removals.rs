//! A collection from which code on the way removes is told from one that leaks: the code is read, and what was
//! taken out is counted.

use std::time::Duration;

use leakspy::hunt::hunter::{Hunter, Options, Phase};
use leakspy::memory::Cached;
use leakspy::process::Process;
use leakspy::python::Python;
use leakspy::python::objects::{Action, Reader, TypeTable};
use leakspy::{CaptureOptions, Program, Verdict};
use libtest_mimic::{Failed, Trial};
use serde_json::{Value, json};

use super::hunt::{is_it, list, text, verdict};
use crate::support::{Interpreter, Target, cases, interpreters};

/// All ways at once: none of them is the largest by far.
const WAYS: &str = "expiring,expiring_by_attribute,limited,limited_by_name,flushed,replaced,never_removed,\
                    takes_else,made_late,shrinking";

pub fn trials() -> Vec<Trial> {
    let mut trials = cases("bytecode", instructions_are_those_of_dis);
    trials.extend(cases("removals", each_growth_is_told_for_what_it_is));
    let some = interpreters().last().expect("an interpreter");
    let name = format!("going_on::{}", some.name);
    trials.push(Trial::test(name, || a_hunt_goes_on_until_it_is_decided(some)));
    trials
}

/// A buffer that is flushed every six seconds grows for a hunt of two, and so does what is fed twice a second: too
/// seldom to say, or when there is less to do for a while. A leak that is clear at once takes no longer.
fn a_hunt_goes_on_until_it_is_decided(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let flushed = hunt_from_2_to_40_s(interpreter, "soon_flushed")?;
    assert!(flushed.captures > 4 && flushed.findings.is_empty(), "{flushed:#?}");
    assert!(flushed.undecided.is_empty() && flushed.filling.is_empty(), "{flushed:#?}");
    let slow = hunt_from_2_to_40_s(interpreter, "rarely_fed")?;
    assert!(slow.captures > 4, "{slow:#?}");
    assert!(slow.findings[0].holder.name.ends_with("RARELY_FED"), "{slow:#?}");
    let waning = hunt_from_2_to_40_s(interpreter, "waning")?;
    assert!(waning.captures > 4 && waning.filling.is_empty(), "{waning:#?}");
    assert!(waning.findings[0].holder.name.ends_with("WANING"), "{waning:#?}");
    let clear = hunt_from_2_to_40_s(interpreter, "never_removed")?;
    assert_eq!(clear.captures, 4, "{clear:#?}");
    assert!(clear.findings[0].holder.name.ends_with("HUB.handlers"), "{clear:#?}");
    Ok(())
}

fn hunt_from_2_to_40_s(interpreter: &'static Interpreter, way: &str) -> Result<Verdict, Failed> {
    let mut target = Target::start(interpreter, "removals", &[way]);
    let process = Process::open(target.pid())?;
    let python = Python::attach(&process)?;
    let options = Options {
        duration: Duration::from_secs(2),
        longest: Duration::from_secs(40),
        steps: None,
        capture: CaptureOptions::default(),
        way: None,
        keep: None,
        guardian: Program::at(env!("CARGO_BIN_EXE_leakspy")),
    };
    let mut hunter = Hunter::start(process, python, options)?;
    while hunter.phase() != Phase::Over {
        hunter.step(Duration::from_millis(20))?;
    }
    let verdict = hunter.verdict()?;
    target.assert_healthy();
    Ok(verdict)
}

fn instructions_are_those_of_dis(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let mut target = Target::start(interpreter, "bytecode", &[]);
    let truth = target.ask("truth");
    let process = Process::open(target.pid())?;
    let python = Python::attach(&process)?;
    let memory = Cached::new(&process);
    let types = TypeTable::new(&memory, &python, 1 << 30);
    let reader = Reader::new(&memory, &types);
    for code in list(&truth) {
        let instructions = reader.instructions(code[0].as_u64().expect("an address"));
        let actions = instructions.iter().filter_map(|it| match &it.action {
            Action::Load(name) => Some(json!(["load", name])),
            Action::LoadAttribute(name) => Some(json!(["attribute", name])),
            Action::Store(name) => Some(json!(["store", name])),
            Action::StoreLocal(name) => Some(json!(["store local", name])),
            Action::Number(number) => Some(json!(["number", number])),
            Action::Compare => Some(json!(["compare", null])),
            Action::DeleteItem => Some(json!(["delete item", null])),
            Action::Other => None,
        });
        assert_eq!(actions.collect::<Vec<_>>(), *list(&code[1]));
    }
    assert_eq!(list(&truth).len(), 5);
    Ok(())
}

fn each_growth_is_told_for_what_it_is(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let mut target = Target::start(interpreter, "removals", &[WAYS]);
    let document = verdict(target.pid(), "10")?;
    let growths = |key: &str| list(&document[key]).iter().map(|it| it["growth"].clone()).collect();
    let told: [(&str, Vec<Value>); 3] = [
        ("leak", list(&document["findings"]).to_vec()),
        ("filling", growths("filling")),
        ("undecided", growths("undecided")),
    ];
    let truths = target.ask("truth");
    for truth in list(&truths) {
        let found = told
            .iter()
            .find_map(|(word, all)| Some((word, all.iter().find(|it| is_it(it, truth))?)));
        let Some((word, growth)) = found else {
            return Err(format!("{truth} is not in {document:#}").into());
        };
        assert_eq!(*word, text(&truth["told"]), "{truth}: {document:#}");
        let removal = &growth["removal"];
        match truth["remover"].as_str() {
            Some(remover) => {
                assert!(
                    text(&removal["place"]["function"]).ends_with(remover),
                    "{truth}: {removal:#}"
                );
                assert_eq!(removal["until"], truth["until"], "{truth}");
            }
            None => assert!(removal.is_null(), "{truth}: {removal:#}"),
        }
        // Of what is put in and stays, nothing is taken out; of what is not, two of three.
        let (put_in, taken_out) = (&growth["traffic"]["put_in"], &growth["traffic"]["taken_out"]);
        if let (Some(put_in), Some(taken_out)) = (put_in.as_u64(), taken_out.as_u64()) {
            assert_eq!(taken_out > 0, text(&truth["name"]) == "shrinking", "{truth}: {growth:#}");
            assert!(put_in > taken_out, "{truth}: {growth:#}");
        }
    }
    assert!(
        told[0].1.iter().any(|it| it["traffic"]["taken_out"].as_u64() > Some(0)),
        "{document:#}"
    );
    target.assert_healthy();
    Ok(())
}
