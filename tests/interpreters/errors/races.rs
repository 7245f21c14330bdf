//! Several leakspys at one target at once: a process has one tracer at a time, and whoever is too late says so.

use std::io::Read;
use std::process::{Child, Stdio};

use libtest_mimic::{Failed, Trial};

use super::{ALLOC, DUMP, HEAP, WHY, Way, start};
use crate::support::leakspy_command;

/// How often all of them are started at the same time.
const ROUNDS: usize = 6;

pub fn trials() -> Vec<Trial> {
    vec![Trial::test("races", whoever_is_too_late_says_so)]
}

fn whoever_is_too_late_says_so() -> Result<(), Failed> {
    let mut target = start();
    let pid = target.pid().to_string();
    let ask = |way: Way| -> Result<Child, Failed> {
        let mut command = leakspy_command();
        command.args(way.words).arg(&pid).stdout(Stdio::null()).stderr(Stdio::piped());
        Ok(command.spawn()?)
    };
    let (mut answered, mut refused) = (0, 0);
    for _ in 0..ROUNDS {
        let started = [HEAP, DUMP, HEAP, WHY, ALLOC].map(ask);
        for child in started {
            let mut child = child?;
            let mut text = String::new();
            child.stderr.take().expect("it is piped").read_to_string(&mut text)?;
            match child.wait()?.success() {
                true => answered += 1,
                false if text.contains("already being traced by process") => refused += 1,
                false => return Err(format!("another reason: {text}").into()),
            }
        }
    }
    println!("{answered} answered, {refused} were too late");
    assert!(answered >= ROUNDS, "only {answered} answered");
    target.assert_healthy();
    Ok(())
}
