//! The stacks of all threads as text, in the form that users of py-spy know, and as JSON.
//!
//! The JSON is an interface: `docs/json.md` describes it.

use std::io::{self, Write};

use serde::Serialize;

use super::Paths;
use super::json::SCHEMA;
use super::labels::{path, printable};
use super::sheet::Sheet;
use super::source_lines::{remark, write_below};
use crate::process::core::death::Death;
use crate::python::thread_dump::{DumpedThread, ThreadDump};
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
    for thread in &dump.threads.threads {
        write_thread(thread, paths, out)?;
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

fn write_thread(thread: &DumpedThread, paths: Paths, out: &mut impl Sheet) -> io::Result<()> {
    let status = match (thread.running, thread.holds_gil) {
        (true, true) => "active+gil",
        (true, false) => "active",
        (false, true) => "idle+gil",
        (false, false) => "idle",
    };
    write!(out, "\nThread ")?;
    match thread.tid {
        Some(tid) => write!(out, "{tid}")?,
        None => write!(out, "{:#X}", thread.pthread)?,
    }
    match &thread.name {
        Some(name) => writeln!(out, " ({status}): \"{}\"", printable(name))?,
        None => writeln!(out, " ({status})")?,
    }
    for frame in &thread.stack.frames {
        let file = printable(path(&frame.file, paths));
        let (function, remark) = (printable(&frame.function), remark(frame));
        match frame.line {
            Some(line) => writeln!(out, "    {function} ({file}:{line}){remark}")?,
            None => writeln!(out, "    {function} ({file})")?,
        }
        write_below(frame, 4, out)?;
    }
    if !thread.stack.complete {
        writeln!(out, "    (not all frames could be read)")?;
    }
    Ok(())
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
    stack: &'a [Frame],
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
        Thread {
            name: thread.name.as_deref(),
            os_thread_id: thread.tid,
            holds_gil: thread.holds_gil,
            running: thread.running,
            complete: thread.stack.complete,
            stack: &thread.stack.frames,
        }
    }
}
