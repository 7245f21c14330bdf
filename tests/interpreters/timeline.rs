//! `leakspy timeline`, `plot` and `peak` as a user runs them: the figures are the kernel's and the
//! interpreter's own, children are included, and slopes match the fixture's arithmetic.

use std::collections::BTreeMap;
#[cfg(feature = "png")]
use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use libtest_mimic::{Failed, Trial};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::support::{
    Interpreter, Target, assert_documented, case_for_root, cases, interpreters, leakspy,
    leakspy_command, wait_until,
};

type Test = fn(&'static Interpreter) -> Result<(), Failed>;
/// The columns of a line, by their names.
type Row = BTreeMap<String, String>;

const MIB: f64 = 1048576.0;

pub fn trials() -> Vec<Trial> {
    let mut trials = cases("timeline_figures", figures_are_the_kernels_and_the_interpreters);
    let some = interpreters().last().expect("an interpreter");
    let tests: [(&str, Test); 9] = [
        ("timeline_grows", what_grows_has_its_slope),
        ("timeline_flat", what_stays_is_flat),
        ("timeline_saw", what_comes_and_goes_does_not_grow),
        ("timeline_children", children_that_live_for_a_moment_are_seen),
        ("timeline_sum", the_sum_is_that_of_all),
        ("timeline_killed", a_killed_leakspy_has_written_what_it_saw),
        ("timeline_stacks", what_runs_at_a_jump_is_noted),
        ("timeline_mprof", a_file_for_mprof_is_one),
        ("timeline_command", a_command_has_its_status_and_its_file),
    ];
    for (name, test) in tests {
        trials.push(Trial::test(format!("{name}::{}", some.name), move || test(some)));
    }
    trials.push(case_for_root("timeline_pid_again", || a_pid_that_is_used_again_is_another(some)));
    trials.push(Trial::test("plot_of_mprof", a_file_of_memory_profiler_is_read));
    trials.push(Trial::test("plot_errors", what_is_no_timeline_is_refused));
    trials.push(Trial::test("plot_png", a_chart_is_a_png_if_its_name_says_so));
    trials
}

/// Starts `leakspy timeline` and waits for its first sample.
fn begin(pid: i32, file: &Path, options: &[&str]) -> Child {
    let mut child = leakspy_command()
        .args(["timeline", "--pid", &pid.to_string(), "-o"])
        .arg(file)
        .args(options)
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the built leakspy starts");
    let mut said = String::new();
    let errors = child.stderr.as_mut().expect("stderr is piped");
    BufReader::new(errors).read_line(&mut said).expect("UTF-8");
    assert!(said.starts_with("Recording;"), "{said}");
    child
}

/// Ends it as Ctrl-C does.
fn end(mut child: Child) {
    kill(Pid::from_raw(child.id() as i32), Signal::SIGINT).expect("it is not waited for yet");
    assert!(child.wait().expect("a child can be waited for").success());
}

fn rows(text: &str) -> Vec<Row> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let names = reader.headers().expect("a heading").clone();
    let named = |record: csv::StringRecord| {
        names.iter().map(str::to_string).zip(record.iter().map(str::to_string)).collect()
    };
    reader.records().map(|record| named(record.expect("a line"))).collect()
}

fn number(row: &Row, column: &str) -> u64 {
    row[column].parse().unwrap_or_else(|_| panic!("{column} is no number: {row:?}"))
}

/// A figure of a file in `/proc/PID`, in bytes.
fn proc_bytes(pid: i32, file: &str, names: &[&str]) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/{file}")).expect("the process is there");
    let of_line = |line: &str| {
        let (name, rest) = line.split_once(':')?;
        let kib: u64 = rest.trim().strip_suffix(" kB")?.trim().parse().ok()?;
        names.contains(&name).then_some(kib * 1024)
    };
    text.lines().filter_map(of_line).sum()
}

