//! The stacks of all threads as text, in the form that users of py-spy know, and as JSON.
//!
//! The JSON is an interface: `docs/json.md` describes it.

use std::io::{self, Write};

use serde::Serialize;

use super::Paths;
use super::json::SCHEMA;
use super::labels::{path, printable, printable_code};
use super::sheet::Sheet;
use super::source_lines::{remark, write_below};
use crate::process::blocked::{Wait, WaitKind};
use crate::process::core::death::Death;
use crate::python::lines::Columns;
use crate::python::locals::Local;
use crate::python::thread_dump::{DumpedThread, FrameDetails, ThreadDump};
use crate::python::{Frame, Version};

/// One process with its threads.
#[derive(Debug)]
pub struct Dump {
    /// The process.
    pub pid: i32,
    /// Its command line.
    pub command: String,
    /// Its version of Python.
    pub version: Version,
    /// The program it runs.
    pub executable: String,
    /// Its threads and their stacks.
    pub threads: ThreadDump,
    /// Why it died, if it did.
    pub death: Option<Death>,
}

/// Writes a dump as text.
pub fn write_text(dump: &Dump, paths: Paths, out: &mut impl Sheet) -> io::Result<()> {
    writeln!(out, "Process {}: {}", dump.pid, printable(&dump.command))?;
    writeln!(out, "Python v{} ({})", dump.version, printable(&dump.executable))?;
    if let Some(death) = &dump.death {
        writeln!(out, "{}", cause(dump.pid, death))?;
    }
    let threads = &dump.threads.threads;
    let several = threads.iter().any(|thread| thread.interpreter != 0);
    for thread in threads {
        write_thread(thread, several, paths, out)?;
    }
    Ok(())
}

/// Why a process died, in a sentence.
pub fn cause(pid: i32, death: &Death) -> String {
    let mut sentence = match death.signal {
        "" => format!("Killed by signal {}", death.number),
        name => format!("Killed by {name}"),
    };
    if let Some(tid) = death.tid {
        sentence += &format!(" in thread {tid}");
    }
    match death.sender {
        Some(sender) if sender != pid => sentence += &format!(", sent by process {sender}"),
        _ if death.reason.is_empty() => {}
        _ => sentence += &format!(": {}", death.reason),
    }
    if let Some(address) = death.address {
        sentence += &format!(" ({address:#x})");
    }
    sentence + "."
}

fn write_thread(
    thread: &DumpedThread,
    several: bool,
    paths: Paths,
    out: &mut impl Sheet,
) -> io::Result<()> {
    let mut status = match (thread.running, thread.holds_gil) {
        (true, true) => "active+gil",
        (true, false) => "active",
        (false, true) => "idle+gil",
        (false, false) => "idle",
    }
    .to_owned();
    if several {
        status += &format!(", interpreter {}", thread.interpreter);
    }
    if thread.collecting {
        status += ", collecting garbage";
    }
    if let Some(wait) = &thread.wait {
        status += &format!(", {}", wait_in_words(wait));
    }
    write!(out, "\nThread ")?;
    match thread.tid {
        Some(tid) => write!(out, "{tid}")?,
        None => write!(out, "{:#X}", thread.pthread)?,
    }
    match &thread.name {
        Some(name) => writeln!(out, " ({status}): \"{}\"", printable(name))?,
        None => writeln!(out, " ({status})")?,
    }
    for (number, frame) in thread.stack.frames.iter().enumerate() {
        let file = printable(path(&frame.file, paths));
        let (function, remark) = (printable(&frame.function), remark(frame));
        match frame.line {
            Some(line) => writeln!(out, "    {function} ({file}:{line}){remark}")?,
            None => writeln!(out, "    {function} ({file})")?,
        }
        write_below(frame, 4, out)?;
        let details = thread.details.get(number);
        for local in details.and_then(|it| it.locals.as_deref()).unwrap_or_default() {
            let (name, kind) = (printable(&local.name), printable(&local.r#type));
            match &local.value {
                Some(value) => writeln!(out, "        {name}: {kind} = {}", printable_code(value))?,
                None => writeln!(out, "        {name}: {kind}")?,
            }
        }
    }
    if !thread.stack.complete {
        writeln!(out, "    (not all frames could be read)")?;
    }
    Ok(())
}

/// What a thread waits for, in a few words.
fn wait_in_words(wait: &Wait) -> String {
    let file = match (&wait.file, wait.descriptor) {
        (Some(file), _) => format!(" for {}", printable(file)),
        (None, Some(descriptor)) => format!(" for descriptor {descriptor}"),
        (None, None) => String::new(),
    };
    match wait.kind {
        WaitKind::Gil => "waits for the GIL".to_owned(),
        WaitKind::Lock if file.is_empty() => "waits for a lock".to_owned(),
        WaitKind::Lock => format!("waits for a lock of a file{file}"),
        WaitKind::Sleep => "sleeps".to_owned(),
        WaitKind::Child => "waits for a child process".to_owned(),
        WaitKind::Signal => "waits for a signal".to_owned(),
        WaitKind::Io => format!("waits in {}{file}", printable(&wait.call)),
        WaitKind::Other => format!("waits in system call {}", printable(&wait.call)),
    }
}

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    #[serde(flatten)]
    process: Process<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subprocesses: Option<Vec<Process<'a>>>,
}

#[derive(Serialize)]
struct Process<'a> {
    pid: i32,
    command: &'a str,
    python: String,
    pause_s: f64,
    threads: Vec<Thread<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    death: Option<Cause<'a>>,
}

