//! leakspy's figures beside psutil's, at the same moment and to the byte, and its files beside those of
//! memory_profiler: each reads the other's files.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use libtest_mimic::{Failed, Trial};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Map, Value};

use crate::support::{
    Interpreter, Target, case_with, interpreters, leakspy, leakspy_command, wait_until,
};

/// How often figures are compared until no process that shares pages has come or gone meanwhile.
const TRIES: usize = 15;
const MIB: f64 = 1048576.0;

pub fn trials() -> Vec<Trial> {
    let trials: Vec<Trial> = vec![
        case_with("psutil", "psutil_figures", figures_are_those_of_psutil),
        case_with("psutil", "mprof_run", a_file_of_mprof_run_comes_to_the_same),
        case_with("psutil", "mprof_reads", a_file_for_mprof_is_read_by_it),
    ];
    trials
}

/// A line of the table.
type Line = csv::StringRecord;

/// The lines of the last moment in a file at which shares were read, and that moment: the sum over all
/// processes first. The lines have the figures under psutil's names.
fn last_shares(file: &Path) -> Option<(String, Vec<(i64, Value)>)> {
    let text = fs::read_to_string(file).ok()?;
    let whole = text.get(..text.rfind('\n')?)?;
    let mut reader = csv::Reader::from_reader(whole.as_bytes());
    let names = reader.headers().ok()?.clone();
    let place = |name: &str| names.iter().position(|found| found == name);
    let (time, pid, pss) = (place("time_s")?, place("pid")?, place("pss_bytes")?);
    let lines: Vec<Line> = reader.records().map_while(Result::ok).collect();
    let last = lines.iter().rfind(|line| line.get(pss).is_some_and(|pss| !pss.is_empty()))?;
    let moment = last.get(time)?.to_string();
    let figures = |line: &Line| {
        let mut figures = Map::new();
        for name in ["rss_bytes", "pss_bytes", "uss_bytes", "swap_bytes", "threads"] {
            let number: u64 = line.get(place(name)?)?.parse().ok()?;
            figures.insert(name.to_string(), number.into());
        }
        Some((line.get(pid)?.parse().ok()?, Value::Object(figures)))
    };
    let of_moment = lines.iter().filter(|line| line.get(time) == Some(&*moment));
    let figures = of_moment.map(figures).collect::<Option<Vec<_>>>()?;
    Some((moment, figures))
}

fn figures_are_those_of_psutil(interpreter: &Interpreter) -> Result<(), Failed> {
    let some = interpreters().last().expect("an interpreter");
    let mut target = Target::start(some, "memory_over_time", &[]);
    let mut pids = vec![i64::from(target.pid())];
    for pages in ["300", "2000"] {
        pids.push(target.ask(&format!("child {pages}")).as_i64().expect("a PID"));
    }
    for &pid in &pids {
        kill(Pid::from_raw(pid as i32), Signal::SIGSTOP)?;
    }
    wait_until("it is stopped", || target.health().is_stopped());

    let mut psutil = Target::start(interpreter, "psutil_says", &[]);
    let family = psutil.ask(&format!("family {}", pids[0]));
    let mut sorted = pids.clone();
    sorted[1..].sort_unstable();
    assert_eq!(family, serde_json::json!(sorted));
    let question = pids.iter().fold("memory".to_string(), |words, pid| format!("{words} {pid}"));

    let folder = tempfile::tempdir()?;
    let file = folder.path().join("run.csv");
    let mut leakspy = leakspy_command()
        .args(["timeline", "-s", "-i", "0.02", "--shares", "0.02", "-p", &pids[0].to_string()])
        .arg("-o")
        .arg(&file)
        .stderr(Stdio::null())
        .spawn()?;
    let mut seen = Vec::new();
    let mut is_same = false;
    for _ in 0..TRIES {
        let before = psutil.ask(&question);
        let last = last_shares(&file).map(|(moment, _)| moment);
        let is_new = || last_shares(&file).is_some_and(|(moment, _)| Some(moment) != last);
        wait_until("shares are looked at", is_new);
        let (_, figures) = last_shares(&file).expect("they have been");
        if psutil.ask(&question) != before {
            continue;
        }
        let sum = |name: &str| {
            let of_each = before.as_array().into_iter().flatten();
            of_each.filter_map(|figures| figures[name].as_u64()).sum::<u64>()
        };
        let [(0, all), rest @ ..] = &*figures else { panic!("{figures:?}") };
        assert_eq!(rest.iter().map(|(pid, _)| *pid).collect::<Vec<_>>(), pids);
        let ours: Value = rest.iter().map(|(_, figures)| figures.clone()).collect();
        // A process's unique memory does not change with other processes.
        for (ours, theirs) in ours.as_array().into_iter().flatten().zip(before.as_array().unwrap())
        {
            for name in ["rss_bytes", "swap_bytes", "threads"] {
                assert_eq!(ours[name], theirs[name], "{name}");
            }
        }
        is_same = ours == before
            && all.as_object().is_some_and(|all| {
                all.iter().all(|(name, number)| number.as_u64() == Some(sum(name)))
            });
        if is_same {
            break;
        }
        seen.push((ours, before));
    }
    kill(Pid::from_raw(leakspy.id() as i32), Signal::SIGINT)?;
    assert!(leakspy.wait()?.success());
    assert!(is_same, "never the same: {seen:#?}");
    for &pid in &pids {
        kill(Pid::from_raw(pid as i32), Signal::SIGCONT)?;
    }
    target.assert_healthy();
    Ok(())
}

