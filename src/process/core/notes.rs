//! The notes of a core file: the process, its threads, the signal it died of, the files it had mapped.
//!
//! The structures are those of the kernel for x86-64 (`elfcore.h`, `siginfo.h`, `fs/binfmt_elf.c`). A note that
//! is too short for its structure is ignored.

use std::ffi::OsStr;
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::super::blocked::SystemCall;
use super::super::text::shown;
use crate::memory::{u32_at, u64_at};

/// `NT_PRSTATUS`, `NT_PRPSINFO`, `NT_AUXV`, `NT_SIGINFO` and `NT_FILE`.
const PRSTATUS: u32 = 1;
const PRPSINFO: u32 = 3;
const AUXV: u32 = 6;
const SIGINFO: u32 = 0x5349_4749;
const FILE: u32 = 0x4649_4c45;

/// `elf_prstatus`: the thread's ID, and its stack pointer among the registers.
const STATUS_PID: usize = 32;
const STATUS_STACK_POINTER: usize = 112 + 8 * 19;
/// `rax`, and `orig_rax`, which is the number of the system call or negative. Then the arguments: `rdi`, `rsi`,
/// `rdx`, `r10`, `r8`, `r9`.
const STATUS_RESULT: usize = 112 + 8 * 10;
const STATUS_CALL: usize = 112 + 8 * 15;
const STATUS_ARGUMENTS: [usize; 6] =
    [112 + 8 * 14, 112 + 8 * 13, 112 + 8 * 12, 112 + 8 * 7, 112 + 8 * 9, 112 + 8 * 8];
/// `EINTR`, and the errors by which the kernel marks a call that a signal interrupted (`linux/errno.h`).
const INTERRUPTED: [i64; 5] = [-4, -512, -513, -514, -516];
/// `elf_prpsinfo`.
const INFO_PID: usize = 24;
const INFO_NAME: Range<usize> = 40..56;
const INFO_ARGUMENTS: Range<usize> = 56..136;
/// The most threads and mapped files that are read.
const MOST: usize = 1 << 20;

/// What the notes say.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Notes {
    /// The PID.
    pub pid: Option<i32>,
    /// The program's name, and the beginning of its command line.
    pub name: String,
    /// The beginning of its command line.
    pub arguments: String,
    /// Its threads. The first one received the signal.
    pub threads: Vec<Thread>,
    /// The signal.
    pub signal: Option<Signal>,
    /// The auxiliary vector: pairs of a type and a value.
    pub auxv: Vec<(u64, u64)>,
    /// The mapped files, in order of address.
    pub files: Vec<MappedFile>,
}

/// A thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Thread {
    /// Its ID, as the process itself numbers its threads.
    pub tid: i32,
    /// Its stack pointer.
    pub stack_pointer: u64,
    /// The system call in which the signal found it.
    pub call: Option<SystemCall>,
}

/// A signal, as `siginfo_t` describes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signal {
    /// Its number.
    pub number: i32,
    /// Why it was sent: `si_code`.
    pub code: i32,
    /// The word whose meaning depends on both: an address, or the sender.
    pub word: u64,
}

/// A file mapped into memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MappedFile {
    /// Its addresses.
    pub range: Range<u64>,
    /// The offset in the file, in bytes.
    pub offset: u64,
    /// The file, as the process or gcore named it.
    pub path: PathBuf,
}

impl Notes {
    /// Adds the notes in these bytes.
    pub fn read(&mut self, mut bytes: &[u8]) {
        while let Some((kind, owner, description, rest)) = next(bytes) {
            bytes = rest;
            if owner.starts_with(b"CORE") {
                self.add(kind, description);
            }
        }
    }

    fn add(&mut self, kind: u32, note: &[u8]) {
        match kind {
            PRSTATUS if self.threads.len() < MOST => self.threads.extend(thread(note)),
            PRPSINFO => {
                self.pid = int_at(note, INFO_PID).filter(|&pid| pid > 0);
                self.name = text(note.get(INFO_NAME).unwrap_or_default());
                self.arguments = text(note.get(INFO_ARGUMENTS).unwrap_or_default());
            }
            // gcore writes one for each thread.
            SIGINFO if self.signal.is_none() => self.signal = signal(note),
            AUXV => {
                let words = note.as_chunks::<16>().0.iter().take(MOST);
                let pairs = words.filter_map(|pair| Some((u64_at(pair, 0)?, u64_at(pair, 8)?)));
                self.auxv = pairs.take_while(|pair| pair.0 != 0).collect();
            }
            FILE => self.files = files(note).unwrap_or_default(),
            _ => {}
        }
    }

