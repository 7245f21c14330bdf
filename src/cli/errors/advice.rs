//! The advice printed with an error: what is wrong, and what to type.
//!
//! The library says what was refused; the cause and the remedy depend on the machine. So each text is a pure
//! function of an [`Obstacle`] and the [`Facts`], and only [`Facts`] reads the machine.

use indicatif::HumanBytes;

use super::CommandError;
use super::facts::{Capability, Container, Facts, Peer, Target};
use crate::obstacle::{Obstacle, Obstruction};

/// The text for `error`, in one or two sentences; `pid` is the process that the user named.
pub fn explain(error: &CommandError, pid: Option<i32>) -> String {
    match error.obstacle() {
        Some(Obstruction { obstacle, pid: about }) => match about.or(pid) {
            Some(pid) => advise(obstacle, &Facts::gather(pid, obstacle.other())),
            None => error.to_string(),
        },
        None => error.to_string(),
    }
}

/// The text for `obstacle` in a table.
pub fn in_a_word(obstacle: &Obstacle) -> String {
    match obstacle {
        Obstacle::NoSuchProcess | Obstacle::Zombie { .. } | Obstacle::Ended => "ended".to_owned(),
        Obstacle::Replaced => "replaced its program".to_owned(),
        Obstacle::NotPython => "not Python".to_owned(),
        Obstacle::TooOld { version } => format!("Python {version} is too old"),
        Obstacle::TooNew { version } => format!("Python {version} is too new"),
        Obstacle::NotRunning => "starting or exiting".to_owned(),
        Obstacle::Traced { tracer } => format!("traced by {tracer}"),
        Obstacle::Denied => "not permitted".to_owned(),
        Obstacle::TooLarge { .. } => "too large".to_owned(),
        Obstacle::NoBreakpoints { .. } => "no breakpoints".to_owned(),
        Obstacle::NotTracing => "tracemalloc is off".to_owned(),
    }
}

/// The text for `obstacle`.
pub fn advise(obstacle: &Obstacle, facts: &Facts) -> String {
    let pid = facts.pid;
    match obstacle {
        Obstacle::NoSuchProcess => {
            format!("There is no process {pid}. `leakspy ps` lists those that run Python.")
        }
        Obstacle::Zombie { parent } => format!(
            "Process {pid} has ended; it is now a zombie that its parent{} has not waited for. Its \
             memory is gone.",
            named(beside(facts, *parent))
        ),
        Obstacle::Ended => format!("Process {pid} ended while leakspy was reading it."),
        Obstacle::Replaced => format!(
            "Process {pid} has replaced its program (exec) while leakspy was reading it, and the new program is \
             another target. Run the command again to look at that."
        ),
        Obstacle::NotPython => {
            let name = facts.target.as_ref().map(|target| target.name.as_str());
            format!(
                "Process{} is not a Python process: no CPython was found in it. If it starts one, use \
                 that process's PID (`leakspy ps`) or add `--subprocesses`.",
                named((pid, name.unwrap_or_default()))
            )
        }
        Obstacle::TooOld { version } => format!(
            "Process {pid} runs Python {version}, which is too old: leakspy supports 3.8 and later."
        ),
        Obstacle::TooNew { version } => format!(
            "Process {pid} runs Python {version}, which this version of leakspy ({}) does not \
             support. A newer version may.",
            env!("CARGO_PKG_VERSION")
        ),
        Obstacle::NotRunning => format!(
            "The Python in process {pid} is still starting or already exiting. Try again in a moment."
        ),
        Obstacle::Traced { tracer } => traced(pid, beside(facts, *tracer)),
        Obstacle::Denied => denied(facts),
        Obstacle::TooLarge { needed, allowed } => format!(
            "Reading the heap of process {pid} takes {} of memory, and the limit is {}, so nothing \
             was read. Raise the limit with `--max-memory`.",
            HumanBytes(*needed),
            HumanBytes(*allowed)
        ),
        Obstacle::NoBreakpoints { reason } => format!(
            "leakspy samples allocations with the processor's breakpoint registers, which cannot be \
             used here ({reason}): some virtual machines do not provide them. `--nonblocking` \
             records stacks without them."
        ),
        Obstacle::NotTracing => format!(
            "tracemalloc is off in process {pid}, so it has not recorded which stacks allocated its \
             memory. Start it with `python -X tracemalloc=25 …` or with PYTHONTRACEMALLOC=25 in its \
             environment."
        ),
    }
}