/// Why a process died.
#[derive(Serialize)]
struct Cause<'a> {
    signal: &'a str,
    number: i32,
    reason: &'a str,
    address: Option<String>,
    sender_pid: Option<i32>,
    os_thread_id: Option<i32>,
}

#[derive(Serialize)]
struct Thread<'a> {
    name: Option<&'a str>,
    os_thread_id: Option<i32>,
    holds_gil: bool,
    running: bool,
    complete: bool,
    interpreter: u64,
    collecting: bool,
    waits_for: Option<&'a Wait>,
    stack: Vec<Row<'a>>,
}

/// A frame with all that is known of it.
#[derive(Serialize)]
struct Row<'a> {
    #[serde(flatten)]
    frame: &'a Frame,
    #[serde(skip_serializing_if = "Option::is_none")]
    columns: Option<Columns>,
    #[serde(skip_serializing_if = "Option::is_none")]
    locals: Option<&'a [Local]>,
}

/// Writes a dump as JSON, with those of subprocesses if requested.
pub fn write_json(
    dump: &Dump,
    subprocesses: Option<&[Dump]>,
    out: &mut impl Write,
) -> io::Result<()> {
    let subprocesses = subprocesses.map(|dumps| dumps.iter().map(Process::from).collect());
    let document = Document { schema: SCHEMA, process: dump.into(), subprocesses };
    serde_json::to_writer_pretty(&mut *out, &document)?;
    writeln!(out)
}

impl<'a> From<&'a Dump> for Process<'a> {
    fn from(dump: &'a Dump) -> Process<'a> {
        Process {
            pid: dump.pid,
            command: &dump.command,
            python: dump.version.to_string(),
            pause_s: dump.threads.pause.as_secs_f64(),
            threads: dump.threads.threads.iter().map(Thread::from).collect(),
            death: dump.death.as_ref().map(|death| Cause {
                signal: death.signal,
                number: death.number,
                reason: &death.reason,
                address: death.address.map(|address| format!("{address:#x}")),
                sender_pid: death.sender,
                os_thread_id: death.tid,
            }),
        }
    }
}

impl<'a> From<&'a DumpedThread> for Thread<'a> {
    fn from(thread: &'a DumpedThread) -> Thread<'a> {
        let row = |(number, frame): (usize, &'a Frame)| {
            let details: Option<&FrameDetails> = thread.details.get(number);
            Row {
                frame,
                columns: details.and_then(|details| details.columns),
                locals: details.and_then(|details| details.locals.as_deref()),
            }
        };
        Thread {
            name: thread.name.as_deref(),
            os_thread_id: thread.tid,
            holds_gil: thread.holds_gil,
            running: thread.running,
            complete: thread.stack.complete,
            interpreter: thread.interpreter,
            collecting: thread.collecting,
            waits_for: thread.wait.as_ref(),
            stack: thread.stack.frames.iter().enumerate().map(row).collect(),
        }
    }
}
