//! The cost of observing memory for a long time: the processor time a second of `leakspy timeline` and
//! `leakspy watch`, and of memory_profiler's `mprof attach` beside them.
//!
//! A tool is attached, and a while later its processor time is read at both ends of some windows, from its
//! own clock (`clock_getcpuclockid`). The table shows the median of the windows as a share of one processor,
//! with the minimum and the maximum, and beside it the time that the tool needed to start.
//!
//!     cargo bench --bench overtime -- [--windows 5] [--window 5] [--python P]
//!
//! The bench `slowdown` measures how much the target slows down meanwhile.

// A benchmark panics where a result is unexpected, and prints its measurements.
#![allow(clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::unwrap_used)]

mod common;
#[path = "../tests/support/mod.rs"]
mod support;

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use clap::Parser;
use nix::sys::signal::{Signal, kill};
use nix::time::ClockId;
use nix::unistd::Pid;

use common::statistics::median;
use support::{Interpreter, Target, leakspy_command};

/// Measures what it costs to look at memory for a long time.
#[derive(Parser)]
struct Options {
    /// Windows for each row
    #[arg(long, default_value_t = 5)]
    windows: usize,
    /// Length of a window in seconds
    #[arg(long, default_value_t = 5.0)]
    window: f64,
    /// The Python that runs the targets
    #[arg(long)]
    python: Option<PathBuf>,
    /// Given by `cargo bench`, without meaning here
    #[arg(long, hide = true)]
    bench: bool,
}

/// Between a tool's start and the first window; by then it has found the interpreters of all processes.
const SETTLE: Duration = Duration::from_secs(3);
/// The processes of a tree.
const TREE: usize = 64;
/// The size of a large process, and of a small one, in MiB.
const LARGE: u64 = 2048;
const SMALL: u64 = 20;
/// Pages of a child.
const PAGES: u64 = 1000;

/// The observed processes.
#[derive(Clone, Copy)]
enum Whom {
    Small,
    Large,
    Tree,
}

impl fmt::Display for Whom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Whom::Small => write!(f, "a process"),
            Whom::Large => write!(f, "a process of {LARGE} MiB"),
            Whom::Tree => write!(f, "{TREE} processes"),
        }
    }
}

fn main() -> Result<(), String> {
    let options = Options::parse();
    let python = common::python(options.python.as_deref())?;
    println!(
        "{}, parts of one processor, medians of {} windows of {} s (least … most)\n",
        python.name, options.windows, options.window
    );
    println!("{:<42}{:<30}{:<28}{:>12}", "", "target", "CPU", "to begin");
    for whom in [Whom::Small, Whom::Large, Whom::Tree] {
        let target = start(&python, whom);
        let once = 1e3 * share_s(target.pid())?;
        println!("{:<42}{:<30}{once:.1} ms", "PSS and USS, asked for once", whom.to_string());
        let folder = python.scratch();
        for (title, command) in tools(whom, target.pid(), &folder.path().join("output")) {
            match command {
                Some(command) => measure(title, whom, command, &options)?,
                None => println!("{title:<42}left out: benches/install-peers has not been run"),
            }
        }
    }
    Ok(())
}

/// How long the kernel takes to report the proportional and the unique set of a process, in seconds.
fn share_s(pid: i32) -> Result<f64, String> {
    const TIMES: usize = 9;
    let mut times = Vec::new();
    for _ in 0..TIMES {
        let began = Instant::now();
        fs::read(format!("/proc/{pid}/smaps_rollup")).map_err(|error| error.to_string())?;
        times.push(began.elapsed().as_secs_f64());
    }
    Ok(median(&times))
}

fn start(python: &Interpreter, whom: Whom) -> Target {
    let mut target = Target::start(python, "memory_over_time", &[]);
    match whom {
        Whom::Small => target.ask(&format!("hold {SMALL}")),
        Whom::Large => target.ask(&format!("hold {LARGE}")),
        Whom::Tree => {
            for _ in 1..TREE {
                target.ask(&format!("child {PAGES}"));
            }
            target.ask("describe")
        }
    };
    target
}

/// The measured commands: titles, and commands where they are installed.
fn tools(whom: Whom, pid: i32, output: &Path) -> Vec<(&'static str, Option<Command>)> {
    let pid = pid.to_string();
    let ours = |words: &[&str]| {
        let mut command = leakspy_command();
        command.args(words).args(["--pid", &pid]);
        command
    };
    let timeline = |words: &[&str]| {
        let mut command = ours(&["timeline", "--interval", "0.1"]);
        command.args(words).arg("--output").arg(output);
        command
    };
    let watch = |words: &[&str]| {
        let mut command = ours(&["watch", "--rss-above", "1TiB"]);
        command.args(words);
        command
    };
    let mprof = |words: &[&str]| {
        let mut command = Command::new(common::peer("mprof")?);
        command.args(["attach", "--interval", "0.1", "-o"]).arg(output).args(words).arg(&pid);
        Some(command)
    };
    match whom {
        Whom::Small => vec![
            ("leakspy timeline -i 0.1", Some(timeline(&[]))),
            ("mprof attach -T 0.1", mprof(&[])),
            ("leakspy watch --rss-above", Some(watch(&[]))),
        ],
        Whom::Large => vec![
            ("leakspy timeline -i 0.1", Some(timeline(&[]))),
            ("mprof attach -T 0.1", mprof(&[])),
            ("leakspy watch --rss-above", Some(watch(&[]))),
        ],
        Whom::Tree => vec![
            ("leakspy timeline -i 0.1 --subprocesses", Some(timeline(&["--subprocesses"]))),
            ("mprof attach -T 0.1 --multiprocess", mprof(&["--multiprocess"])),
            ("leakspy watch --rss-above --subprocesses", Some(watch(&["--subprocesses"]))),
        ],
    }
}

/// Measures and prints one row.
fn measure(title: &str, whom: Whom, command: Command, options: &Options) -> Result<(), String> {
    let tool = Running::start(command).map_err(|error| format!("{title}: {error}"))?;
    sleep(SETTLE);
    let begun = tool.cpu()?;
    let mut parts = Vec::new();
    for _ in 0..options.windows {
        let (start, before) = (Instant::now(), tool.cpu()?);
        sleep(Duration::from_secs_f64(options.window));
        let had = tool.cpu()?.saturating_sub(before);
        parts.push(had.as_secs_f64() / start.elapsed().as_secs_f64());
    }
    let percent = |part: f64| format!("{:.2}", 100.0 * part);
    let cpu = format!(
        "{} % ({} … {})",
        percent(median(&parts)),
        percent(parts.iter().copied().fold(f64::INFINITY, f64::min)),
        percent(parts.iter().copied().fold(0.0, f64::max)),
    );
    let target = whom.to_string();
    let begin = format!("{:.0} ms", 1e3 * begun.as_secs_f64());
    println!("{title:<42}{target:<30}{cpu:<28}{begin:>12}");
    Ok(())
}

/// A tool that runs until this is dropped.
struct Running(Child);

impl Running {
    fn start(mut command: Command) -> std::io::Result<Running> {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().map(Running)
    }

    /// The processor time that it has used so far; an error if it has ended.
    fn cpu(&self) -> Result<Duration, String> {
        let clock = ClockId::pid_cpu_clock_id(Pid::from_raw(self.0.id() as i32));
        let time = clock.and_then(ClockId::now).map_err(|_| "the tool has ended".to_string())?;
        Ok(time.into())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended only if something went wrong, which has been reported.
        let _ = kill(Pid::from_raw(self.0.id() as i32), Signal::SIGINT);
        let _ = self.0.wait();
    }
}
