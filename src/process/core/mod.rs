//! A core file: the memory of a process that died, or of one that gcore was asked to write down.
//!
//! The file is mapped and never copied, so a core of any size takes no memory beyond what is computed from it.
//! What a core leaves out (pages never written, code, constant data) is zero or in the files that the process had
//! mapped, which are sought on this machine.
//!
//! | | |
//! |---|---|
//! | [`headers`], [`notes`] | the ELF headers and notes, checked: nothing in a file is trusted |
//! | [`mappings`] | the mappings of the process, from both |
//! | [`binaries`] | the files that it had mapped |
//! | [`unpack`] | compressed cores |
//! | [`command`] | its command line |
//! | [`death`] | the signal that it died of |
//! | [`error`] | why a core cannot be read |

pub mod binaries;
pub mod command;
pub mod death;
pub mod error;
pub mod headers;
pub mod mappings;
pub mod notes;
pub mod unpack;

use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, UNIX_EPOCH};

use memmap2::Mmap;
use rustc_hash::FxHashMap;

use self::binaries::Places;
use self::death::Death;
use self::headers::Load;
use self::notes::Notes;
use crate::memory::{Memory, PAGE, ReadError};
use crate::process::blocked::Wait;
use crate::process::{Image, ImageError, Mapping, ProcessError, Target, ThreadIds};
pub use error::CoreError;

/// A core file.
#[derive(Debug)]
pub struct Core {
    map: Mmap,
    loads: Vec<Load>,
    notes: Notes,
    mappings: Vec<Mapping>,
    places: Places,
    /// The files that were mapped, by inode.
    files: FxHashMap<u64, MappedFile>,
    /// When it was written, since the epoch.
    time: Duration,
    /// Constant data that neither the core nor a file has, but that could be told otherwise.
    substitutes: OnceLock<Vec<(u64, Vec<u8>)>>,
}

/// A file that was mapped.
#[derive(Debug, Default)]
struct MappedFile {
    /// Which mapping begins with its first page.
    first: Option<usize>,
    /// The file, sought when it is first needed.
    file: OnceLock<Option<File>>,
}