fn figures_are_the_kernels_and_the_interpreters(
    interpreter: &'static Interpreter,
) -> Result<(), Failed> {
    let mut target = Target::start(interpreter, "memory_over_time", &[]);
    target.ask("child 300");
    let counters = target.ask("counters");
    let pid = target.pid();
    kill(Pid::from_raw(pid), Signal::SIGSTOP)?;
    wait_until("it is stopped", || target.health().is_stopped());
    let private = ["Private_Clean", "Private_Dirty", "Private_Hugetlb"];
    let shares = || [&["Pss"][..], &private].map(|names| proc_bytes(pid, "smaps_rollup", names));
    let file = tempfile::NamedTempFile::new()?;
    let of_shares = || {
        let rows = rows(&fs::read_to_string(file.path()).expect("the file is there"));
        rows.into_iter().filter(|row| !row["pss_bytes"].is_empty()).collect::<Vec<Row>>()
    };
    let mut tries = 0;
    // Shares change with other processes that map the same files. leakspy is one of them, as it maps the C
    // library, so the witness asks while leakspy runs; and asks again where another process has come or gone.
    let (rows, found) = loop {
        let options = ["-i", "0.1", "--shares", "0.01", "--no-subprocesses"];
        let leakspy = begin(pid, file.path(), &options);
        wait_until("shares are read", || !of_shares().is_empty());
        let before = shares();
        let (seen, after) = (of_shares().len(), shares());
        wait_until("shares are read again", || of_shares().len() > seen);
        end(leakspy);
        let agrees = |row: &Row| ["pss_bytes", "uss_bytes"].map(|name| number(row, name)) == before;
        if before == after && of_shares().iter().any(agrees) {
            break (rows(&fs::read_to_string(file.path())?), before);
        }
        tries += 1;
        assert!(tries < 20, "{before:?} in none of {:?}", of_shares());
    };
    let statm = fs::read_to_string(format!("/proc/{pid}/statm"))?;
    let resident: u64 = statm.split(' ').nth(1).and_then(|n| n.parse().ok()).ok_or("statm")?;
    let last = rows.last().ok_or("a sample")?;
    assert_eq!(number(last, "pid"), pid as u64);
    // Reading a page of a file maps it, so the first reading can enlarge the set a little.
    assert_eq!(number(last, "rss_bytes"), 4096 * resident);
    let parts = ["anonymous_bytes", "file_bytes", "shared_bytes"];
    assert_eq!(parts.map(|part| number(last, part)).iter().sum::<u64>(), 4096 * resident);
    for (index, count) in counters["collections"].as_array().expect("3").iter().enumerate() {
        assert_eq!(Some(number(last, &format!("collections_{index}"))), count.as_u64());
    }
    assert!(last["command"].contains("memory_over_time"), "{last:?}");
    assert_eq!(number(last, "swap_bytes"), proc_bytes(pid, "status", &["VmSwap"]));
    assert!(found[1] < found[0], "{found:?}");
    assert_eq!(Some(number(last, "arena_bytes")), counters["arenas"].as_u64());
    kill(Pid::from_raw(pid), Signal::SIGCONT)?;
    target.assert_healthy();
    Ok(())
}

/// The output of `leakspy peak` for a file, starting after this many seconds.
fn peak(file: &Path, options: &[&str]) -> Result<String, Failed> {
    let output = leakspy_command().arg("peak").arg(file).args(options).output()?;
    assert!(output.status.success(), "{output:?}");
    Ok(String::from_utf8(output.stdout)?)
}

/// The texts in a file's chart.
fn chart(file: &Path, options: &[&str]) -> Result<Vec<String>, Failed> {
    let mut command = leakspy_command();
    let output = command.arg("plot").arg(file).args(["-o", "-"]).args(options).output()?;
    assert!(output.status.success(), "{output:?}");
    let svg = String::from_utf8(output.stdout)?;
    let document = roxmltree::Document::parse(&svg)?;
    let texts = document.descendants().filter(|node| node.has_tag_name("text"));
    Ok(texts.filter_map(|node| node.text()).map(|text| text.trim().to_string()).collect())
}

/// Records a fixture for some seconds while it does something.
fn watched(
    interpreter: &Interpreter,
    doing: &str,
    seconds: f64,
    options: &[&str],
) -> Result<(tempfile::TempDir, std::path::PathBuf), Failed> {
    let mut target = Target::start(interpreter, "memory_over_time", &[]);
    target.ask(doing);
    let folder = tempfile::tempdir()?;
    let file = folder.path().join(if options.contains(&"mprof") { "run.dat" } else { "run.csv" });
    let seconds = seconds.to_string();
    let options = [&["-d", &seconds], options].concat();
    let status = begin(target.pid(), &file, &options).wait()?;
    assert!(status.success());
    target.assert_healthy();
    Ok((folder, file))
}

