//! The tools that are attached and detached: their commands, how to tell that they are attached, and how they
//! end.

use std::env;
use std::fmt;
use std::fs::{self, File};
use std::io::{PipeReader, Read};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::common::peer;
use crate::support::leakspy_command;

/// A tool that can be attached to the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Tool {
    /// The control: no tool at all.
    Nothing,
    /// `leakspy record`, 100 samples a second.
    Leakspy,
    /// `leakspy heap` every ten seconds, for windows of ten seconds: each window has one.
    Heap,
    /// `leakspy hunt` for twenty seconds, for windows of twenty seconds and a target that leaks.
    Hunt,
    /// `leakspy timeline`, 10 samples a second.
    Timeline,
    /// memory_profiler's `mprof attach`, 10 samples a second.
    Mprof,
    /// `py-spy record`, 100 samples a second.
    PySpy,
    /// `memray attach`, which sees only allocations that reach the C library.
    Memray,
    /// `memray attach --trace-python-allocators`, which sees every object.
    MemrayObjects,
    /// `tracemalloc.start()`, which the target calls itself: it cannot be called from outside.
    Tracemalloc,
}

/// A tool's own account of the time that it took from the target.
#[derive(Debug, Clone, Copy)]
pub struct Account {
    /// How long it observed, in seconds.
    pub duration_s: f64,
    /// How long the target stood still meanwhile, in seconds.
    pub still_s: f64,
    /// The mean of the pauses, in seconds.
    pub mean_pause_s: f64,
}

/// How long to wait for a tool to end.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long to wait for a tool's first output; one that prints nothing is attached by then.
const FIRST_WORD: Duration = Duration::from_secs(2);
/// Between a tool's first output and the window.
const SETTLE: Duration = Duration::from_millis(200);
/// memray ends by itself this long after the window.
const MEMRAY_STAYS: Duration = Duration::from_secs(3);

impl Tool {
    /// The tools that work with windows of any length, in the order of the table.
    pub const USUAL: [Tool; 5] =
        [Tool::Nothing, Tool::Leakspy, Tool::PySpy, Tool::Memray, Tool::MemrayObjects];

    /// The tool's title in the table.
    pub fn title(self) -> &'static str {
        match self {
            Tool::Nothing => "nothing",
            Tool::Leakspy => "leakspy record -r 100",
            Tool::Heap => "leakspy heap",
            Tool::Hunt => "leakspy hunt -d 20",
            Tool::Timeline => "leakspy timeline -i 0.1",
            Tool::Mprof => "mprof attach -T 0.1",
            Tool::PySpy => "py-spy record -r 100",
            Tool::Memray => "memray attach",
            Tool::MemrayObjects => "memray attach, objects",
            Tool::Tracemalloc => "tracemalloc",
        }
    }

    /// Whether the tool puts code of its own into the target, some of which may stay.
    pub fn injects(self) -> bool {
        matches!(self, Tool::Memray | Tool::MemrayObjects)
    }

    /// The question by which the target turns the tool on and off, if it does that itself.
    pub fn switch(self) -> Option<&'static str> {
        (self == Tool::Tracemalloc).then_some("tracemalloc")
    }

    /// Attaches to a process; returns when the tool is attached, to stay for at least a window.
    pub fn attach(self, pid: i32, output: &Path, window: Duration) -> Result<Attached, String> {
        let stays = Duration::from_secs(window.as_secs_f64().ceil() as u64) + MEMRAY_STAYS;
        let command = self.command(pid, output, stays)?;
        // The output of an earlier run must not be taken for this one's.
        let _ = fs::remove_file(output);
        let child = command.map(|command| self.start(command)).transpose()?;
        let ends = Instant::now() + stays;
        Ok(Attached { tool: self, child, output: output.to_path_buf(), ends })
    }

    fn command(self, pid: i32, output: &Path, stays: Duration) -> Result<Option<Command>, String> {
        let installed = |name: &str| {
            let missing = format!("{name} is left out: benches/install-peers has not been run");
            peer(name).map(Command::new).ok_or(missing)
        };
        let pid = pid.to_string();
        let mut command = match self {
            Tool::Nothing | Tool::Tracemalloc => return Ok(None),
            Tool::Leakspy | Tool::Hunt | Tool::Timeline => leakspy_command(),
            Tool::Mprof => installed("mprof")?,
            Tool::Heap => Command::new("sh"),
            Tool::PySpy => installed("py-spy")?,
            Tool::Memray | Tool::MemrayObjects => installed("memray")?,
        };
        match self {
            Tool::Nothing | Tool::Tracemalloc => {}
            Tool::Leakspy => {
                command.args([
                    "record", "--view", "alloc", "--pid", &pid, "-r", "100", "-f", "json", "-o",
                ]);
            }
            Tool::Hunt => {
                command.args(["hunt", "--duration", "20", "--pid", &pid, "-o"]);
            }
            Tool::Heap => {
                // Printed before the window begins, carried out a second later.
                const AGAIN_AND_AGAIN: &str = "\
                    trap 'kill $! 2>/dev/null; exit 0' INT
                    while echo once; do
                        sleep 1 & wait $!
                        \"$0\" heap --pid \"$1\" --json >\"$2\" & wait $!
                        sleep 9 & wait $!
                    done";
                let program = leakspy_command().get_program().to_os_string();
                command.args(["-c", AGAIN_AND_AGAIN]).arg(program).arg(&pid);
            }
            Tool::Timeline => {
                command.args(["timeline", "--interval", "0.1", "--pid", &pid, "-o"]);
            }
            Tool::Mprof => {
                // The PID must be its last argument.
                command.args(["attach", "--interval", "0.1", "-o"]).arg(output).arg(&pid);
                return Ok(Some(command));
            }
            Tool::PySpy => {
                let long = "1000000";
                command.args(["record", "--pid", &pid, "-r", "100", "-d", long, "-f", "raw", "-o"]);
            }
            Tool::Memray | Tool::MemrayObjects => {
                let seconds = stays.as_secs().to_string();
                command.args(["attach", &pid, "--force", "--duration", &seconds]);
                if self == Tool::MemrayObjects {
                    command.arg("--trace-python-allocators");
                }
                if is_installed("lldb") {
                    // gdb 13 cannot write the registers of newer processors, and the target dies.
                    command.args(["--method", "lldb"]);
                }
                command.arg("-o");
            }
        }
        command.arg(output);
        Ok(Some(command))
    }

    /// Starts the command and waits until it is attached: memray's command then ends, the others print
    /// something and keep running.
    fn start(self, mut command: Command) -> Result<Child, String> {
        let (mut said, say) = std::io::pipe().map_err(|error| error.to_string())?;
        let also_say = say.try_clone().map_err(|error| error.to_string())?;
        command.stdin(Stdio::null()).stdout(say).stderr(also_say);
        let mut child = command.spawn().map_err(|error| format!("{self}: {error}"))?;
        // The command holds the pipe's other end; this process must not, or it would not see the end of the
        // output.
        drop(command);
        let ended = match self {
            Tool::Memray | Tool::MemrayObjects => {
                Some(child.wait().map_err(|error| error.to_string())?)
            }
            _ => {
                wait_for_a_word(&said);
                sleep(SETTLE);
                child.try_wait().map_err(|error| error.to_string())?
            }
        };
        match ended {
            Some(status) if !self.injects() || !status.success() => {
                let mut words = String::new();
                let _ = said.read_to_string(&mut words);
                let words = words.lines().next().unwrap_or("it said nothing");
                Err(format!("{self} is left out: it ended at once ({status}): {words}"))
            }
            _ => {
                // Later output must not fill the pipe.
                std::thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
                Ok(child)
            }
        }
    }
}