impl Core {
    /// Opens a core file, which may be compressed. Files that the process had mapped are sought in `places`.
    ///
    /// # Errors
    /// It is no core of a process on x86-64, is truncated or damaged, or cannot be decompressed.
    pub fn open(path: &Path, places: Places) -> Result<Core, CoreError> {
        // A pipe without a writer would otherwise block until there is one.
        let file = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(CoreError::NotElf { hint: "it is not a regular file" });
        }
        let time = metadata.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        let file = unpack::unpacked(file)?;
        // SAFETY: the mapping is only read. If someone truncates the file meanwhile, the kernel ends this process
        // with SIGBUS, which harms no other process.
        let map = unsafe { Mmap::map(&file)? };
        let mut core = Core::of(map, places)?;
        core.time = time.unwrap_or_default();
        Ok(core)
    }

    fn of(map: Mmap, places: Places) -> Result<Core, CoreError> {
        let headers = headers::read(&map)?;
        let mut notes = Notes::default();
        for range in headers.notes {
            let range = range.start as usize..range.end as usize;
            notes.read(map.get(range).unwrap_or_default());
        }
        if notes.files.is_empty() {
            return Err(CoreError::NoFiles);
        }
        let mut core = Core {
            map,
            loads: headers.loads,
            notes,
            mappings: Vec::new(),
            places,
            files: FxHashMap::default(),
            time: Duration::ZERO,
            substitutes: OnceLock::new(),
        };
        core.mappings = mappings::mappings(&core.loads, &core.notes, |address| {
            core.lend(address, 4).is_none_or(|bytes| bytes == b"\x7fELF")
        });
        for (number, mapping) in core.mappings.iter().enumerate() {
            if mapping.inode != 0 {
                let file = core.files.entry(mapping.inode).or_default();
                file.first = file.first.or((mapping.offset == 0).then_some(number));
            }
        }
        Ok(core)
    }

    /// When it was written, since the epoch.
    pub fn time(&self) -> Duration {
        self.time
    }

    /// The command line of the process, or as much of it as there is.
    pub fn command(&self) -> String {
        let top = self.notes.auxiliary(command::ON_THE_STACK);
        let stack = top.and_then(|top| self.mapping_at(top)).map(|stack| stack.start);
        let whole = stack.and_then(|start| command::command(&self, &self.notes, start));
        let beginning = || Some(self.notes.arguments.clone()).filter(|line| !line.is_empty());
        whole.or_else(beginning).unwrap_or_else(|| format!("[{}]", self.notes.name))
    }

    /// The program that the process ran.
    pub fn executable(&self) -> PathBuf {
        mappings::executable(&self.notes).unwrap_or_else(|| PathBuf::from(&self.notes.name))
    }

    /// Why the process died; `None` if it was alive when the core was written.
    pub fn death(&self) -> Option<Death> {
        let tid = self.notes.threads.first().map(|thread| thread.tid);
        Death::of(self.notes.signal?, tid)
    }

    /// The kernel's name in brackets for a mapping, such as `stack`; empty for others.
    pub fn special(&self, mapping: &Mapping) -> &'static str {
        let has =
            |kind| self.notes.auxiliary(kind).is_some_and(|address| mapping.contains(address));
        match mapping.inode == 0 {
            true if has(command::ON_THE_STACK) => "stack",
            true if has(mappings::VDSO) => "vdso",
            _ => "",
        }
    }

    /// What the notes say.
    pub fn notes(&self) -> &Notes {
        &self.notes
    }

    /// The bytes of the file, which [`kept`](Self::kept) refers to.
    pub fn bytes(&self) -> &[u8] {
        &self.map
    }

    /// The parts of these addresses that the file has, in order, and where it has each.
    pub fn kept(&self, addresses: Range<u64>) -> impl Iterator<Item = (Range<u64>, u64)> + '_ {
        let first = self.loads.partition_point(|load| load.range.end <= addresses.start);
        let end = addresses.end;
        let loads = self.loads.iter().skip(first).take_while(move |load| load.range.start < end);
        loads.filter_map(move |load| {
            let start = addresses.start.max(load.range.start);
            let end = addresses.end.min(load.range.start + load.kept);
            (start < end).then(|| (start..end, load.offset + (start - load.range.start)))
        })
    }

    /// Whether the file behind this mapping was found.
    pub fn has_file(&self, mapping: &Mapping) -> bool {
        self.file(mapping).is_some()
    }

    /// Says what is at some addresses that cannot be read: NUL-terminated texts, in order of address. Only the
    /// first call counts.
    pub fn substitute(&self, texts: Vec<(u64, Vec<u8>)>) {
        let _ = self.substitutes.set(texts);
    }

    fn load_at(&self, address: u64) -> Option<&Load> {
        let after = self.loads.partition_point(|load| load.range.start <= address);
        self.loads.get(after.checked_sub(1)?).filter(|load| load.range.contains(&address))
    }

    fn mapping_at(&self, address: u64) -> Option<&Mapping> {
        let after = self.mappings.partition_point(|mapping| mapping.start <= address);
        self.mappings.get(after.checked_sub(1)?).filter(|mapping| mapping.contains(address))
    }

    /// The first page of the file behind a mapping, as far as the core has it.
    fn first_page(&self, inode: u64) -> &[u8] {
        let first = self.files.get(&inode).and_then(|file| self.mappings.get(file.first?));
        let page = first.and_then(|mapping| self.kept(mapping.start..mapping.end).next());
        let Some((range, offset)) = page else { return &[] };
        let length = (range.end - range.start).min(PAGE) as usize;
        self.map.get(offset as usize..offset as usize + length).unwrap_or_default()
    }

    fn file(&self, mapping: &Mapping) -> Option<&File> {
        let file = &self.files.get(&mapping.inode)?.file;
        let path = mapping.path.as_deref()?;
        let open = || self.places.open(path, self.first_page(mapping.inode)).ok();
        file.get_or_init(open).as_ref()
    }

    /// Reads what the core left out: `buffer` lies in one mapping, at `address`.
    fn read_left_out(&self, address: u64, buffer: &mut [u8]) -> Option<()> {
        let mapping = self.mapping_at(address)?;
        if mapping.inode == 0 {
            // Anonymous memory that was never written.
            buffer.fill(0);
            return Some(());
        }
        let Some(file) = self.file(mapping) else { return self.read_substitute(address, buffer) };
        let mut at = mapping.offset.checked_add(address - mapping.start)?;
        let mut rest = &mut *buffer;
        while !rest.is_empty() {
            let read = file.read_at(rest, at).ok()?;
            if read == 0 {
                // The last page of a file is filled up with zeros.
                rest.fill(0);
                break;
            }
            at += read as u64;
            rest = rest.get_mut(read..)?;
        }
        Some(())
    }

    fn read_substitute(&self, address: u64, buffer: &mut [u8]) -> Option<()> {
        let texts = self.substitutes.get()?;
        let after = texts.partition_point(|text| text.0 <= address);
        let (start, text) = texts.get(after.checked_sub(1)?)?;
        let rest = text.get(usize::try_from(address - start).ok()?..)?;
        buffer.fill(0);
        let length = rest.len().min(buffer.len());
        buffer.get_mut(..length)?.copy_from_slice(rest.get(..length)?);
        Some(())
    }
}

