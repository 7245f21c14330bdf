//! Third-party services under `leakspy hunt`: gunicorn and uvicorn with their workers under load, and Celery with one
//! process and with several.

use std::error::Error;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write, sink};
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use libtest_mimic::{Failed, Trial};
use nix::sys::prctl;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde_json::Value;

use crate::support::{
    Health, Interpreter, assert_documented, case_with, leakspy, wait_until_readable,
};

/// How long to hunt, in seconds.
const DURATION: &str = "10";
/// How long a client waits between two requests.
const REST: Duration = Duration::from_millis(15);

pub fn trials() -> Vec<Trial> {
    vec![
        case_with("services", "gunicorn", gunicorn),
        case_with("services", "uvicorn", uvicorn),
        case_with("services", "celery", celery),
        case_with("services", "celery_prefork", celery_prefork),
    ]
}

fn gunicorn(python: &Interpreter) -> Result<(), Failed> {
    let server = Server {
        module: "gunicorn",
        arguments: &["--workers", "2", "--bind", "127.0.0.1:0", "flask_service:app"],
        service: "flask_service",
        listens: "Listening at: http://",
        has_started: "Booting worker with pid: ",
    };
    workers_leak(python, &server)
}

fn uvicorn(python: &Interpreter) -> Result<(), Failed> {
    let server = Server {
        module: "uvicorn",
        arguments: &["--workers", "2", "--port", "0", "asgi_service:app"],
        service: "asgi_service",
        listens: "Uvicorn running on http://",
        has_started: "Started server process [",
    };
    workers_leak(python, &server)
}

/// A server that starts workers.
struct Server<'a> {
    /// It is run with `python -m`, and these arguments.
    module: &'a str,
    arguments: &'a [&'a str],
    /// The program that it serves.
    service: &'a str,
    /// What it says before the address at which it listens, and before the PID of each worker.
    listens: &'a str,
    has_started: &'a str,
}

/// Two workers, and a view that leaks: found in both workers, and nothing in their master.
fn workers_leak(python: &Interpreter, server: &Server<'_>) -> Result<(), Failed> {
    let home = python.scratch();
    let mut command = module(python, server.module, home.path());
    command.args(server.arguments);
    let mut master = Service::start(command);
    let listening = master.wait_until_said(server.listens);
    let address = listening.split("http://").nth(1).and_then(|rest| rest.split(' ').next());
    let address = address.ok_or("it says where it listens")?.to_owned();
    let workers = [(); 2].map(|()| {
        let line = master.wait_until_said(server.has_started);
        let rest = line.split(server.has_started).nth(1).unwrap_or_default();
        rest.trim_end_matches(']').parse::<i32>().expect("a PID")
    });
    master.drain();
    master.wait_until_listening(&address)?;
    // Each worker has answered before it is hunted.
    let mut silent = workers.to_vec();
    let mut number = 0;
    while !silent.is_empty() {
        number += 1;
        let answer = visit(&address, number)?;
        silent.retain(|worker| *worker != answer);
    }

    // The PID that a service manager knows is the master's.
    let document = under_load(&address, || hunt(master.pid(), &[]))?;
    assert_eq!(document["pid"], master.pid());
    assert_eq!(list(&document["findings"]), [] as [Value; 0], "{document:#}");
    let is_worker = |child: &&Value| workers.iter().any(|worker| child["pid"] == *worker);
    let (found, others): (Vec<&Value>, Vec<&Value>) =
        list(&document["subprocesses"]).iter().partition(is_worker);
    assert_eq!(found.len(), 2, "{document:#}");
    for child in found {
        assert_found(child, server.service, "VISITS", "Visit", "remember")?;
    }
    // multiprocessing starts a process of its own.
    assert!(others.iter().all(|other| list(&other["findings"]).is_empty()), "{document:#}");
    assert_found(&document["together"], server.service, "VISITS", "Visit", "remember")?;
    let leaking = list(&document["together"]["findings"][0]["processes"]);
    assert_eq!(leaking.len(), 2, "{document:#}");
    for pid in workers.into_iter().chain([master.pid()]) {
        assert!(Health::of(pid).is_good(), "{pid}");
    }
    visit(&address, 0)?;
    Ok(())
}