    /// A value of the auxiliary vector.
    pub fn auxiliary(&self, kind: u64) -> Option<u64> {
        self.auxv.iter().find(|pair| pair.0 == kind).map(|pair| pair.1)
    }
}

/// A note: its type, owner and description, and the bytes after it.
pub type Note<'a> = (u32, &'a [u8], &'a [u8], &'a [u8]);

/// The first note.
pub fn next(bytes: &[u8]) -> Option<Note<'_>> {
    let padded = |length: u32| (length as usize).checked_next_multiple_of(4);
    let (name_length, length) = (u32_at(bytes, 0)?, u32_at(bytes, 4)?);
    let kind = u32_at(bytes, 8)?;
    let rest = bytes.get(12..)?;
    let owner = rest.get(..name_length as usize)?;
    let rest = rest.get(padded(name_length)?..)?;
    let description = rest.get(..length as usize)?;
    // The last one may lack its padding.
    let rest = rest.get(padded(length)?..).unwrap_or_default();
    Some((kind, owner, description, rest))
}

fn thread(note: &[u8]) -> Option<Thread> {
    let stack_pointer = u64_at(note, STATUS_STACK_POINTER)?;
    Some(Thread { tid: int_at(note, STATUS_PID)?, stack_pointer, call: system_call(note) })
}

/// The system call that a signal has interrupted.
fn system_call(note: &[u8]) -> Option<SystemCall> {
    let word = |offset| u64_at(note, offset);
    let number = word(STATUS_CALL)? as i64;
    if number < 0 || !INTERRUPTED.contains(&(word(STATUS_RESULT)? as i64)) {
        return None;
    }
    let mut arguments = [0; 6];
    for (argument, offset) in arguments.iter_mut().zip(STATUS_ARGUMENTS) {
        *argument = word(offset)?;
    }
    Some(SystemCall { number, arguments })
}

fn signal(note: &[u8]) -> Option<Signal> {
    Some(Signal { number: int_at(note, 0)?, code: int_at(note, 8)?, word: u64_at(note, 16)? })
}

/// `NT_FILE`: the number of mappings and the unit of offsets, then three words for each, then their names.
fn files(note: &[u8]) -> Option<Vec<MappedFile>> {
    const HEAD: usize = 16;
    const ENTRY: usize = 24;
    let (count, unit) = (u64_at(note, 0)?, u64_at(note, 8)?);
    let count = usize::try_from(count).ok().filter(|&count| count <= MOST)?;
    let entries = note.get(HEAD..HEAD.checked_add(count.checked_mul(ENTRY)?)?)?;
    let names = note.get(HEAD + count * ENTRY..)?;
    let names = names.split(|&byte| byte == 0);
    let file = |(entry, name): (&[u8; ENTRY], &[u8])| {
        let range = u64_at(entry, 0)?..u64_at(entry, 8)?;
        let offset = u64_at(entry, 16)?.checked_mul(unit)?;
        let path = PathBuf::from(OsStr::from_bytes(name));
        (range.start < range.end).then_some(MappedFile { range, offset, path })
    };
    let mut files: Vec<_> =
        entries.as_chunks::<ENTRY>().0.iter().zip(names).filter_map(file).collect();
    files.sort_by_key(|file| file.range.start);
    // Of two with the same addresses the first counts.
    let mut end = 0;
    files.retain(|file| {
        let fits = file.range.start >= end;
        if fits {
            end = file.range.end;
        }
        fits
    });
    Some(files)
}

/// The text before the first NUL.
fn text(bytes: &[u8]) -> String {
    let bytes = bytes.split(|&byte| byte == 0).next().unwrap_or_default();
    shown(bytes.trim_ascii_end())
}

fn int_at(bytes: &[u8], offset: usize) -> Option<i32> {
    u32_at(bytes, offset).map(u32::cast_signed)
}
