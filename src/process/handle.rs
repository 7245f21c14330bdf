//! A process by PID: whether it exists, who owns it, and whether it is still the same process.

use std::fs::{self, File};
use std::io::IoSliceMut;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::uio::{RemoteIoVec, process_vm_readv};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;
use procfs::ProcError;
use procfs::process::{Status, Syscall};
use read_process_memory::{CopyAddress, ProcessHandle};

use super::blocked::{SystemCall, Wait};
use super::maps::{self, Mapping};
use super::text::{self, shown_path, shown_words};
use crate::memory::{Memory, PAGE, ReadError};
use crate::obstacle::{Obstacle, Obstructed, Obstruction};

/// Why a process cannot be observed. Each states the fact; advice is added where it is shown to a person.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// Nothing has this PID.
    #[error("no process has the PID {pid}")]
    NoSuchProcess {
        /// The PID asked for.
        pid: i32,
    },
    /// It ended, and its parent has not collected it.
    #[error("process {pid} has ended (a zombie that its parent {parent} has not waited for)")]
    Zombie {
        /// The PID asked for.
        pid: i32,
        /// Its parent.
        parent: i32,
    },
    /// It ended while it was observed, or its PID now belongs to another process.
    #[error("process {pid} ended while it was observed")]
    Ended {
        /// The PID observed.
        pid: i32,
    },
    /// It runs another program (`execve`) than the one that was observed.
    #[error("process {pid} has replaced its program")]
    Replaced {
        /// The PID observed.
        pid: i32,
    },
    /// `/proc` could not be read for another reason.
    #[error("cannot look at process {pid}: {source}")]
    Proc {
        /// The PID asked for.
        pid: i32,
        /// What the kernel or the parser said.
        source: ProcError,
    },
}

impl Obstructed for ProcessError {
    fn obstacle(&self) -> Option<Obstruction> {
        match self {
            &ProcessError::NoSuchProcess { pid } => Obstacle::NoSuchProcess.of(pid),
            &ProcessError::Zombie { pid, parent } => Obstacle::Zombie { parent }.of(pid),
            &ProcessError::Ended { pid } => Obstacle::Ended.of(pid),
            &ProcessError::Replaced { pid } => Obstacle::Replaced.of(pid),
            ProcessError::Proc { pid, source: ProcError::PermissionDenied(_) } => {
                Obstacle::Denied.of(*pid)
            }
            ProcessError::Proc { .. } => None,
        }
    }
}

/// A live process. Reading its memory is `process_vm_readv`; nothing here writes or stops anything.
#[derive(Debug)]
pub struct Process {
    pub(super) proc: procfs::process::Process,
    pid: i32,
    started: u64,
    handle: Reader,
    /// The program that is observed; `None` where it may not be read.
    program: OnceLock<Option<AddressSpace>>,
}

/// A piece of memory to read, and the buffer for it.
#[derive(Debug)]
pub struct Piece<'a> {
    /// Where it begins in the target.
    pub address: u64,
    /// Where the bytes go; its length is the number of bytes to read.
    pub buffer: &'a mut [u8],
}

/// The most pieces of one system call (`IOV_MAX`).
const MOST_PIECES: usize = 1024;

/// The handle of read-process-memory, which has no `Debug`.
#[derive(Clone)]
struct Reader(ProcessHandle);

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Reader")
    }
}

impl Process {
    /// Opens the process with this PID (as our own namespace numbers it).
    pub fn open(pid: i32) -> Result<Process, ProcessError> {
        let proc = procfs::process::Process::new(pid).map_err(|e| cannot_open(pid, e))?;
        let stat = proc.stat().map_err(|e| cannot_open(pid, e))?;
        if matches!(stat.state, 'Z' | 'X' | 'x') {
            return Err(ProcessError::Zombie { pid, parent: stat.ppid });
        }
        let handle = ProcessHandle::try_from(pid)
            .map_err(|e| ProcessError::Proc { pid, source: ProcError::from(e) })?;
        Ok(Process {
            proc,
            pid,
            started: stat.starttime,
            handle: Reader(handle),
            program: OnceLock::new(),
        })
    }

    /// Its PID.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// For how long it has existed; zero where the clock cannot be read.
    pub fn age(&self) -> Duration {
        let now = clock_gettime(ClockId::CLOCK_BOOTTIME).map(Duration::from).unwrap_or_default();
        let started = self.started as f64 / procfs::ticks_per_second().max(1) as f64;
        now.saturating_sub(Duration::try_from_secs_f64(started).unwrap_or_default())
    }

    /// When it started, in clock ticks since boot: with the PID, the identity of a process.
    pub fn started(&self) -> u64 {
        self.started
    }

    /// Whether the process that was opened is still there: PIDs are reused.
    pub fn is_alive(&self) -> bool {
        self.proc
            .stat()
            .is_ok_and(|stat| stat.starttime == self.started && !matches!(stat.state, 'Z' | 'X'))
    }