/// A worker that processes one job after the other, and keeps the results.
fn celery(python: &Interpreter) -> Result<(), Failed> {
    let document = hunt_celery(python, &["--pool", "solo"])?;
    assert_found(&document, "celery_service", "DONE", "Result", "work")
}

/// The same with two child processes that do the jobs.
fn celery_prefork(python: &Interpreter) -> Result<(), Failed> {
    let document = hunt_celery(python, &["--pool", "prefork", "--concurrency", "2"])?;
    assert_eq!(list(&document["findings"]), [] as [Value; 0], "{document:#}");
    assert_eq!(list(&document["subprocesses"]).len(), 2, "{document:#}");
    assert_found(&document["together"], "celery_service", "DONE", "Result", "work")?;
    let leaking = list(&document["together"]["findings"][0]["processes"]);
    assert_eq!(leaking.len(), 2, "{document:#}");
    Ok(())
}

/// Hunts a worker of Celery with this pool.
fn hunt_celery(python: &Interpreter, pool: &[&str]) -> Result<Value, Failed> {
    let home = python.scratch();
    for folder in ["waiting", "written", "done", "control"] {
        std::fs::create_dir(home.path().join(folder))?;
    }
    let mut command = module(python, "celery", home.path());
    command.args(["--app", "celery_service", "worker", "--loglevel", "INFO"]).args(pool);
    let mut worker = Service::start(command);
    worker.wait_until_said("ready.");
    let mut command = with_home(python, home.path());
    command.arg(python.fixture("celery_service.py"));
    let giver = Service::start(command);
    worker.wait_until_said("succeeded");
    worker.drain();

    let document = hunt(worker.pid(), &[])?;
    assert!(Health::of(worker.pid()).is_good(), "{:?}", Health::of(worker.pid()));
    drop(giver);
    Ok(document)
}

fn hunt(pid: i32, options: &[&str]) -> Result<Value, Failed> {
    let pid = pid.to_string();
    let arguments = ["hunt", "--pid", &pid, "--json", "--duration", DURATION];
    let output = leakspy(arguments.iter().chain(options));
    assert!(output.status.success(), "{output:?}");
    let document = serde_json::from_slice(&output.stdout)?;
    assert_documented("`leakspy hunt --json`", &document);
    Ok(document)
}

/// Asserts that a process leaks these objects in this way and in no other, fed by the marked line.
fn assert_found(
    verdict: &Value,
    module: &str,
    holder: &str,
    kind: &str,
    function: &str,
) -> Result<(), Failed> {
    // Celery itself remembers the last thousand jobs, and may still be filling that list: not a leak.
    let findings = list(&verdict["findings"]);
    assert_eq!(findings.len(), 1, "{verdict:#}");
    let finding = &findings[0];
    assert_eq!(finding["kind"], "container", "{verdict:#}");
    assert_eq!(finding["type"], format!("{module}.{kind}"), "{verdict:#}");
    assert_eq!(finding["holder"]["name"], format!("{module}.{holder}"), "{verdict:#}");
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("fixtures/{module}.py"));
    let source = std::fs::read_to_string(&file)?;
    let line = source.lines().position(|line| line.contains("# feeds ")).ok_or("no mark")? + 1;
    let feeder = &finding["feeders"][0];
    for frame in [&feeder["own_frame"], &feeder["stack"][0]] {
        assert_eq!(frame["function"], function, "{verdict:#}");
        assert_eq!(frame["line"], line, "{verdict:#}");
        assert_eq!(frame["file"].as_str(), file.to_str(), "{verdict:#}");
    }
    assert!(feeder["share"].as_f64() > Some(0.95), "{verdict:#}");
    Ok(())
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// Does something while two clients send requests to a service over and over.
fn under_load<T>(address: &str, work: impl FnOnce() -> Result<T, Failed>) -> Result<T, Failed> {
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let client = |first: u64| {
            let is_over = &is_over;
            move || {
                let mut numbers = (first..).step_by(2);
                while !is_over.load(Ordering::Relaxed) {
                    // A refused or broken connection shows in the findings.
                    let _ = visit(address, numbers.next().unwrap_or_default());
                    thread::sleep(REST);
                }
            }
        };
        for first in [1_000_000, 1_000_001] {
            scope.spawn(client(first));
        }
        let done = work();
        is_over.store(true, Ordering::Relaxed);
        done
    })
}