/// The kernel's rule that refused, checked in an order in which each makes the later ones irrelevant.
fn denied(facts: &Facts) -> String {
    let pid = facts.pid;
    let Some(target) = &facts.target else {
        return advise(&Obstacle::Ended, facts);
    };
    if let Some(tracer) = &target.tracer {
        return traced(pid, (tracer.pid, &tracer.name));
    }
    if facts.ptrace_scope == Some(3) {
        return format!(
            "Process {pid} cannot be traced: kernel.yama.ptrace_scope is 3, which forbids tracing for \
             everyone, root included, until the machine is rebooted with a lower value."
        );
    }
    match facts.sys_ptrace {
        Capability::Held if !target.same_user_namespace => format!(
            "Process {pid} belongs to another user namespace, where being root here gives no rights. \
             Run leakspy as root on the host, with the PID that the process has there."
        ),
        Capability::Held => format!(
            "The kernel does not let leakspy trace process {pid} although it has CAP_SYS_PTRACE. \
             Another security policy of this machine forbids it, such as SELinux, AppArmor or \
             seccomp (`dmesg` and `journalctl -k` often name it)."
        ),
        Capability::Withheld => withheld(facts),
        Capability::Missing => format!("{} {}", missing(facts, target), as_root(facts)),
    }
}

fn traced(pid: i32, tracer: (i32, &str)) -> String {
    format!(
        "Process {pid} is already being traced by process{}, and a process can have only one \
         tracer. End that tracer first.",
        named(tracer)
    )
}

/// Not even root has the capability: the container was started without it.
fn withheld(facts: &Facts) -> String {
    let pid = facts.pid;
    let start = match facts.container {
        Some(Container::Kubernetes) => {
            "Add `securityContext: {capabilities: {add: [SYS_PTRACE]}}` to the container in its pod"
        }
        Some(Container::Podman) => "Start it with `podman run --cap-add SYS_PTRACE …`",
        Some(Container::Docker) => "Start it with `docker run --cap-add SYS_PTRACE …`",
        Some(Container::Other) | None => "Start it with the capability SYS_PTRACE",
    };
    let root = if facts.us.uid == 0 { "" } else { " and run leakspy as root in it" };
    let place = match facts.container {
        Some(_) => "this container",
        None => "the service or container that leakspy runs in",
    };
    format!(
        "Process {pid} cannot be traced, because {place} was started without the capability \
         SYS_PTRACE. {start}{root}, or run leakspy as root on the host, with the PID that the \
         process has there."
    )
}

/// Why leakspy needs a capability that root has and it does not.
fn missing(facts: &Facts, target: &Target) -> String {
    let pid = facts.pid;
    let (us, them) = (&facts.us, &target.account);
    if us.uid != them.uid {
        return format!(
            "Process {pid} belongs to the user {}, and you are {}.",
            them.name, us.name
        );
    }
    if target.protected {
        return format!(
            "Process {pid} is yours, but the kernel protects it, as it protects programs that change \
             their user or hold capabilities."
        );
    }
    match facts.ptrace_scope {
        Some(1) => format!(
            "Process {pid} is yours, but kernel.yama.ptrace_scope is 1: only a process that \
             started another may trace it (as `leakspy record -- COMMAND` does)."
        ),
        Some(2) => format!(
            "Process {pid} is yours, but kernel.yama.ptrace_scope is 2: only root may trace."
        ),
        _ if !target.same_user_namespace => {
            format!("Process {pid} belongs to another user namespace.")
        }
        _ => format!("The kernel does not let the user {} trace process {pid}.", us.name),
    }
}

/// How to get the capability.
fn as_root(facts: &Facts) -> String {
    let command = &facts.invocation;
    match facts.container {
        Some(Container::Docker) => {
            format!("Become root in this container: `docker exec -u root CONTAINER {command}`.")
        }
        Some(Container::Podman) => {
            format!("Become root in this container: `podman exec -u root CONTAINER {command}`.")
        }
        Some(Container::Kubernetes | Container::Other) => {
            format!("Run `{command}` as root in this container.")
        }
        None if matches!(facts.ptrace_scope, Some(1 | 2)) => format!(
            "Run `sudo {command}`, or lower ptrace_scope until the next reboot with \
             `sudo sysctl kernel.yama.ptrace_scope=0`."
        ),
        None => format!("Run `sudo {command}`."),
    }
}

/// The other process: its PID and name from the facts, or only `number` where they have none.
fn beside(facts: &Facts, number: i32) -> (i32, &str) {
    facts.other.as_ref().map_or((number, ""), |Peer { pid, name }| (*pid, name))
}

/// ` 12 (bash)`, or only ` 12` where the name is unknown.
fn named((pid, name): (i32, &str)) -> String {
    if name.is_empty() { format!(" {pid}") } else { format!(" {pid} ({name})") }
}

#[cfg(test)]
mod tests {
    use super::super::facts::Account;
    use super::*;

    fn account(uid: u32, name: &str) -> Account {
        Account { uid, name: name.into() }
    }

    /// A user observing their own process, on a machine without Yama.
    fn facts() -> Facts {
        Facts {
            pid: 12,
            invocation: "leakspy dump --pid 12".into(),
            us: account(1000, "ada"),
            sys_ptrace: Capability::Missing,
            container: None,
            ptrace_scope: None,
            target: Some(target()),
            other: None,
        }
    }

    fn target() -> Target {
        Target {
            account: account(1000, "ada"),
            name: "python3".into(),
            tracer: None,
            protected: false,
            same_user_namespace: true,
        }
    }