fn what_grows_has_its_slope(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let pages_per_second = 1000.0;
    let (_folder, file) = watched(interpreter, "grow 1000", 5.0, &[])?;
    let said = peak(&file, &["--from", "0.3"])?;
    let (_, slope) = said.split_once("grows ").ok_or_else(|| said.clone())?;
    let slope: f64 = slope.split_once(' ').ok_or("a slope")?.0.parse()?;
    let expected = pages_per_second * 4096.0 * 60.0 / MIB;
    assert!((slope / expected - 1.0).abs() < 0.05, "{slope} MiB/min instead of {expected}");
    let texts = chart(&file, &[])?;
    for expected in ["seconds since the first sample", "MiB"] {
        assert!(texts.iter().any(|text| text == expected), "{expected} in {texts:?}");
    }
    assert!(texts.iter().any(|text| text.contains("grows ")), "{texts:?}");
    the_scales_are_as_asked_for(&file)?;
    the_json_says_the_same(&file)
}

/// With `--zero` the scale of memory begins at zero, and `--clock` shows the times of the samples.
fn the_scales_are_as_asked_for(file: &Path) -> Result<(), Failed> {
    let is_zero = |texts: &[String]| texts.iter().filter(|text| *text == "0").count();
    let (plain, zero) = (chart(file, &["--from", "4"])?, chart(file, &["--from", "4", "--zero"])?);
    assert!(is_zero(&zero) > is_zero(&plain), "{zero:?}, {plain:?}");

    let texts = chart(file, &["--clock"])?;
    assert!(texts.iter().any(|text| text == "time of day"), "{texts:?}");
    let rows = rows(&fs::read_to_string(file)?);
    let times = || rows.iter().filter_map(|row| row["time_s"].parse::<f64>().ok());
    let (begin, end) =
        (times().fold(f64::INFINITY, f64::min) as i64, times().fold(0.0, f64::max) as i64);
    let clock: Vec<i64> = texts.iter().filter_map(|text| seconds_of_day(text)).collect();
    assert!(clock.len() > 2, "{texts:?}");
    // The zone is this machine's, in whole quarters of an hour.
    for time in &clock {
        let is_within = (begin..=end + 1).any(|moment| (moment - time).rem_euclid(900) == 0);
        assert!(is_within, "{time} is not from {begin} to {end}");
    }
    let two =
        leakspy_command().arg("plot").args([file, file]).args(["-o", "-", "--clock"]).output()?;
    assert_eq!(two.status.code(), Some(2), "{two:?}");
    Ok(())
}

/// A time such as 12:34:56.
fn seconds_of_day(text: &str) -> Option<i64> {
    let parts: Vec<i64> = text.split(':').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    let [hours, minutes, seconds] = parts[..] else { return None };
    Some(3600 * hours + 60 * minutes + seconds)
}

