//! The facts that decide whether one process may read another, gathered from `/proc`.
//!
//! Read only once something has been refused: [`advice`](super::advice) turns them into words.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::unistd::{Uid, User, geteuid, gettid};
use procfs::process::Status;

use crate::process::text;

/// The bit of `CAP_SYS_PTRACE` in a capability mask (`linux/capability.h`).
const CAP_SYS_PTRACE: u32 = 19;

/// The tracing process, the target, and the rules between them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The target's PID.
    pub pid: i32,
    /// leakspy's own command line, ready to be typed again.
    pub invocation: String,
    /// The user that leakspy runs as.
    pub us: Account,
    /// Whether leakspy has the capability that overrides all other rules.
    pub sys_ptrace: Capability,
    /// The kind of container that leakspy runs in.
    pub container: Option<Container>,
    /// `kernel.yama.ptrace_scope`, where the kernel has Yama.
    pub ptrace_scope: Option<u8>,
    /// The target, if it is still there.
    pub target: Option<Target>,
    /// The other process that an obstacle is about: the target's tracer, or its parent.
    pub other: Option<Peer>,
}

/// A process about to be observed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The user it runs as.
    pub account: Account,
    /// Its name, as the kernel has it (`comm`).
    pub name: String,
    /// The process that traces it.
    pub tracer: Option<Peer>,
    /// Whether the kernel protects it from its own user, as it protects a setuid program.
    pub protected: bool,
    /// Whether it is in leakspy's user namespace.
    pub same_user_namespace: bool,
}

/// A user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The number.
    pub uid: u32,
    /// The name, or the number where it has none.
    pub name: String,
}

/// A process related to the target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its PID.
    pub pid: i32,
    /// Its name, empty if it has ended.
    pub name: String,
}

/// Whether leakspy has a capability.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capability {
    /// leakspy has it.
    Held,
    /// leakspy does not have it, but root would.
    Missing,
    /// Not even root could have it here: it is not in the bounding set.
    Withheld,
}

/// A kind of container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Container {
    /// Docker.
    Docker,
    /// Podman.
    Podman,
    /// A pod of Kubernetes.
    Kubernetes,
    /// Any other.
    Other,
}

impl Facts {
    /// Gathers the facts about leakspy, the process with this PID, and `other`, the process that an obstacle
    /// named beside it.
    pub fn gather(pid: i32, other: Option<i32>) -> Facts {
        Facts {
            pid,
            invocation: invocation(),
            us: account(geteuid().as_raw()),
            sys_ptrace: own_capability(),
            container: container(),
            ptrace_scope: read("/proc/sys/kernel/yama/ptrace_scope")
                .and_then(|text| text.trim().parse().ok()),
            target: Target::gather(pid),
            other: other.map(Peer::of),
        }
    }
}

impl Target {
    fn gather(pid: i32) -> Option<Target> {
        let status = status(pid)?;
        let tracer = Some(status.tracerpid).filter(|&tracer| tracer != 0).map(Peer::of);
        // Files in `/proc/PID` belong to the effective user, but to root where the process is not dumpable
        // (proc(5)); the directory itself always belongs to the user.
        let owner = fs::metadata(format!("/proc/{pid}/stat")).ok()?.uid();
        let id_map = |who: &str| read(&format!("/proc/{who}/uid_map"));
        Some(Target {
            account: account(status.euid),
            name: status.name,
            tracer,
            protected: owner == 0 && status.euid != 0,
            same_user_namespace: id_map("self") == id_map(&pid.to_string()),
        })
    }
}

impl Peer {
    /// The process of a thread: the kernel reports a tracer by the number of its tracing thread.
    fn of(tid: i32) -> Peer {
        let pid = status(tid).map_or(tid, |status| status.tgid);
        Peer { pid, name: status(pid).map(|status| status.name).unwrap_or_default() }
    }
}

/// What the kernel says of a process or thread.
fn status(tid: i32) -> Option<Status> {
    text::status(&fs::read(format!("/proc/{tid}/status")).ok()?).ok()
}

fn account(uid: u32) -> Account {
    let user = User::from_uid(Uid::from_raw(uid)).ok().flatten();
    Account { uid, name: user.map_or_else(|| uid.to_string(), |user| user.name) }
}

fn own_capability() -> Capability {
    let has = |mask: u64| mask & (1 << CAP_SYS_PTRACE) != 0;
    match status(gettid().as_raw()) {
        Some(status) if has(status.capeff) => Capability::Held,
        Some(status) if !status.capbnd.is_none_or(has) => Capability::Withheld,
        _ => Capability::Missing,
    }
}

fn container() -> Option<Container> {
    let groups = read("/proc/1/cgroup").unwrap_or_default();
    let exists = |path: &str| Path::new(path).exists();
    let pod = std::env::var_os("KUBERNETES_SERVICE_HOST").is_some();
    if pod || groups.contains("kubepods") || exists("/run/secrets/kubernetes.io") {
        Some(Container::Kubernetes)
    } else if exists("/.dockerenv") || groups.contains("docker") {
        Some(Container::Docker)
    } else if exists("/run/.containerenv") || groups.contains("libpod") {
        Some(Container::Podman)
    } else if groups.contains("containerd") || groups.contains("lxc") {
        Some(Container::Other)
    } else {
        None
    }
}

/// The words of leakspy's command line, with the full path of the program unless every shell and `sudo` find
/// it by name.
fn invocation() -> String {
    let program = std::env::current_exe().ok();
    let everywhere = program.as_deref().and_then(Path::parent).is_some_and(|directory| {
        ["/usr/local/bin", "/usr/bin", "/bin"].iter().any(|usual| directory == Path::new(usual))
    });
    let program = match program {
        Some(program) if !everywhere => program.to_string_lossy().into_owned(),
        _ => "leakspy".into(),
    };
    let arguments = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned());
    let words: Vec<String> = [program].into_iter().chain(arguments).map(|w| quoted(&w)).collect();
    words.join(" ")
}

/// A word as a shell reads it back.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.into()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

fn read(path: &str) -> Option<String> {
    fs::read_to_string(path).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_word_is_one_word_to_a_shell() {
        assert_eq!(quoted("--pid=12"), "--pid=12");
        assert_eq!(quoted("a b"), "'a b'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(""), "''");
        assert_eq!(quoted("$(rm x)"), "'$(rm x)'");
    }

    #[test]
    fn the_facts_about_ourselves_are_the_kernels() {
        let pid = std::process::id() as i32;
        let facts = Facts::gather(pid, None);
        let target = facts.target.expect("we are there");
        assert_eq!(target.account, facts.us);
        assert!(target.same_user_namespace);
        assert_eq!(target.tracer, None);
        assert_eq!(target.name, Peer::of(pid).name);
    }

    #[test]
    fn a_thread_leads_to_its_process() {
        let tid = gettid().as_raw();
        assert_eq!(Peer::of(tid).pid, std::process::id() as i32);
        assert_eq!(Peer::of(i32::MAX), Peer { pid: i32::MAX, name: String::new() });
    }

    #[test]
    fn a_pid_that_cannot_be_has_no_target() {
        assert_eq!(Facts::gather(i32::MAX, None).target, None);
    }
}
