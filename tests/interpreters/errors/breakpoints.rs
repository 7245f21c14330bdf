//! Debug registers that are unavailable in one way or another.

use libtest_mimic::{Failed, Trial};

use super::{ALLOC, Way, ask, assert_says, each, message};
use crate::support::{Refusal, Target, interpreters, refuse};

pub fn trials() -> Vec<Trial> {
    let mut trials = each(&[ALLOC], "no_registers", no_registers_are_told_with_the_way_out);
    trials.extend(each(&[ALLOC], "no_perf_events", registers_are_used_instead));
    trials
}

fn start() -> Result<Target, Failed> {
    let interpreter = interpreters().first().ok_or("no interpreter")?;
    Ok(Target::start(interpreter, "allocation_sites", &[]))
}

/// How most containers treat perf events.
const NO_PERF: Refusal =
    Refusal { call: libc::SYS_perf_event_open, request: None, error: libc::EPERM };

fn no_registers_are_told_with_the_way_out(way: Way) -> Result<(), Failed> {
    let mut target = start()?;
    let mut command = ask(way, target.pid());
    let request = Some(libc::PTRACE_POKEUSER);
    let no_poke = Refusal { call: libc::SYS_ptrace, request, error: libc::EIO };
    refuse(&mut command, &[NO_PERF, no_poke]);
    let text = message(&command.output()?);
    assert_says(&text, &["breakpoint registers", "`--nonblocking`", "virtual machines"]);
    target.assert_healthy();
    Ok(())
}

fn registers_are_used_instead(way: Way) -> Result<(), Failed> {
    let mut target = start()?;
    let mut command = ask(way, target.pid());
    refuse(&mut command, &[NO_PERF]);
    let output = command.output()?;
    assert!(output.status.success(), "{output:?}");
    target.assert_healthy();
    Ok(())
}
