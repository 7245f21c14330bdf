//! What `docs/containers.md` says of containers, in one made of what a container runtime uses too: namespaces, a root of
//! layers, Docker's default capabilities. The refusals that it shows are those printed here.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use libtest_mimic::{Failed, Trial};
use tempfile::TempDir;

use crate::support::{
    Interpreter, Refusal, Target, case_for_root, interpreters, leakspy_command, place_program,
    refuse, wait_until_readable,
};

/// What Docker and containerd leave to root in a container (linux/capability.h).
const BY_DEFAULT: &str = "0,1,3,4,5,6,7,8,10,13,18,27,29,31";
/// With `--cap-add SYS_PTRACE`.
const WITH_PTRACE: &str = "0,1,3,4,5,6,7,8,10,13,18,19,27,29,31";
const ROOT: &str = "0";
const USER: &str = "1000";

/// Those that make a container are ignored where nobody may make one.
pub fn trials() -> Vec<Trial> {
    let can_be_made = can_be_made();
    let in_one = |name: &str, test: fn() -> Result<(), Failed>| {
        Trial::test(name, test).with_ignored_flag(!can_be_made)
    };
    vec![
        in_one("as_the_same_user", the_same_user_needs_no_capability),
        in_one("as_root", root_needs_the_capability_for_another_user),
        in_one("sidecar", a_container_beside_it_needs_the_capability),
        in_one("from_the_host", the_host_finds_the_leak),
        case_for_root("service", a_service_needs_two_capabilities),
    ]
}

/// Whether this machine lets us make namespaces and a root of layers.
fn can_be_made() -> bool {
    const LAYERS: &str = "cd \"$0\" && mkdir lower upper work root && \
                          mount -t overlay none -o lowerdir=lower,upperdir=upper,workdir=work root";
    let Ok(scratch) = tempfile::tempdir() else { return false };
    let mut command = Command::new("unshare");
    command.args(["--pid", "--fork", "--mount", "sh", "-c", LAYERS]).arg(scratch.path());
    command.output().is_ok_and(|output| output.status.success())
}

/// A running container, whose first process is a Python that keeps a session every few milliseconds.
struct Container {
    unshare: Child,
    /// The PID of that Python outside.
    pid: i32,
    capabilities: &'static str,
    _scratch: TempDir,
}

impl Container {
    fn start(user: &str, capabilities: &'static str) -> Result<Container, Failed> {
        let image = image();
        let lower = image.root.as_deref().expect("an interpreter with a root of its own");
        let scratch = tempfile::tempdir()?;
        fs::set_permissions(scratch.path(), fs::Permissions::from_mode(0o755))?;
        let upper = scratch.path().join("upper");
        fs::create_dir_all(&upper)?;
        fs::write(upper.join(".dockerenv"), "")?;
        place_program(&fs::read(env!("CARGO_BIN_EXE_leakspy"))?, &upper.join("leakspy"))?;
        let mut unshare = Command::new("unshare")
            .args(["--pid", "--fork", "--kill-child=KILL", "--mount"])
            .arg(&outside().executable)
            .arg(outside().fixture("container.py"))
            .arg("start")
            .args([lower, scratch.path()])
            .args([user, capabilities])
            .arg(&image.executable)
            .arg(image.fixture("leaks.py"))
            .arg("dict")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut answers = BufReader::new(unshare.stdout.take().expect("stdout is piped"));
        wait_until_readable(answers.get_ref(), "the container");
        let mut line = String::new();
        answers.read_line(&mut line)?;
        assert_eq!(line, "READY\n");
        let children = format!("/proc/{0}/task/{0}/children", unshare.id());
        let pid = fs::read_to_string(children)?.trim().parse()?;
        Ok(Container { unshare, pid, capabilities, _scratch: scratch })
    }

    /// As `docker exec --user USER CONTAINER /leakspy …`.
    fn exec(&self, user: &str, arguments: &[&str]) -> Result<Output, Failed> {
        let image = image();
        let mut command = self.entered(&["--mount"]);
        command.arg(&image.executable).arg(image.fixture("container.py"));
        Ok(self.confined(command, user, Path::new("/leakspy"), arguments).output()?)
    }

    /// As `docker run --pid container:NAME leakspy …`, or `kubectl debug --target`: another root, the same processes.
    fn beside(&self, user: &str, arguments: &[&str]) -> Result<Output, Failed> {
        let mut command = self.entered(&[]);
        command.args(["unshare", "--mount-proc"]);
        command.arg(&outside().executable).arg(outside().fixture("container.py"));
        command.env("KUBERNETES_SERVICE_HOST", "10.0.0.1");
        let program = Path::new(env!("CARGO_BIN_EXE_leakspy"));
        Ok(self.confined(command, user, program, arguments).output()?)
    }

