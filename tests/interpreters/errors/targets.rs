//! Processes that cannot be read as a Python: absent, ended, or something else.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use goblin::elf::Elf;
use libtest_mimic::{Failed, Trial};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;

use super::{WAYS, Way, ask, assert_says, each, message};
use crate::support::{
    Health, Interpreter, Linkage, Recording, interpreters, missing, older_pythons, place_program,
};

pub fn trials() -> Vec<Trial> {
    let mut trials = each(&WAYS, "no_such_process", no_such_process);
    trials.extend(each(&WAYS, "zombie", zombie));
    trials.extend(each(&WAYS, "not_a_python", not_a_python));
    for (version, path) in older_pythons() {
        let Some(path) = path else {
            trials.push(missing(format!("too_old::{version}"), "not on this machine"));
            continue;
        };
        let python = path.clone();
        trials.extend(each(&WAYS, &format!("too_old::{version}"), move |way| {
            too_old(way, version, &python)
        }));
        let name = format!("too_old::{version}::command");
        trials.push(Trial::test(name, move || a_command_that_is_too_old(version, &path)));
    }
    let newest = interpreters().iter().rev().find(|it| it.linkage == Linkage::Static);
    match newest.filter(|it| it.version[1] >= 13) {
        Some(interpreter) => {
            trials.extend(each(&WAYS, "too_new", move |way| too_new(way, interpreter)));
        }
        None => {
            trials
                .push(missing("too_new".to_owned(), "no static 3.13 or later is on this machine"));
        }
    }
    trials
}

/// A program that echoes its input, and ends with it.
struct Echo {
    child: Child,
    answers: BufReader<std::process::ChildStdout>,
}

/// An [`Echo`] in Python, of any version.
const ECHO: &str = "\
import sys
for line in iter(sys.stdin.readline, ''):
    sys.stdout.write(line)
    sys.stdout.flush()
";

impl Echo {
    fn start(command: &mut Command) -> Result<Echo, Failed> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let answers = BufReader::new(child.stdout.take().ok_or("no pipe")?);
        let mut echo = Echo { child, answers };
        echo.assert_answers()?;
        Ok(echo)
    }

    fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    fn assert_answers(&mut self) -> Result<(), Failed> {
        let input = self.child.stdin.as_mut().ok_or("no pipe")?;
        input.write_all(b"are you there\n")?;
        input.flush()?;
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        assert_eq!(line, "are you there\n");
        Ok(())
    }

    /// Asserts that it is unharmed, and ends it.
    fn end(mut self) -> Result<(), Failed> {
        let health = Health::of(self.pid());
        assert!(health.is_good(), "{health:?}");
        self.assert_answers()?;
        drop(self.child.stdin.take());
        assert!(self.child.wait()?.success());
        Ok(())
    }
}

fn no_such_process(way: Way) -> Result<(), Failed> {
    // The kernel never gives out a PID above 2^22.
    let text = message(&ask(way, 4_194_305).output()?);
    assert_says(&text, &["There is no process 4194305.", "`leakspy ps`"]);
    Ok(())
}

fn zombie(way: Way) -> Result<(), Failed> {
    let mut child = Command::new("true").spawn()?;
    let pid = child.id() as i32;
    waitid(Id::Pid(Pid::from_raw(pid)), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT)?;
    let text = message(&ask(way, pid).output()?);
    let parent = format!("its parent {} (", std::process::id());
    assert_says(&text, &[&format!("Process {pid} has ended"), &parent]);
    child.wait()?;
    Ok(())
}

fn not_a_python(way: Way) -> Result<(), Failed> {
    let echo = Echo::start(&mut Command::new("cat"))?;
    let text = message(&ask(way, echo.pid()).output()?);
    assert_says(&text, &[&format!("Process {} (cat) is not a Python process", echo.pid())]);
    echo.end()
}

fn too_old(way: Way, version: &str, python: &Path) -> Result<(), Failed> {
    let echo = Echo::start(Command::new(python).args(["-c", ECHO]))?;
    let text = message(&ask(way, echo.pid()).output()?);
    let start = format!("Process {} runs Python {version}", echo.pid());
    assert_says(&text, &[&start, "too old", "3.8 and later"]);
    echo.end()
}

/// The message comes at once, not when the command has ended, and the command continues.
fn a_command_that_is_too_old(version: &str, python: &Path) -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let stop = folder.path().join("stop");
    let script = format!(
        "import os, time\nwhile not os.path.exists({:?}): time.sleep(0.01)\nprint(5)\nexit(3)",
        stop.display()
    );
    let words: [OsString; 4] = ["--".into(), python.into(), "-c".into(), script.into()];
    let mut recording = Recording::start(words);
    recording.wait_until_said(&format!("runs Python {version}"));
    File::create(stop)?;
    let recorded = recording.end();
    assert_eq!((recorded.status.code(), &*recorded.stdout), (Some(3), "5\n"), "{recorded:?}");
    assert_eq!(recorded.said.lines().count(), 1, "{recorded:?}");
    Ok(())
}

/// No such Python exists yet, so the newest is patched to report a newer version: in the two places where a
/// reader from outside finds it.
fn too_new(way: Way, interpreter: &'static Interpreter) -> Result<(), Failed> {
    let folder = interpreter.scratch();
    let own = interpreter.outside(&interpreter.executable);
    let program = folder.path().join("python3");
    let mut bytes = fs::read(&own)?;
    let version: u32 = 0x0363_00f0;
    for (symbol, offset, old_size) in [("Py_Version", 0, 8), ("_PyRuntime", 8, 8)] {
        let at = place(&bytes, symbol)? + offset;
        let published = bytes.get_mut(at..at + old_size).ok_or("no such place")?;
        assert_eq!(published[2..4], [interpreter.version[1] as u8, 3], "{symbol}");
        published[..4].copy_from_slice(&version.to_le_bytes());
    }
    place_program(&bytes, &program)?;

    let own_argv = interpreter.argv();
    let inside: PathBuf = interpreter.inside(&program);
    let (_, before) = own_argv.split_last().ok_or("no words")?;
    let words: Vec<OsString> = before
        .iter()
        .cloned()
        .chain([inside.into(), "-S".into(), "-c".into(), ECHO.into()])
        .collect();
    let echo = Echo::start(Command::new(&words[0]).args(&words[1..]))?;
    let text = message(&ask(way, echo.pid()).output()?);
    let start = format!("Process {} runs Python 3.99.0, which this version", echo.pid());
    assert_says(&text, &[&start, env!("CARGO_PKG_VERSION")]);
    echo.end()
}

/// The offset in a file of the value of a dynamic symbol.
fn place(bytes: &[u8], symbol: &str) -> Result<usize, Failed> {
    let elf = Elf::parse(bytes)?;
    let found = elf.dynsyms.iter().find(|it| elf.dynstrtab.get_at(it.st_name) == Some(symbol));
    let address = found.ok_or(format!("no {symbol}"))?.st_value;
    let segment = elf.program_headers.iter().find(|segment| {
        segment.p_type == goblin::elf::program_header::PT_LOAD
            && segment.vm_range().contains(&(address as usize))
    });
    let segment = segment.ok_or(format!("{symbol} is nowhere"))?;
    Ok((address - segment.p_vaddr + segment.p_offset) as usize)
}