    /// The PID of its parent; `None` if it has none, or has ended.
    pub fn parent(&self) -> Option<i32> {
        self.proc.stat().ok().map(|stat| stat.ppid).filter(|&pid| pid != 0)
    }

    /// Its command line, as one line; the kernel's name for it in brackets if it has none.
    pub fn command(&self) -> Result<String, ProcessError> {
        let words = shown_words(&self.text("cmdline")?);
        if !words.is_empty() {
            return Ok(words);
        }
        let stat = self.proc.stat().map_err(|e| cannot_look(self.pid, e))?;
        Ok(format!("[{}]", stat.comm))
    }

    /// All its mappings, in order of address.
    pub fn maps(&self) -> Result<Vec<Mapping>, ProcessError> {
        Ok(maps::parse(&self.whole_text("maps")?))
    }

    /// The ids of its threads. A thread may end, and others begin, before the caller looks.
    pub fn threads(&self) -> Result<Vec<i32>, ProcessError> {
        let tasks = self.proc.tasks().map_err(|e| cannot_look(self.pid, e))?;
        Ok(tasks.filter_map(|task| Some(task.ok()?.tid)).collect())
    }

    /// The state letter of one of its threads, as in `/proc/PID/task/TID/stat`.
    pub fn thread_state(&self, tid: i32) -> Option<char> {
        let task = self.proc.task_from_tid(tid).ok()?;
        Some(task.stat().ok()?.state)
    }

    /// The stack pointer of one of its threads, if the thread waits in the kernel.
    pub fn stack_pointer(&self, tid: i32) -> Option<u64> {
        match self.proc.task_from_tid(tid).ok()?.syscall().ok()? {
            Syscall::Blocked { stack_pointer, .. } => Some(stack_pointer),
            _ => None,
        }
    }

    /// What one of its threads waits for in the kernel; `None` if it runs, or is stopped: then the kernel shows the
    /// call that it was in last.
    pub fn thread_wait(&self, tid: i32) -> Option<Wait> {
        if !matches!(self.thread_state(tid)?, 'S' | 'D') {
            return None;
        }
        let task = self.proc.task_from_tid(tid).ok()?;
        let call = match task.syscall().ok()? {
            Syscall::Blocked { syscall_number, argument_registers, .. } if syscall_number >= 0 => {
                SystemCall { number: syscall_number, arguments: argument_registers }
            }
            _ => return None,
        };
        let folder = PathBuf::from(format!("/proc/{}", self.pid()));
        let channel = fs::read_to_string(folder.join(format!("task/{tid}/wchan")));
        let mut wait = call.wait(&channel.unwrap_or_default());
        wait.file = wait.descriptor.and_then(|descriptor| {
            let link = fs::read_link(folder.join(format!("fd/{descriptor}"))).ok()?;
            Some(shown_path(&link))
        });
        Some(wait)
    }

    /// The PID of its tracer, if it has one.
    pub fn tracer(&self) -> Option<i32> {
        self.status("status").ok().map(|status| status.tracerpid).filter(|&pid| pid != 0)
    }

    /// The PID of the tracer of one of its threads, if the thread has one.
    pub fn tracer_of(&self, tid: i32) -> Option<i32> {
        let status = self.status_of(tid).ok()?;
        Some(status.tracerpid).filter(|&pid| pid != 0)
    }

    /// Whether one of its threads blocks this signal.
    pub fn is_blocked(&self, tid: i32, signal: i32) -> bool {
        self.status_of(tid)
            .is_ok_and(|status| status.sigblk & super::ptrace::signal_bit(signal) != 0)
    }

    /// Its current address space, until it ends or replaces its program. Needs the permission to trace the
    /// process.
    pub fn address_space(&self) -> std::io::Result<AddressSpace> {
        File::open(format!("/proc/{}/mem", self.pid)).map(AddressSpace)
    }

    /// From the first call on, the program that it runs now is the one that is observed.
    pub fn hold_program(&self) {
        self.program.get_or_init(|| self.address_space().ok());
    }

    /// Whether it runs another program than the one that is [held](Self::hold_program).
    pub fn has_replaced_program(&self) -> bool {
        let held = self.program.get().and_then(Option::as_ref);
        held.is_some_and(AddressSpace::is_gone) && self.is_alive()
    }

    /// The id of one of its threads in the innermost PID namespace, which is the process's own view.
    pub fn inner_id(&self, tid: i32) -> Option<i32> {
        let status = self.status_of(tid).ok()?;
        match status.nspid {
            Some(numbers) => numbers.last().copied(),
            None => Some(tid),
        }
    }

    /// The program it runs, as its own mount namespace names it. The path of a program that has since been
    /// deleted or replaced ends in ` (deleted)`.
    pub fn executable(&self) -> Result<PathBuf, ProcessError> {
        self.proc.exe().map_err(|e| cannot_look(self.pid, e))
    }