/// Sends one request; returns the PID of the process that answered.
fn visit(address: &str, number: u64) -> Result<i32, Box<dyn Error>> {
    let mut stream = TcpStream::connect(address)?;
    write!(stream, "GET /visit/{number} HTTP/1.0\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let body = answer.split("\r\n\r\n").nth(1).ok_or("there is no body")?;
    Ok(body.parse()?)
}

/// A module run as a program, in the folder of the fixtures.
fn module(python: &Interpreter, name: &str, home: &Path) -> Command {
    let mut command = with_home(python, home);
    command.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures"));
    command.args(["-m", name]);
    command
}

/// An interpreter that keeps its files in this folder.
fn with_home(python: &Interpreter, home: &Path) -> Command {
    let mut command = python.command();
    command.env("HOME", home).env("JOBS", home);
    command
}

/// A program of several processes, which end when this is dropped.
struct Service {
    child: Child,
    errors: Option<BufReader<ChildStderr>>,
    /// Some programs end when this is closed.
    _input: Option<ChildStdin>,
}

impl Service {
    fn start(mut command: Command) -> Service {
        command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        // SAFETY: between fork and exec only one system call is made, which is async-signal-safe.
        unsafe {
            command.pre_exec(|| Ok(prctl::set_pdeathsig(Signal::SIGKILL)?));
        }
        let mut child = command.spawn().expect("the interpreter starts");
        let (input, errors) = (child.stdin.take(), child.stderr.take().map(BufReader::new));
        Service { child, errors, _input: input }
    }

    fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    /// Waits for a line with these words, and returns it.
    fn wait_until_said(&mut self, words: &str) -> String {
        let errors = self.errors.as_mut().expect("it is listened to");
        let mut said = String::new();
        loop {
            if errors.buffer().is_empty() {
                wait_until_readable(errors.get_ref(), "the service");
            }
            let begun = said.len();
            errors.read_line(&mut said).expect("its words are UTF-8");
            let line = said.get(begun..).unwrap_or_default();
            assert!(!line.is_empty(), "it ended before it said {words}: {said}");
            if line.contains(words) {
                return line.trim_end().to_owned();
            }
        }
    }

    /// Waits until a connection is accepted: uvicorn's master binds the address, its workers listen there, and no
    /// word says that they do.
    fn wait_until_listening(&mut self, address: &str) -> Result<(), Failed> {
        while let Err(error) = TcpStream::connect(address) {
            let has_ended = self.child.try_wait()?.is_some();
            if has_ended || error.kind() != ErrorKind::ConnectionRefused {
                return Err(error.into());
            }
            thread::sleep(REST);
        }
        Ok(())
    }

    /// Reads and discards all later output, which must not fill the pipe.
    fn drain(&mut self) {
        if let Some(mut errors) = self.errors.take() {
            thread::spawn(move || std::io::copy(&mut errors, &mut sink()));
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may have ended by itself, which is just as good.
        let _ = killpg(Pid::from_raw(self.pid()), Signal::SIGKILL);
        let _ = self.child.wait();
    }
}
