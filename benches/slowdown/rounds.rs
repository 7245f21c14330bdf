//! The busy target, and the rounds in which tools are on and off in turn.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::thread::sleep;
use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use nix::time::ClockId;
use nix::unistd::Pid;
use tempfile::TempDir;

use super::tool::{Account, Tool};
use crate::support::{Interpreter, Target};

/// `busy.py`, with its counters readable from here.
pub struct Busy {
    target: Target,
    counters: File,
    scratch: TempDir,
}

/// Work per time.
#[derive(Clone, Copy)]
pub struct Speed {
    /// Per second.
    pub by_clock: f64,
    /// Per second of processor time that the target got: blind to its pauses, but hardly affected by other
    /// load on the machine.
    pub by_cpu: f64,
}

/// The measurements of one tool.
pub struct Series {
    /// The tool.
    pub tool: Tool,
    /// Speed with the tool on, relative to that with it off, pair by pair.
    pub ratios: Vec<Speed>,
    accounts: Vec<Account>,
}

impl Busy {
    /// Starts the target.
    pub fn start(python: &Interpreter, idle_threads: usize, objects: u64, leaks: bool) -> Busy {
        let scratch = python.scratch();
        let path = scratch.path().join("counters");
        let inside = python.inside(&path);
        let idle = idle_threads.to_string();
        let objects = objects.to_string();
        let inside = inside.to_string_lossy();
        let mut arguments = vec![&*inside, "--idle-threads", &idle, "--objects", &objects];
        arguments.extend(leaks.then_some("--leaks"));
        let target = Target::start(python, "busy", &arguments);
        let counters = File::open(path).expect("the target has made its file");
        Busy { target, counters, scratch }
    }

    /// The work done so far.
    fn work(&self) -> u64 {
        let mut counters = [[0; 8]; 4];
        let bytes = counters.as_flattened_mut();
        self.counters.read_exact_at(bytes, 0).expect("the counters are readable");
        counters.iter().map(|&counter| u64::from_ne_bytes(counter)).sum()
    }

    /// The processor time that the target has used so far.
    fn cpu(&self) -> Duration {
        let clock = ClockId::pid_cpu_clock_id(Pid::from_raw(self.target.pid()));
        clock.and_then(ClockId::now).expect("a live process has a processor clock").into()
    }

    /// Work per time during a window.
    fn speed(&self, window: Duration) -> Speed {
        let (start, cpu, before) = (Instant::now(), self.cpu(), self.work());
        sleep(window);
        let work = (self.work() - before) as f64;
        let cpu = self.cpu() - cpu;
        Speed { by_clock: work / start.elapsed().as_secs_f64(), by_cpu: work / cpu.as_secs_f64() }
    }

    /// Speed with the tool on, and the tool's account.
    fn speed_under(
        &mut self,
        tool: Tool,
        window: Duration,
    ) -> Result<(Speed, Option<Account>), String> {
        if let Some(switch) = tool.switch() {
            self.target.ask(&format!("{switch} on"));
            let speed = self.speed(window);
            self.target.ask(&format!("{switch} off"));
            return Ok((speed, None));
        }
        let output = self.scratch.path().join("output");
        let attached = tool.attach(self.target.pid(), &output, window)?;
        let speed = self.speed(window);
        Ok((speed, attached.detach()?))
    }
}

impl Series {
    /// The share of the time for which the target stood still, by the tool's own account.
    pub fn share_of_time_still(&self) -> Option<f64> {
        let still: f64 = self.accounts.iter().map(|account| account.still_s).sum();
        let whole: f64 = self.accounts.iter().map(|account| account.duration_s).sum();
        (whole > 0.0).then(|| still / whole)
    }

    /// The mean of the pauses' means, in seconds, by the tool's own account.
    pub fn mean_pause_s(&self) -> Option<f64> {
        let sum: f64 = self.accounts.iter().map(|account| account.mean_pause_s).sum();
        (!self.accounts.is_empty()).then(|| sum / self.accounts.len() as f64)
    }
}

/// Tries a tool on a target of its own: whether it works here, and leaves the target alive. The error is a
/// sentence that says why the tool is left out.
pub fn rehearse(tool: Tool, python: &Interpreter) -> Result<Tool, String> {
    let mut busy = Busy::start(python, 0, 0, false);
    busy.speed_under(tool, Duration::from_millis(500))?;
    let work = busy.work();
    sleep(Duration::from_millis(500));
    if busy.target.health().is_good() && busy.work() > work {
        Ok(tool)
    } else {
        Err(format!("{tool} is left out: it stopped the target for good"))
    }
}

/// All pairs of all tools, on the same target.
pub fn run(
    busy: &mut Busy,
    tools: &[Tool],
    pairs: usize,
    window: Duration,
) -> Result<Vec<Series>, String> {
    let mut random = fastrand::Rng::with_seed(1);
    let mut series: Vec<_> = tools
        .iter()
        .map(|&tool| Series { tool, ratios: Vec::new(), accounts: Vec::new() })
        .collect();
    let progress = ProgressBar::new(pairs as u64);
    for _ in 0..pairs {
        let mut order: Vec<_> = (0..series.len()).collect();
        random.shuffle(&mut order);
        for index in order {
            let one = &mut series[index];
            let off_first = random.bool().then(|| busy.speed(window));
            let (on, account) = busy.speed_under(one.tool, window)?;
            let off = off_first.unwrap_or_else(|| busy.speed(window));
            one.ratios.push(Speed {
                by_clock: on.by_clock / off.by_clock,
                by_cpu: on.by_cpu / off.by_cpu,
            });
            one.accounts.extend(account);
        }
        progress.inc(1);
    }
    progress.finish_and_clear();
    Ok(series)
}
