//! Naming the process: by its PID, by its command line, and from the list of `leakspy ps`.

use libtest_mimic::{Failed, Trial};
use serde_json::Value;

use crate::support::{Interpreter, Target, assert_documented, interpreters, leakspy};

type Test = fn(&'static Interpreter) -> Result<(), Failed>;

pub fn trials() -> Vec<Trial> {
    let some = interpreters().last().expect("an interpreter");
    let tests: [(&str, Test); 3] = [
        ("ps", every_python_is_listed),
        ("name", a_process_is_found_by_its_command_line),
        ("path", an_object_is_named_as_python_writes_it),
    ];
    let trial = |(name, test): (&str, Test)| {
        Trial::test(format!("{name}::{}", some.name), move || test(some))
    };
    tests.map(trial).into()
}

fn json(arguments: &[&str]) -> Result<Value, Failed> {
    let output = leakspy(arguments);
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn every_python_is_listed(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let target = Target::start(interpreter, "why", &[]);
    let all = json(&["ps", "--json"])?;
    assert_documented("`leakspy ps --json`", &all);
    let processes = all["processes"].as_array().expect("an array");
    let own = processes.iter().find(|one| one["pid"] == target.pid()).expect("the target");
    assert_eq!((&own["readable"], &own["refusal"]), (&Value::Bool(true), &Value::Null));
    assert!(own["rss_bytes"].as_u64() > Some(1 << 20) && own["age_s"].as_f64() > Some(0.0));
    let text = String::from_utf8(leakspy(["ps", "why.py"]).stdout)?;
    assert!(text.lines().any(|line| line.trim_start().starts_with(&format!("{} ", target.pid()))));
    let none = String::from_utf8(leakspy(["ps", "no such command line"]).stdout)?;
    assert_eq!(none, "No process here runs Python.\n");
    Ok(())
}

fn a_process_is_found_by_its_command_line(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let mark = format!("mark-{}", std::process::id());
    let target = Target::start(interpreter, "why", &[&mark]);
    let pid = target.pid().to_string();
    for line in [&["heap", "--json", "--name", &mark][..], &["heap", "--json", &pid]] {
        assert_eq!(json(line)?["pid"], target.pid(), "{line:?}");
    }
    let second = Target::start(interpreter, "why", &[&mark]);
    let output = leakspy(["mem", "--name", &mark]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr)?;
    assert!(said.contains("2 processes have"), "{said}");
    for pid in [target.pid(), second.pid()] {
        assert!(said.lines().any(|line| line.trim_start().starts_with(&pid.to_string())), "{said}");
    }
    Ok(())
}

fn an_object_is_named_as_python_writes_it(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let target = Target::start(interpreter, "why", &["last"]);
    let pid = target.pid().to_string();
    let address = |subject: &str| -> Result<Value, Failed> {
        Ok(json(&["show", "--json", &pid, subject])?["address"].clone())
    };
    for (typed, with_colon) in [
        ("__main__.LIST[2]", "__main__:LIST[2]"),
        ("sys.argv[-1]", "sys:argv[1]"),
        ("__main__.HOLDER.thing", "__main__:HOLDER.thing"),
    ] {
        assert_eq!(address(typed)?, address(with_colon)?, "{typed}");
    }
    for (typed, words) in [
        ("sys.argv[-9]", "sys:argv has no [-9]"),
        ("nowhere.X[0]", "there is no module nowhere in the process"),
    ] {
        let output = leakspy(["show", &pid, typed]);
        let said = String::from_utf8(output.stderr)?;
        assert!(output.status.code() == Some(1) && said.contains(words), "{said}");
    }
    Ok(())
}