    fn entered(&self, namespaces: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.pid.to_string(), "--pid"]).args(namespaces);
        command
    }

    /// Without perf events, which the filters of container runtimes refuse.
    fn confined(
        &self,
        mut command: Command,
        user: &str,
        program: &Path,
        words: &[&str],
    ) -> Command {
        command.args(["enter", user, self.capabilities]).arg(program).args(words);
        let call = libc::SYS_perf_event_open;
        refuse(&mut command, &[Refusal { call, request: None, error: libc::EPERM }]);
        command
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let _ = self.unshare.kill();
        let _ = self.unshare.wait();
    }
}

/// An interpreter with a root that is not ours.
fn image() -> &'static Interpreter {
    interpreters().iter().find(|it| it.root.is_some()).expect("fixtures/fetch fetches one")
}

fn outside() -> &'static Interpreter {
    interpreters().iter().find(|it| it.root.is_none()).expect("an interpreter of this machine")
}

const HEAP: &[&str] = &["heap", "--pid", "1"];
const HUNT: &[&str] = &["hunt", "--pid", "1", "--duration", "6"];

#[track_caller]
fn assert_answers(output: &Output, text: &str) {
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains(text), "{output:?}");
}

/// That it was refused as `docs/containers.md` shows.
#[track_caller]
fn assert_refused_as_documented(output: &Output) {
    let page = include_str!("../../docs/containers.md");
    let shown: Vec<&str> = page.split_whitespace().collect();
    let said = String::from_utf8_lossy(&output.stderr);
    let said: Vec<&str> = said.split_whitespace().collect();
    let found = shown.windows(said.len().max(1)).any(|words| words == said);
    assert!(output.status.code() == Some(1) && found, "not in docs/containers.md: {output:?}");
}

fn the_same_user_needs_no_capability() -> Result<(), Failed> {
    let container = Container::start(USER, BY_DEFAULT)?;
    assert_answers(&container.exec(USER, HUNT)?, "Session objects pile up");
    Ok(())
}

fn root_needs_the_capability_for_another_user() -> Result<(), Failed> {
    assert_refused_as_documented(&Container::start(USER, BY_DEFAULT)?.exec(ROOT, HEAP)?);
    let container = Container::start(USER, WITH_PTRACE)?;
    assert_answers(&container.exec(ROOT, HUNT)?, "Session objects pile up");
    Ok(())
}

fn a_container_beside_it_needs_the_capability() -> Result<(), Failed> {
    assert_refused_as_documented(&Container::start(USER, BY_DEFAULT)?.beside(ROOT, HEAP)?);
    let container = Container::start(USER, WITH_PTRACE)?;
    assert_answers(&container.beside(ROOT, HUNT)?, "Session objects pile up");
    Ok(())
}

fn the_host_finds_the_leak() -> Result<(), Failed> {
    let container = Container::start(USER, BY_DEFAULT)?;
    let pid = container.pid.to_string();
    let output = leakspy_command().args(["hunt", "--pid", &pid, "--duration", "6"]).output()?;
    assert_answers(&output, "Session objects pile up");
    Ok(())
}

/// The unit of the page: a user of its own with ambient capabilities.
fn a_service_needs_two_capabilities() -> Result<(), Failed> {
    let page = include_str!("../../docs/containers.md");
    let granted = page.lines().find_map(|line| line.trim().strip_prefix("AmbientCapabilities="));
    let granted = granted.expect("the unit").to_lowercase().replace("cap_", "+").replace(' ', ",");
    let target = Target::start(outside(), "stacks", &[]);
    let folder = tempfile::tempdir()?;
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777))?;
    let program = folder.path().join("leakspy");
    place_program(&fs::read(env!("CARGO_BIN_EXE_leakspy"))?, &program)?;
    let kept = folder.path().join("last.leakspy");
    let watch = |granted: &str| {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
        if !granted.is_empty() {
            command.args([format!("--inh-caps={granted}"), format!("--ambient-caps={granted}")]);
        }
        command.arg(&program).args(["watch", "--pid", &target.pid().to_string()]);
        command.args(["--rss-above", "1MiB", "--snapshot"]).arg(&kept).output()
    };
    let output = watch("")?;
    assert!(!kept.exists(), "{output:?}");
    let output = watch(&granted)?;
    assert!(kept.is_file(), "{output:?}");
    Ok(())
}