/// `peak --json` has the figures of the text, and `plot --json` besides those of the file.
fn the_json_says_the_same(file: &Path) -> Result<(), Failed> {
    let said = peak(file, &[])?;
    let json = |command: &str| -> Result<Value, Failed> {
        let output = leakspy_command().arg(command).arg("--json").arg(file).output()?;
        assert!(output.status.success(), "{output:?}");
        let document = serde_json::from_slice(&output.stdout)?;
        assert_documented("`leakspy peak --json`", &document);
        Ok(document)
    };
    let summed_up = json("peak")?;
    assert_eq!(summed_up["figure"], "rss");
    let processes = summed_up["files"][0]["processes"].as_array().ok_or("no processes")?;
    let [process] = processes.as_slice() else { panic!("{processes:?}") };
    let number = |value: &Value| value.as_f64().ok_or_else(|| format!("{value} is no number"));
    let (last, most) = (number(&process["last_bytes"])?, number(&process["peak"]["bytes"])?);
    let after = number(&process["peak"]["time_s"])? - number(&process["begin_s"])?;
    let trend = &process["trend"];
    assert_eq!(trend["kind"], "grows");
    let [slope, error] = ["bytes_per_s", "error_bytes_per_s"]
        .map(|key| number(&trend[key]).map(|it| it * 60.0 / MIB));
    let pid = &process["pid"];
    let expected = format!(
        "last {:.1} MiB, peak {:.1} MiB after {after:.1} s, grows ",
        last / MIB,
        most / MIB
    );
    assert!(said.contains(&format!("  {pid} ")) && said.contains(&expected), "{expected}: {said}");
    let (_, words) = said.split_once("grows ").ok_or("it grows")?;
    let mut words = words.split(' ');
    for (found, word) in [(slope?, words.next()), (error?, words.nth(1))] {
        let word = word.ok_or("a number")?;
        let digits = word.split_once('.').map_or(0, |(_, digits)| digits.len());
        assert_eq!(format!("{found:.digits$}"), word);
    }

    let rows = rows(&fs::read_to_string(file)?);
    let drawn = json("plot")?;
    let points = drawn["files"][0]["processes"][0]["points"].as_array().ok_or("no points")?;
    let found: Vec<Option<u64>> = points.iter().map(|point| point["bytes"].as_u64()).collect();
    let expected: Vec<Option<u64>> = rows.iter().map(|row| row["rss_bytes"].parse().ok()).collect();
    assert_eq!(found, expected);
    assert_eq!(process["samples"].as_u64(), Some(rows.len() as u64));
    Ok(())
}

fn what_stays_is_flat(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let (_folder, file) = watched(interpreter, "collect 2", 2.0, &[])?;
    let said = peak(&file, &[])?;
    assert!(said.trim_end().ends_with(", flat"), "{said}");
    Ok(())
}

fn what_comes_and_goes_does_not_grow(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let (_folder, file) = watched(interpreter, "saw 5000 0.5", 5.0, &["-i", "0.05"])?;
    let said = peak(&file, &[])?;
    assert!(said.trim_end().ends_with(", flat"), "{said}");
    Ok(())
}

fn children_that_live_for_a_moment_are_seen(
    interpreter: &'static Interpreter,
) -> Result<(), Failed> {
    let mut target = Target::start(interpreter, "memory_over_time", &[]);
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("run.csv");
    let child = begin(target.pid(), &file, &["-s", "-i", "0.01"]);
    let born = target.ask("children 10 50 100");
    end(child);
    let rows = rows(&fs::read_to_string(&file)?);
    for pid in born.as_array().expect("an array") {
        let pid = pid.to_string();
        let seen = rows.iter().filter(|row| row["pid"] == pid);
        let most = seen.map(|row| number(row, "rss_bytes")).max();
        assert!(most > Some(100 * 4096), "{pid}: {most:?}");
    }
    Ok(())
}

fn a_pid_that_is_used_again_is_another(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let (few, many) = (500, 3000);
    let mut target = Target::start(interpreter, "memory_over_time", &[]);
    let pid = target.ask(&format!("child {few}")).to_string();
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("run.csv");
    // Rarely enough that there is usually no sample between the two.
    let child = begin(target.pid(), &file, &["-s", "-i", "0.2"]);
    // By start time, the pages of shared memory that the processes with this PID allocated.
    let sets = || {
        let text = fs::read_to_string(&file).unwrap_or_default();
        let whole = text.rfind('\n').and_then(|end| text.get(..end)).unwrap_or_default();
        let mut sets: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
        for row in rows(whole).iter().filter(|row| row["pid"] == pid) {
            sets.entry(number(row, "started_ticks")).or_default().push(number(row, "shared_bytes"));
        }
        sets
    };
    wait_until("the first is seen", || sets().len() == 1);
    assert_eq!(target.ask(&format!("instead {pid} {many}")).to_string(), pid);
    let seen = |pages: u64| sets().into_values().any(|sets| sets.last() == Some(&(4096 * pages)));
    wait_until("the second is seen", || seen(many));
    end(child);
    let sets = sets();
    let [first, second] = &*sets.values().collect::<Vec<_>>() else { panic!("{sets:?}") };
    assert!(first.iter().all(|&pages| pages == few * 4096), "{sets:?}");
    // A process that was just created does not have its pages yet.
    assert!(second.last().is_some_and(|&pages| pages == many * 4096), "{sets:?}");
    let said = peak(&file, &[])?;
    let lines = said.lines().filter(|line| line.trim_start().starts_with(&format!("{pid} ")));
    assert_eq!(lines.count(), 2, "{said}");
    Ok(())
}