impl Memory for Core {
    fn read(&self, address: u64, buffer: &mut [u8]) -> Result<(), ReadError> {
        let length = buffer.len();
        let unmapped = ReadError::Unmapped { address, length };
        let mut rest = buffer;
        let mut at = address;
        while !rest.is_empty() {
            let kept = self.kept(at..at.saturating_add(rest.len() as u64)).next();
            let here = match kept {
                Some((range, offset)) if range.start == at => {
                    let here = (range.end - range.start) as usize;
                    let offset = offset as usize;
                    let bytes = self.map.get(offset..offset + here).ok_or(unmapped)?;
                    rest.get_mut(..here).ok_or(unmapped)?.copy_from_slice(bytes);
                    here
                }
                next => {
                    // Up to the end of the mapping, or to what the core has again.
                    let end = self.mapping_at(at).ok_or(unmapped)?.end;
                    let end = next.map_or(end, |(range, _)| end.min(range.start));
                    let here = (end - at).min(rest.len() as u64) as usize;
                    self.read_left_out(at, rest.get_mut(..here).ok_or(unmapped)?)
                        .ok_or(unmapped)?;
                    here
                }
            };
            rest = rest.get_mut(here..).unwrap_or_default();
            at = at.wrapping_add(here as u64);
        }
        Ok(())
    }

    fn lend(&self, address: u64, length: usize) -> Option<&[u8]> {
        let load = self.load_at(address)?;
        let inside = address - load.range.start;
        let end = inside.checked_add(length as u64).filter(|&end| end <= load.kept)?;
        self.map.get((load.offset + inside) as usize..(load.offset + end) as usize)
    }
}

impl Target for Core {
    fn pid(&self) -> i32 {
        let first = self.notes.threads.first().map(|thread| thread.tid);
        self.notes.pid.or(first).unwrap_or_default()
    }

    fn is_readable(&self) -> bool {
        true
    }

    fn maps(&self) -> Result<Vec<Mapping>, ProcessError> {
        Ok(self.mappings.clone())
    }

    fn image(&self, mapping: &Mapping) -> Result<Image, ImageError> {
        let path = mapping.path.clone().unwrap_or_default();
        let found = self.file(mapping).map(File::try_clone);
        match found {
            Some(file) => {
                let unreadable = |source| ImageError::Unreadable { path: path.clone(), source };
                Image::of_file(file.map_err(unreadable)?, mapping)
            }
            None => Image::of_headers(self.first_page(mapping.inode), mapping),
        }
    }

    fn thread_ids(&self) -> Result<ThreadIds, ProcessError> {
        Ok(ThreadIds::same(self.notes.threads.iter().map(|thread| thread.tid)))
    }

    fn own_pid(&self) -> Option<i32> {
        Some(self.pid())
    }

    fn stack_pointers(&self) -> Vec<(i32, u64)> {
        self.notes.threads.iter().map(|thread| (thread.tid, thread.stack_pointer)).collect()
    }

    fn is_running(&self, tid: i32) -> bool {
        self.death().is_some_and(|death| death.tid == Some(tid))
    }

    fn wait_of(&self, tid: i32) -> Option<Wait> {
        let thread = self.notes.threads.iter().find(|thread| thread.tid == tid)?;
        Some(thread.call?.wait(""))
    }
}

/// Whether a file begins as a core or a compressed one, so that a person may have meant `--core`.
pub fn looks_like_core(path: &Path) -> io::Result<bool> {
    let mut start = [0; 18];
    let file = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    if !file.metadata().is_ok_and(|it| fs::Metadata::is_file(&it)) {
        return Ok(false);
    }
    let read = file.read_at(&mut start, 0)?;
    // `e_type` is 4 in a core.
    Ok(read == start.len() && start.starts_with(b"\x7fELF") && start.ends_with(&[4, 0]))
}