/// The output of `leakspy peak` for a file.
fn peak(file: &Path) -> Result<String, Failed> {
    let output = leakspy_command().arg("peak").arg(file).output()?;
    assert!(output.status.success(), "{output:?}");
    Ok(String::from_utf8(output.stdout)?)
}

/// Numbers of an array.
fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().into_iter().flatten().filter_map(Value::as_f64).collect()
}

/// The maximum of some numbers, as leakspy writes it.
fn most(numbers: &[f64]) -> String {
    let most = numbers.iter().copied().fold(0.0, f64::max);
    format!("peak {most:.1} MiB after")
}

fn a_file_of_mprof_run_comes_to_the_same(interpreter: &Interpreter) -> Result<(), Failed> {
    const PROGRAM: &str = "\
import subprocess, sys, time
child = subprocess.Popen([sys.executable, '-c', 'import time; y = b\"y\" * (7 << 20); time.sleep(1)'])
x = bytearray(b'x') * (30 << 20); time.sleep(0.5)
del x; child.wait(); time.sleep(0.1)";
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("mprofile.dat");
    let path = file.to_str().expect("UTF-8");
    let program = folder.path().join("work.py");
    fs::write(&program, PROGRAM)?;
    let output = interpreter
        .command()
        .args(["-m", "mprof", "run", "--interval", "0.05", "--multiprocess", "--output", path])
        .args(interpreter.argv())
        .arg(&program)
        .output()?;
    assert!(output.status.success(), "{output:?}");

    let mut mprof = Target::start(interpreter, "psutil_says", &[]);
    let content = mprof.ask(&format!("read {path}"));
    let said = peak(&file)?;
    let main = said.lines().find(|line| line.contains("work.py: ")).ok_or(said.clone())?;
    let memory = numbers(&content["memory"]);
    assert!(memory.len() > 10 && memory.iter().any(|&mib| mib > 30.0), "{content}");
    assert!(main.contains(&most(&memory)), "{main} of {content}");
    let last = memory.last().copied().unwrap_or_default();
    assert!(main.contains(&format!("last {last:.1} MiB")), "{main}");
    let children = content["children"].as_object().expect("an object");
    let [(number, memory)] = &*children.iter().collect::<Vec<_>>() else { panic!("{content}") };
    let child = said.lines().find(|line| line.contains(&format!("child {number}: ")));
    assert!(child.is_some_and(|line| line.contains(&most(&numbers(memory)))), "{said}");

    // mprof's own peak.
    let output = interpreter.command().args(["-m", "mprof", "peak", path]).output()?;
    let theirs = String::from_utf8(output.stdout)?;
    let theirs = theirs.split_whitespace().find_map(|word| word.parse::<f64>().ok());
    let theirs = theirs.ok_or("no peak")?;
    assert!(main.contains(&format!("peak {theirs:.1} MiB")), "{theirs}: {main}");

    let svg = folder.path().join("chart.svg");
    let output = leakspy(["plot", path, "-o", svg.to_str().expect("UTF-8")]);
    assert!(output.status.success(), "{output:?}");
    let svg = fs::read_to_string(svg)?;
    assert!(svg.contains(&format!("peak {theirs:.1} MiB")), "{svg}");
    Ok(())
}

fn a_file_for_mprof_is_read_by_it(interpreter: &Interpreter) -> Result<(), Failed> {
    let mut target = Target::start(interpreter, "memory_over_time", &[]);
    let child = target.ask("child 2000").to_string();
    target.ask("leap 3000");
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("run.dat");
    let path = file.to_str().expect("UTF-8");
    let pid = target.pid().to_string();
    let output = leakspy([
        "timeline", "-s", "-p", &pid, "-d", "0.5", "-i", "0.05", "--format", "mprof", "-o", path,
    ]);
    assert!(output.status.success(), "{output:?}");
    let content = Target::start(interpreter, "psutil_says", &[]).ask(&format!("read {path}"));
    let memory = numbers(&content["memory"]);
    let times = numbers(&content["times"]);
    assert_eq!(memory.len(), times.len());
    assert!(times.len() > 5 && times.is_sorted(), "{content}");
    assert!(memory.iter().all(|&mib| mib > 3000.0 * 4096.0 / MIB), "{content}");
    assert!(content["command"].as_str().is_some_and(|words| words.contains("memory_over_time")));
    let children = content["children"].as_object().expect("an object");
    assert_eq!(children.keys().collect::<Vec<_>>(), [&child]);
    let of_child = numbers(&children[&child]);
    assert_eq!(of_child.len(), memory.len());
    let pages = 2000.0 * 4096.0 / MIB;
    assert!(of_child.iter().all(|mib| (pages..pages + 100.0).contains(mib)), "{content}");
    assert!(peak(&file)?.contains(&most(&memory)));
    Ok(())
}
