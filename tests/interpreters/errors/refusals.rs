//! Refusals by the kernel: another user, a missing capability, another tracer, a seccomp filter.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

use libtest_mimic::{Failed, Trial};
use nix::sys::ptrace;
use nix::sys::wait::waitpid;
use nix::unistd::{Pid, geteuid};

use super::{STACKS, WAYS, Way, ask, assert_says, each, message, start};
use crate::support::{Refusal, Target, place_program, refuse};

/// The user and group `nobody`.
const NOBODY: u32 = 65534;
/// `CAP_SYS_PTRACE` (linux/capability.h).
const SYS_PTRACE: i32 = 19;

pub fn trials() -> Vec<Trial> {
    let (_, tracing) = WAYS.split_last().expect("there are ways");
    let mut trials = each(tracing, "already_traced", another_tracer_is_named);
    trials.extend(each(&[STACKS], "already_traced", what_needs_no_tracing_is_not_in_the_way));
    let as_root = [
        each(&WAYS, "another_user", another_users_process_is_told_from_all_else),
        each(&WAYS, "without_capability", a_container_without_the_capability_is_told_so),
        each(tracing, "filtered", a_filter_is_not_taken_for_a_lack_of_rights),
    ];
    let is_root = geteuid().is_root();
    // Only root can become another user, or drop a capability, to try it.
    trials.extend(as_root.into_iter().flatten().map(|trial| trial.with_ignored_flag(!is_root)));
    trials
}

/// Runs with this process as the tracer of the target, and then lets the target go.
fn beside_a_tracer(
    target: &Target,
    run: impl FnOnce() -> Result<(), Failed>,
) -> Result<(), Failed> {
    let pid = Pid::from_raw(target.pid());
    ptrace::seize(pid, ptrace::Options::empty())?;
    let result = run();
    ptrace::interrupt(pid)?;
    waitpid(pid, None)?;
    ptrace::detach(pid, None)?;
    result
}

fn another_tracer_is_named(way: Way) -> Result<(), Failed> {
    let mut target = start();
    beside_a_tracer(&target, || {
        let text = message(&ask(way, target.pid()).output()?);
        let tracer = format!("process {} (", std::process::id());
        assert_says(&text, &["already being traced", &tracer, "only one tracer"]);
        Ok(())
    })?;
    target.assert_healthy();
    Ok(())
}

fn what_needs_no_tracing_is_not_in_the_way(way: Way) -> Result<(), Failed> {
    let mut target = start();
    beside_a_tracer(&target, || {
        let output = ask(way, target.pid()).output()?;
        assert!(output.status.success(), "{output:?}");
        Ok(())
    })?;
    target.assert_healthy();
    Ok(())
}

fn another_users_process_is_told_from_all_else(way: Way) -> Result<(), Failed> {
    let mut target = start();
    // A folder that every user may enter: that of the build may not be one.
    let place = tempfile::tempdir()?;
    fs::set_permissions(place.path(), Permissions::from_mode(0o755))?;
    let program = place.path().join("leakspy");
    place_program(&fs::read(env!("CARGO_BIN_EXE_leakspy"))?, &program)?;
    let mut command = Command::new(&program);
    command.args(way.words).arg(target.pid().to_string()).uid(NOBODY).gid(NOBODY);
    let text = message(&command.output()?);
    // In a container where not even root may trace, that must change first.
    let told = text.contains("belongs to the user root") || text.contains("SYS_PTRACE");
    assert!(told, "{text}");
    target.assert_healthy();
    Ok(())
}

/// Root as in most containers.
fn a_container_without_the_capability_is_told_so(way: Way) -> Result<(), Failed> {
    let mut target = start();
    let mut command = ask(way, target.pid());
    // SAFETY: between fork and exec only one system call is made, which is async-signal-safe.
    unsafe {
        command.pre_exec(|| match libc::prctl(libc::PR_CAPBSET_DROP, SYS_PTRACE) {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        });
    }
    let text = message(&command.output()?);
    assert_says(&text, &["without the capability SYS_PTRACE", "on the host"]);
    target.assert_healthy();
    Ok(())
}

fn a_filter_is_not_taken_for_a_lack_of_rights(way: Way) -> Result<(), Failed> {
    let mut target = start();
    let mut command = ask(way, target.pid());
    let refused = [libc::SYS_ptrace, libc::SYS_process_vm_readv];
    refuse(&mut command, &refused.map(|call| Refusal { call, request: None, error: libc::EPERM }));
    let text = message(&command.output()?);
    assert_says(&text, &["although it has CAP_SYS_PTRACE", "seccomp"]);
    target.assert_healthy();
    Ok(())
}
