//! Processes that end while leakspy reads them, at any moment.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::process::Stdio;

use libtest_mimic::{Failed, Trial};
use nix::sys::ptrace;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::support::wait_until;

use super::{WAYS, Way, ask, each, start};

pub fn trials() -> Vec<Trial> {
    each(&WAYS, "ended", an_end_at_any_moment_is_told_so)
}

/// The target is killed just before leakspy reads its memory for the first time, the second time, and so on:
/// the test traces leakspy from one system call to the next.
fn an_end_at_any_moment_is_told_so(way: Way) -> Result<(), Failed> {
    let mut told = 0;
    for moment in [1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233] {
        let mut target = start();
        target.wait_until_still();
        let folder = tempfile::tempdir()?;
        let [stdout, stderr] = ["stdout", "stderr"].map(|name| folder.path().join(name));
        let mut command = ask(way, target.pid());
        command.stdin(Stdio::null()).stdout(File::create(stdout)?).stderr(File::create(&stderr)?);
        // SAFETY: between fork and exec only one system call is made, which is async-signal-safe.
        unsafe {
            command.pre_exec(|| Ok(ptrace::traceme()?));
        }
        let mut child = command.spawn()?;
        let leakspy = Pid::from_raw(child.id() as i32);
        let came = run_until_read(leakspy, moment)?;
        if !came {
            break;
        }
        kill(Pid::from_raw(target.pid()), Signal::SIGKILL)?;
        wait_until("every thread has ended", || {
            target.health().threads.iter().all(|thread| thread.state == 'Z')
        });
        // One that leakspy traces stays a zombie until leakspy runs on.
        if !target.health().is_traced() {
            target.wait();
        }
        ptrace::detach(leakspy, None)?;
        let status = child.wait()?;
        let text = fs::read_to_string(&stderr)?;
        // A hunt may have begun by then.
        let said: Vec<&str> = text.lines().filter(|line| !line.starts_with("Hunting;")).collect();
        if status.success() {
            // leakspy had read enough.
            break;
        }
        let here = format!("at moment {moment}: {status}, {text}");
        assert_eq!(status.code(), Some(1), "{here}");
        let ended = format!("leakspy: Process {} ended while leakspy was", target.pid());
        assert!(matches!(&*said, [line] if line.starts_with(&ended)), "{here}");
        told += 1;
    }
    assert!(told > 3, "only {told}");
    Ok(())
}

/// Lets a program run until it is about to call `process_vm_readv` for the `times`-th time; false if it ends
/// before.
fn run_until_read(pid: Pid, times: usize) -> Result<bool, Failed> {
    let mut seen = 0;
    let mut entering = true;
    let mut status = waitpid(pid, None)?;
    ptrace::setoptions(pid, ptrace::Options::PTRACE_O_TRACESYSGOOD)?;
    loop {
        let signal = match status {
            WaitStatus::PtraceSyscall(_) => {
                let read = ptrace::getregs(pid)?.orig_rax == libc::SYS_process_vm_readv as u64;
                seen += usize::from(entering && read);
                if seen == times {
                    return Ok(true);
                }
                entering = !entering;
                None
            }
            // The stop with which a traced program starts.
            WaitStatus::Stopped(_, Signal::SIGTRAP) => None,
            WaitStatus::Stopped(_, signal) => Some(signal),
            WaitStatus::Exited(..) | WaitStatus::Signaled(..) => return Ok(false),
            _ => None,
        };
        ptrace::syscall(pid, signal)?;
        status = waitpid(pid, None)?;
    }
}