fn the_sum_is_that_of_all(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let mut target = Target::start(interpreter, "memory_over_time", &[]);
    let pids = [target.ask("child 100"), target.ask("child_of_thread 2000")];
    let pid = target.pid().to_string();
    let output = leakspy(["timeline", "-s", "-p", &pid, "-d", "0.1", "-o", "-"]);
    let rows = rows(&String::from_utf8(output.stdout)?);
    let [sum, root, first, second, ..] = &*rows else { panic!("{rows:?}") };
    assert_eq!((sum["pid"].as_str(), sum["command"].as_str()), ("0", "(all)"));
    assert_eq!([&first["pid"], &second["pid"]], [&pids[0].to_string(), &pids[1].to_string()]);
    for column in ["rss_bytes", "pss_bytes", "uss_bytes", "anonymous_bytes", "threads"] {
        let all = [root, first, second].map(|row| number(row, column));
        assert_eq!(number(sum, column), all.iter().sum::<u64>(), "{column}");
    }
    // The larger child has this many pages more than the other.
    let more = number(second, "rss_bytes").saturating_sub(number(first, "rss_bytes"));
    assert!(more.abs_diff(1900 * 4096) < 100 * 4096, "{more}");
    for pid in pids {
        kill(Pid::from_raw(pid.as_i64().expect("a PID") as i32), Signal::SIGKILL)?;
    }
    Ok(())
}

fn a_killed_leakspy_has_written_what_it_saw(
    interpreter: &'static Interpreter,
) -> Result<(), Failed> {
    let mut target = Target::start(interpreter, "memory_over_time", &[]);
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("run.csv");
    let mut child = begin(target.pid(), &file, &["-i", "0.02"]);
    let lines = || fs::read_to_string(&file).map_or(0, |text| text.lines().count());
    wait_until("some samples are written", || lines() > 20);
    child.kill().expect("it is not waited for yet");
    child.wait().expect("a child can be waited for");
    assert!(peak(&file, &[])?.contains("peak "));
    // As a full disk or a machine crash would leave it.
    let written = fs::read(&file)?;
    fs::write(&file, &written[..written.len() - 30])?;
    assert!(peak(&file, &[])?.contains("peak "));
    target.assert_healthy();
    Ok(())
}

fn what_runs_at_a_jump_is_noted(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let mut target = Target::start(interpreter, "memory_over_time", &[]);
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("run.csv");
    let child = begin(target.pid(), &file, &["--stacks", "-i", "0.02"]);
    target.ask("leap 3000");
    let text = || fs::read_to_string(&file).unwrap_or_default();
    wait_until("a stack is noted", || text().contains("leaping"));
    end(child);
    let rows = rows(&text());
    let noted: Vec<&Row> = rows.iter().filter(|row| !row["stack"].is_empty()).collect();
    let stack = &noted.first().expect("a stack")["stack"];
    assert!(stack.contains("leaping (fixtures/memory_over_time.py:"), "{stack}");
    Ok(())
}

fn a_file_for_mprof_is_one(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let (_folder, file) = watched(interpreter, "child 500", 0.5, &["-s", "--format", "mprof"])?;
    let text = fs::read_to_string(&file)?;
    let mut lines = text.lines();
    assert!(lines.next().is_some_and(|line| line.starts_with("CMDLINE ")), "{text}");
    for line in lines {
        let words: Vec<&str> = line.split(' ').collect();
        let numbers = match *words {
            ["MEM", mib, time] => [mib, time],
            ["CHLD", number, mib, time] => {
                number.parse::<u32>()?;
                [mib, time]
            }
            _ => panic!("{line}"),
        };
        assert!(
            numbers.iter().all(|number| number.parse::<f64>().is_ok_and(|n| n > 0.1)),
            "{line}"
        );
    }
    let said = peak(&file, &[])?;
    assert!(said.contains("memory_over_time.py: last ") && said.contains("child "), "{said}");
    Ok(())
}

