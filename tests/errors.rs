//! What a person is told where the system stands in the way: which rule it was, and what helps. The
//! process asked about must be none the worse.

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Output};

use nix::sys::ptrace;
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::{Pid, geteuid};
use support::{Target, interpreters, leakspy};

/// The user and group called nobody.
const NOBODY: u32 = 65534;

/// Gives its message if it is one line and the status is 1, as for every error.
#[track_caller]
fn message(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    let text = String::from_utf8(output.stderr.clone()).expect("UTF-8");
    assert_eq!(text.lines().count(), 1, "{text}");
    text
}

fn dump(pid: i32) -> Output {
    leakspy(["dump", "--pid", &pid.to_string()])
}

#[test]
fn a_zombie_has_no_memory_left() {
    let mut child = Command::new("true").spawn().expect("a child");
    let pid = child.id() as i32;
    let id = Id::Pid(Pid::from_raw(pid));
    waitid(id, WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT).expect("its end");
    let text = message(&dump(pid));
    assert!(text.contains(&format!("Process {pid} has ended")), "{text}");
    assert!(text.contains(&format!("its parent {} (", std::process::id())), "{text}");
    child.wait().expect("its status");
}

#[test]
fn another_tracer_is_named() {
    let interpreter = interpreters().first().expect("an interpreter");
    let mut target = Target::start(interpreter, "stacks", &[]);
    let pid = Pid::from_raw(target.pid());
    ptrace::seize(pid, ptrace::Options::empty()).expect("seized");
    let text = message(&dump(target.pid()));
    assert!(text.contains("already being traced"), "{text}");
    assert!(text.contains(&format!("process {} (", std::process::id())), "{text}");
    ptrace::interrupt(pid).expect("interrupted");
    nix::sys::wait::waitpid(pid, None).expect("stopped");
    ptrace::detach(pid, None).expect("detached");
    target.assert_healthy();
}

/// Only root can become somebody else to try it.
#[test]
fn another_users_process_is_told_from_all_else() {
    if !geteuid().is_root() {
        return;
    }
    let interpreter = interpreters().first().expect("an interpreter");
    let mut target = Target::start(interpreter, "stacks", &[]);
    // A place that everybody may enter: the folder of the build need not be one.
    let place = tempfile::tempdir().expect("a folder");
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).expect("permissions");
    let program = place.path().join("leakspy");
    fs::copy(env!("CARGO_BIN_EXE_leakspy"), &program).expect("a copy");
    let output = Command::new(&program)
        .args(["dump", "--pid", &target.pid().to_string()])
        .uid(NOBODY)
        .gid(NOBODY)
        .output()
        .expect("leakspy was started");
    let text = message(&output);
    // In a container that root may not trace in either, that is what has to change first.
    let told = text.contains("belongs to the user root") || text.contains("SYS_PTRACE");
    assert!(told, "{text}");
    target.assert_healthy();
}