impl fmt::Display for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.to_possible_value().expect("no tool is hidden").get_name())
    }
}

/// A tool that is attached to the target.
pub struct Attached {
    tool: Tool,
    child: Option<Child>,
    output: PathBuf,
    ends: Instant,
}

impl Attached {
    /// Detaches, waits until the tool has ended, and returns its account if it keeps one.
    pub fn detach(mut self) -> Result<Option<Account>, String> {
        match (self.tool, &mut self.child) {
            (Tool::Nothing, _) | (_, None) => Ok(None),
            (tool, _) if tool.injects() => {
                sleep(self.ends.saturating_duration_since(Instant::now()) + SETTLE);
                Ok(None)
            }
            (tool, Some(child)) => {
                let interrupted = kill(Pid::from_raw(child.id() as i32), Signal::SIGINT);
                interrupted.map_err(|error| format!("{tool}: {error}"))?;
                wait_for_end(child).map_err(|error| format!("{tool}: {error}"))?;
                Ok(if tool == Tool::Leakspy { account(&self.output) } else { None })
            }
        }
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // It has ended unless something went wrong before.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn is_installed(program: &str) -> bool {
    env::var_os("PATH")
        .is_some_and(|path| env::split_paths(&path).any(|folder| folder.join(program).is_file()))
}

fn wait_for_a_word(said: &PipeReader) {
    let timeout = PollTimeout::try_from(FIRST_WORD).unwrap_or(PollTimeout::MAX);
    // Silence is not an error: the window then begins after the timeout.
    let _ = poll(&mut [PollFd::new(said.as_fd(), PollFlags::POLLIN)], timeout);
}

fn wait_for_end(child: &mut Child) -> Result<(), String> {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        match child.try_wait() {
            Ok(Some(_)) => return Ok(()),
            Ok(None) => sleep(Duration::from_millis(2)),
            Err(error) => return Err(error.to_string()),
        }
    }
    Err(format!("did not end within {} s of an interrupt", PATIENCE.as_secs()))
}

/// Reads `duration_s` and `pause_s` of leakspy's JSON.
fn account(output: &Path) -> Option<Account> {
    let json: Value = serde_json::from_reader(File::open(output).ok()?).ok()?;
    Some(Account {
        duration_s: json["duration_s"].as_f64()?,
        still_s: json["pause_s"]["total"].as_f64()?,
        mean_pause_s: json["pause_s"]["mean"].as_f64()?,
    })
}