    #[track_caller]
    fn assert_says(facts: &Facts, pieces: &[&str]) {
        let text = advise(&Obstacle::Denied, facts);
        for piece in pieces {
            assert!(text.contains(piece), "{piece:?} is not in {text:?}");
        }
        let sentences = text.matches(". ").count() + 1;
        assert!(sentences <= 2, "{sentences} sentences: {text:?}");
    }

    #[test]
    fn another_users_process_needs_root() {
        let target = Target { account: account(105, "postgres"), ..target() };
        let facts = Facts { target: Some(target), ..facts() };
        assert_says(&facts, &["user postgres", "you are ada", "`sudo leakspy dump --pid 12`"]);
    }

    #[test]
    fn yama_is_named_with_the_way_out() {
        let scope = |scope| Facts { ptrace_scope: Some(scope), ..facts() };
        let lower = "sudo sysctl kernel.yama.ptrace_scope=0";
        assert_says(&scope(1), &["ptrace_scope is 1", "leakspy record -- COMMAND", "sudo", lower]);
        assert_says(&scope(2), &["ptrace_scope is 2", "`sudo leakspy dump --pid 12`", lower]);
        assert_says(&scope(3), &["ptrace_scope is 3", "root included"]);
        let as_root = Facts { sys_ptrace: Capability::Held, ..scope(3) };
        assert_says(&as_root, &["ptrace_scope is 3"]);
    }

    #[test]
    fn a_container_without_the_capability_is_told_how_to_start() {
        for (container, piece) in [
            (Some(Container::Docker), "`docker run --cap-add SYS_PTRACE …`"),
            (Some(Container::Podman), "`podman run --cap-add SYS_PTRACE …`"),
            (Some(Container::Kubernetes), "securityContext"),
            (None, "SYS_PTRACE"),
        ] {
            let withheld = Capability::Withheld;
            // Yama is why the capability is needed, but it cannot be changed from inside.
            let facts = Facts { container, sys_ptrace: withheld, ptrace_scope: Some(1), ..facts() };
            assert_says(&facts, &[piece, "run leakspy as root in it", "on the host"]);
            let root = Facts { us: account(0, "root"), ..facts };
            assert!(!advise(&Obstacle::Denied, &root).contains("as root in it"));
        }
    }

    #[test]
    fn a_container_that_root_could_use_is_told_so() {
        let facts = Facts { container: Some(Container::Docker), ..facts() };
        assert_says(&facts, &["docker exec -u root CONTAINER leakspy dump --pid 12"]);
    }

    #[test]
    fn a_tracer_is_named_before_any_rule() {
        let tracer = Some(Peer { pid: 77, name: "gdb".into() });
        let target = Target { tracer, account: account(0, "root"), ..target() };
        let facts = Facts { target: Some(target), ptrace_scope: Some(1), ..facts() };
        assert_says(&facts, &["already being traced by process 77 (gdb)"]);
    }

    #[test]
    fn a_parent_is_named() {
        let facts = Facts { other: Some(Peer { pid: 3, name: "bash".into() }), ..facts() };
        let text = advise(&Obstacle::Zombie { parent: 3 }, &facts);
        assert!(text.contains("that its parent 3 (bash) has not waited for"), "{text}");
    }

    #[test]
    fn a_protected_process_and_another_namespace_are_told_apart() {
        let protected = Some(Target { protected: true, ..target() });
        assert_says(&Facts { target: protected, ..facts() }, &["the kernel protects it", "sudo"]);
        let elsewhere = Some(Target { same_user_namespace: false, ..target() });
        let held = Capability::Held;
        let facts = Facts { target: elsewhere, sys_ptrace: held, ..facts() };
        assert_says(&facts, &["another user namespace", "on the host"]);
    }

    #[test]
    fn root_that_is_refused_all_the_same_looks_for_another_rule() {
        assert_says(&Facts { sys_ptrace: Capability::Held, ..facts() }, &["SELinux", "seccomp"]);
    }

    #[test]
    fn a_target_that_has_gone_meanwhile_has_ended() {
        assert_says(&Facts { target: None, ..facts() }, &["Process 12 ended"]);
    }

    #[test]
    fn every_obstacle_has_its_own_words() {
        let version = "3.7.17".to_string();
        for (obstacle, piece) in [
            (Obstacle::NoSuchProcess, "There is no process 12"),
            (Obstacle::Zombie { parent: 3 }, "zombie that its parent 3 has not"),
            (Obstacle::Ended, "Process 12 ended"),
            (Obstacle::Replaced, "Process 12 has replaced its program"),
            (Obstacle::NotRunning, "Try again"),
            (Obstacle::Traced { tracer: 77 }, "traced by process 77, and"),
            (Obstacle::NotPython, "Process 12 (python3) is not a Python process"),
            (Obstacle::TooOld { version: version.clone() }, "Python 3.7.17, which is too old"),
            (Obstacle::TooNew { version }, "Python 3.7.17, which this version"),
            (Obstacle::NoBreakpoints { reason: "ENODEV".into() }, "(ENODEV)"),
        ] {
            let text = advise(&obstacle, &facts());
            assert!(text.contains(piece), "{piece:?} is not in {text:?}");
        }
    }
}