    /// Reads many pieces in few system calls, and returns the number of bytes read. Pages that cannot be read
    /// are left out, and their part of the buffer stays unchanged.
    pub fn read_pieces(&self, pieces: &mut [Piece<'_>]) -> Result<u64, ReadError> {
        let mut total = 0;
        for pieces in pieces.chunks_mut(MOST_PIECES) {
            let mut skipped = 0;
            let length: usize = pieces.iter().map(|piece| piece.buffer.len()).sum();
            let mut all = true;
            while skipped < length {
                match self.read_from(pieces, skipped) {
                    Ok(read) if read > 0 => {
                        skipped += read;
                        total += read as u64;
                    }
                    Ok(_) | Err(Errno::EFAULT) => {
                        all = false;
                        skipped = past_page(pieces, skipped);
                    }
                    Err(Errno::ESRCH) => return Err(ReadError::Ended),
                    Err(_) => return Err(ReadError::Denied),
                }
            }
            if !all && self.has_replaced_program() {
                return Err(ReadError::Replaced);
            }
        }
        Ok(total)
    }

    /// One system call for what is left of these pieces after the first `skipped` bytes.
    fn read_from(&self, pieces: &mut [Piece<'_>], mut skipped: usize) -> nix::Result<usize> {
        let mut local = Vec::with_capacity(pieces.len());
        let mut remote = Vec::with_capacity(pieces.len());
        for piece in pieces {
            let skip = skipped.min(piece.buffer.len());
            skipped -= skip;
            let base = piece.address.wrapping_add(skip as u64) as usize;
            let Some(buffer) = piece.buffer.get_mut(skip..).filter(|rest| !rest.is_empty()) else {
                continue;
            };
            remote.push(RemoteIoVec { base, len: buffer.len() });
            local.push(IoSliceMut::new(buffer));
        }
        process_vm_readv(Pid::from_raw(self.pid), &mut local, &remote)
    }

    /// Its resident set, in bytes.
    pub fn resident_bytes(&self) -> Result<u64, ProcessError> {
        let pages = self.proc.statm().map_err(|e| cannot_look(self.pid, e))?.resident;
        Ok(pages.saturating_mul(PAGE))
    }

    /// The effective user it runs as.
    pub fn uid(&self) -> Result<u32, ProcessError> {
        Ok(self.status("status")?.euid)
    }

    /// What the kernel says of one of its threads.
    fn status_of(&self, tid: i32) -> Result<Status, ProcessError> {
        self.status(&format!("task/{tid}/status"))
    }

    fn status(&self, file: &str) -> Result<Status, ProcessError> {
        text::status(&self.text(file)?).map_err(|e| cannot_look(self.pid, e))
    }
}

/// The memory of one program in a process.
#[derive(Debug)]
pub struct AddressSpace(File);

impl AddressSpace {
    /// Whether it is gone: the process has ended, or runs another program (`execve`). The new program has the
    /// same PID and start time, and may even have the same addresses.
    pub fn is_gone(&self) -> bool {
        // For an address space that is gone the kernel returns no bytes; for a bad address, an error.
        matches!(self.0.read_at(&mut [0], 0), Ok(0))
    }
}

impl Memory for Process {
    fn read(&self, address: u64, buffer: &mut [u8]) -> Result<(), ReadError> {
        let length = buffer.len();
        self.handle.0.copy_address(address as usize, buffer).map_err(|error| {
            match error.raw_os_error() {
                Some(libc::ESRCH) => ReadError::Ended,
                Some(libc::EPERM | libc::EACCES) => ReadError::Denied,
                _ if self.has_replaced_program() => ReadError::Replaced,
                _ => ReadError::Unmapped { address, length },
            }
        })
    }
}

/// Moves `skipped`, counted in bytes of all pieces, to the end of the page or of the piece.
fn past_page(pieces: &[Piece<'_>], skipped: usize) -> usize {
    let mut before = 0;
    for piece in pieces {
        let inside = skipped - before;
        if inside < piece.buffer.len() {
            let address = piece.address.wrapping_add(inside as u64);
            let rest = (PAGE - address % PAGE) as usize;
            return skipped + rest.min(piece.buffer.len() - inside);
        }
        before += piece.buffer.len();
    }
    before
}

fn cannot_open(pid: i32, error: ProcError) -> ProcessError {
    match error {
        ProcError::NotFound(_) => ProcessError::NoSuchProcess { pid },
        error => cannot_look(pid, error),
    }
}

/// Converts an error about a process that existed before: if it is not found any more, it has ended.
pub(super) fn cannot_look(pid: i32, error: ProcError) -> ProcessError {
    match &error {
        ProcError::NotFound(_) => ProcessError::Ended { pid },
        ProcError::Io(io, _) if io.raw_os_error() == Some(libc::ESRCH) => {
            ProcessError::Ended { pid }
        }
        _ => ProcessError::Proc { pid, source: error },
    }
}