fn a_command_has_its_status_and_its_file(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("run.csv");
    let program = "import time; x = bytearray(30 << 20); time.sleep(0.5); raise SystemExit(7)";
    let mut command: Command = leakspy_command();
    command
        .args(["timeline", "--json", "-i", "0.02", "-o"])
        .arg(&file)
        .arg("--")
        .args(interpreter.argv());
    let output = command.args(["-c", program]).output()?;
    assert_eq!(output.status.code(), Some(7), "{output:?}");
    let rows = rows(&fs::read_to_string(&file)?);
    assert!(rows.iter().any(|row| number(row, "rss_bytes") > 30 << 20));
    assert!(rows.last().is_some_and(|row| row["command"].contains("bytearray")));
    let found: Value = serde_json::from_slice(&output.stdout)?;
    assert_documented("`leakspy timeline --json`", &found);
    let sizes = || rows.iter().map(|row| number(row, "rss_bytes"));
    assert_eq!(found["samples"].as_u64(), Some(rows.len() as u64), "{found}");
    assert_eq!(found["peak"]["bytes"].as_u64(), sizes().max(), "{found}");
    assert_eq!(found["file"].as_str(), file.to_str());
    let said = String::from_utf8(output.stderr)?;
    assert!(said.contains(&format!("{} samples in ", rows.len())), "{said}");
    let refused = leakspy(["timeline", "1", "--json", "-o", "-"]);
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    Ok(())
}

fn a_file_of_memory_profiler_is_read() -> Result<(), Failed> {
    // Made by memory_profiler 0.61.0: `mprof run --multiprocess`.
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/mprofile.dat");
    let said = peak(&file, &[])?;
    let lines: Vec<&str> = said.lines().collect();
    assert!(lines.iter().any(|line| line.contains("work.py: last ")), "{said}");
    assert!(lines.iter().any(|line| line.contains("child 16919: last ")), "{said}");
    let texts = chart(&file, &[])?;
    assert!(texts.iter().any(|text| text.contains("child 16919")), "{texts:?}");
    Ok(())
}

fn what_is_no_timeline_is_refused() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("file");
    let path = file.to_str().expect("UTF-8");
    for (content, words) in [
        ("", "no samples"),
        ("\0\u{1}binary", "leakspy timeline"),
        ("time_s,pid,rss_bytes\n1,2,x\n2,2,x\n", "line 2"),
    ] {
        fs::write(&file, content)?;
        for command in ["plot", "peak"] {
            let output = leakspy([command, path]);
            assert_eq!(output.status.code(), Some(1));
            let said = String::from_utf8(output.stderr)?;
            assert!(said.contains(words) && said.contains(path), "{said}");
        }
    }
    fs::write(&file, "MEM 1.5 10.0000\nMEM 2.5 11.0000\n")?;
    let output = leakspy(["peak", path, "--of", "pss"]);
    assert!(String::from_utf8(output.stderr)?.contains("proportional set"));
    Ok(())
}

/// With the feature `png`; without it leakspy says what to use instead.
fn a_chart_is_a_png_if_its_name_says_so() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let [file, png] = ["run.dat", "chart.PNG"].map(|name| folder.path().join(name));
    fs::write(&file, "MEM 1.5 10.0000\nMEM 2.5 11.0000\n")?;
    let output = leakspy_command().arg("plot").arg(&file).arg("-o").arg(&png).output()?;
    #[cfg(feature = "png")]
    {
        assert!(output.status.success(), "{output:?}");
        let pixels = resvg::tiny_skia::Pixmap::load_png(&png)?;
        assert_eq!(pixels.width(), 1200);
        // White, grey, black and colours.
        let colours: BTreeSet<u32> = pixels
            .pixels()
            .iter()
            .map(|pixel| u32::from_be_bytes([0, pixel.red(), pixel.green(), pixel.blue()]))
            .collect();
        assert!(colours.contains(&0xff_ffff) && colours.len() > 20, "{}", colours.len());
    }
    #[cfg(not(feature = "png"))]
    {
        let said = String::from_utf8(output.stderr)?;
        assert!(said.contains("chart.svg") && said.contains("feature `png`"), "{said}");
        assert!(!png.exists());
    }
    Ok(())
}
