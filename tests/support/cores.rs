//! Cores of running fixtures: by gcore, and by the kernel.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use libtest_mimic::Failed;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use super::target::Target;
use super::waiting::wait_until;

/// Stops every thread of a target.
pub fn stop(target: &Target) {
    kill(Pid::from_raw(target.pid()), Signal::SIGSTOP).expect("it is ours");
    wait_until("it stands still", || {
        target.health().threads.iter().all(|thread| thread.state == 'T')
    });
}

/// The core that gcore writes of a target. `None` if there is no gcore, which is a failure where `CI` is set.
pub fn gcore(target: &Target, folder: &TempDir) -> Result<Option<PathBuf>, Failed> {
    let pid = target.pid().to_string();
    let output = Command::new("gcore")
        .args(["-o"])
        .arg(folder.path().join("gcore"))
        .arg(&pid)
        .stdin(Stdio::null())
        .output();
    match output {
        Ok(output) if output.status.success() => {
            Ok(Some(folder.path().join(format!("gcore.{pid}"))))
        }
        Ok(output) => Err(format!("{output:?}").into()),
        Err(_) if std::env::var_os("CI").is_some() => {
            Err("there is no gcore: see fixtures/fetch".into())
        }
        Err(_) => Ok(None),
    }
}

/// Why the kernel writes no core into a folder of this machine, if it does not.
pub fn no_kernel_cores() -> Option<&'static str> {
    let pattern = fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap_or_default();
    match pattern.trim() {
        "core" | "core.%p" => None,
        _ => Some("the kernel of this machine gives its cores to a program"),
    }
}

/// Lets the kernel write a core of a target, and returns the folder into which it will.
pub fn permit_core(target: &Target) -> PathBuf {
    let pid = target.pid();
    let limit = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: the structure is only read, and nothing is returned.
    let set =
        unsafe { libc::prlimit(pid, libc::RLIMIT_CORE, &raw const limit, std::ptr::null_mut()) };
    assert_eq!(set, 0, "the limit of a child can be set");
    let place = fs::read_link(format!("/proc/{pid}/cwd")).expect("it has a working folder");
    for path in core_paths(pid, &place) {
        let _ = fs::remove_file(path);
    }
    place
}

/// Moves the core of a process that has ended into a folder.
pub fn core_of(pid: i32, place: &Path, folder: &TempDir) -> PathBuf {
    let found = core_paths(pid, place).into_iter().find(|path| path.exists());
    let found = found.unwrap_or_else(|| panic!("no core in {}", place.display()));
    let path = folder.path().join(format!("kernel.{pid}"));
    let moved = Command::new("mv").arg(found).arg(&path).status().expect("mv is there");
    assert!(moved.success(), "{moved}");
    path
}

/// Ends a stopped target with a signal, and returns the core that the kernel writes of it.
pub fn kernel_core(target: &mut Target, signal: Signal, folder: &TempDir) -> PathBuf {
    let place = permit_core(target);
    let pid = Pid::from_raw(target.pid());
    kill(pid, signal).expect("it is ours");
    kill(pid, Signal::SIGCONT).expect("it is ours");
    target.wait();
    core_of(target.pid(), &place, folder)
}

fn core_paths(pid: i32, place: &Path) -> [PathBuf; 2] {
    ["core".to_owned(), format!("core.{pid}")].map(|name| place.join(name))
}
