//! What the resident set of a process is made of, to the last page.
//!
//! All is of one moment: the capture, and what the kernel says about pages. The kernel's sum of resident
//! pages is divided up: mappings by what they are; in anonymous memory the arenas of Python's allocator,
//! the C library's heap and stacks by address; in those, blocks by whether they are in use and whose.
//! Every byte is in one part, so the parts add up to the resident set.

use std::io;
use std::ops::Range;
use std::time::Duration;

use super::malloc::{ChunkState, Malloc, other_allocator};
use super::owners::{Owners, Whose};
use super::residency::{RawResidency, Residency, Resident};
use crate::heap::analysis::{HeapError, processors};
use crate::heap::capture::copy::Capture;
use crate::heap::capture::take::{CaptureError, CaptureOptions};
use crate::heap::ids::Slot;
use crate::heap::support::nice::politely;
use crate::memory::{Memory, ReadError, u64_at};
use crate::obstacle::{Obstructed, Obstruction};
use crate::process::pagemap::PAGE;
use crate::process::{Mapping, Process};
use crate::python::Python;
use crate::python::gc::GcError;
use crate::python::pymalloc::Arena;

/// Bytes of a pool's head.
const POOL_HEAD: u64 = 48;
/// A thread's descriptor stands at the upper end of its stack: so many bytes at most, and thread-local
/// variables before it.
const DESCRIPTOR: u64 = 4096;

/// Why a process's memory could not be divided up.
#[derive(Debug, thiserror::Error)]
pub enum CompositionError {
    /// There is no capture of it, or its objects cannot be found.
    #[error(transparent)]
    Heap(#[from] HeapError),
    /// The kernel does not say which pages are in memory.
    #[error("cannot tell which pages of the process are in memory: {0}")]
    Residency(#[source] io::Error),
}

impl Obstructed for CompositionError {
    fn obstacle(&self) -> Option<Obstruction> {
        match self {
            CompositionError::Heap(error) => error.obstacle(),
            CompositionError::Residency(_) => None,
        }
    }
}

/// What the resident set is made of, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Composition {
    /// The resident set: the sum of all parts.
    pub rss: u64,
    /// What lives in Python.
    pub python: PythonPart,
    /// What is free in Python's own allocator.
    pub pymalloc: PymallocPart,
    /// The C library's heap, without what is Python's.
    pub malloc: MallocPart,
    /// Stacks of threads.
    pub stacks: u64,
    /// Data of programs: their variables.
    pub program_data: u64,
    /// Mapped files: code, and data that is read only.
    pub files: u64,
    /// Memory shared with other processes, or made to be.
    pub shared: u64,
    /// Anonymous memory of which nothing is known.
    pub other: u64,
    /// Counts that are no bytes.
    pub facts: Facts,
}

/// Memory in use by Python.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PythonPart {
    /// Blocks of pymalloc that hold objects.
    pub small_objects: u64,
    /// Other blocks of pymalloc in use: small buffers of objects.
    pub small_buffers: u64,
    /// Blocks of malloc that hold objects, those with mappings of their own included.
    pub large_objects: u64,
    /// Blocks of malloc that objects point to, likewise.
    pub large_buffers: u64,
}

/// Memory that pymalloc has and nobody uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PymallocPart {
    /// Free blocks in pools that are used.
    pub in_used_pools: u64,
    /// Free pools, in arenas that have others.
    pub free_pools: u64,
    /// Heads of pools, and what is too little for a block.
    pub overhead: u64,
}

/// Memory of malloc that is not Python's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MallocPart {
    /// In use by others: libraries, extension modules, the interpreter itself.
    pub others: u64,
    /// The part of that which is in blocks with mappings of their own.
    pub others_mapped: u64,
    /// Free blocks: in bins, and in lists of small ones.
    pub free: u64,
    /// Free at the end of arenas.
    pub top: u64,
}

/// What else was found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Facts {
    /// What `malloc_trim(0)` would give back, in bytes.
    pub trimmable: u64,
    /// How many arenas pymalloc has.
    pub python_arenas: u64,
    /// How many blocks in them are in use.
    pub python_blocks: u64,
    /// How many arenas glibc's malloc has; `None` where it was not found.
    pub malloc_arenas: Option<u64>,
    /// Bytes of malloc's heap that could not be read, and are counted as used by others.
    pub malloc_unread: u64,
    /// Another allocator that is there.
    pub other_allocator: Option<&'static str>,
    /// How long the process stood still.
    pub pause: Duration,
    /// How much was copied meanwhile, in bytes.
    pub copied: u64,
}

/// What most of the memory is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Objects that live, and their buffers.
    LivePython,
    /// Blocks of malloc that are no Python object's.
    Native,
    /// Memory that the C library keeps and would give back.
    Retention,
    /// Memory that Python's allocator cannot give back because there are objects between.
    Fragmentation,
    /// None of these stands out.
    Mixed,
}

/// No verdict is given on less than this part of what is not mapped from files.
const VERDICT_LEAST: f64 = 0.3;
/// What is besides worth a word is no less than this part of it.
const WORTH_A_WORD: f64 = 0.2;

impl Composition {
    /// Divides up the memory of a process.
    pub fn of(
        process: &Process,
        python: &Python,
        options: &CaptureOptions,
    ) -> Result<Composition, CompositionError> {
        let mut raw = Err(io::ErrorKind::NotFound.into());
        let capture = Capture::take_with(process, python, options, &mut || {
            raw = RawResidency::read(process);
        });
        let capture = capture.map_err(HeapError::from)?;
        let stacks = Stacks::find(process, python, &capture);
        let residency = raw.and_then(RawResidency::parse).map_err(CompositionError::Residency)?;
        if !process.is_alive() {
            return Err(HeapError::from(CaptureError::from(ReadError::Ended)).into());
        }
        politely(|| divide(&capture, python, &residency, &stacks, options.pausing))
            .map_err(|error| HeapError::from(error).into())
    }

    /// What Python uses.
    pub fn live_python(&self) -> u64 {
        let PythonPart { small_objects, small_buffers, large_objects, large_buffers } = self.python;
        small_objects + small_buffers + large_objects + large_buffers
    }

    /// What malloc has given to others than Python's objects.
    pub fn native(&self) -> u64 {
        self.malloc.others
    }

    /// What is free in pymalloc.
    pub fn free_in_pymalloc(&self) -> u64 {
        self.pymalloc.in_used_pools + self.pymalloc.free_pools
    }

    /// The sum of all parts.
    pub fn sum(&self) -> u64 {
        let PymallocPart { in_used_pools, free_pools, overhead } = self.pymalloc;
        let MallocPart { others, free, top, .. } = self.malloc;
        let parts = [
            self.live_python(),
            in_used_pools,
            free_pools,
            overhead,
            others,
            free,
            top,
            self.stacks,
            self.program_data,
            self.files,
            self.shared,
            self.other,
        ];
        parts.iter().sum()
    }

    /// What most of the memory is, and how much that is. Mapped files are left out of account: whatever
    /// a program does, they are there.
    pub fn verdict(&self) -> (Verdict, u64) {
        let most = self.candidates().into_iter().max_by_key(|candidate| candidate.1);
        most.filter(|most| self.is_part(most.1, VERDICT_LEAST)).unwrap_or((Verdict::Mixed, 0))
    }

    /// What else is a good part of the memory, the most first.
    pub fn besides(&self) -> Vec<(Verdict, u64)> {
        let (verdict, _) = self.verdict();
        let mut others = self.candidates().to_vec();
        others.retain(|other| other.0 != verdict && self.is_part(other.1, WORTH_A_WORD));
        others.sort_by_key(|other| std::cmp::Reverse(other.1));
        others
    }

    fn candidates(&self) -> [(Verdict, u64); 4] {
        [
            (Verdict::LivePython, self.live_python()),
            (Verdict::Native, self.native()),
            (Verdict::Retention, self.facts.trimmable),
            (Verdict::Fragmentation, self.free_in_pymalloc()),
        ]
    }

    fn is_part(&self, bytes: u64, least: f64) -> bool {
        bytes as f64 >= least * self.rss.saturating_sub(self.files) as f64
    }
}

/// Divides up the memory of a capture.
fn divide(
    capture: &Capture<'_>,
    python: &Python,
    residency: &Residency,
    stacks: &Stacks,
    strict: bool,
) -> Result<Composition, GcError> {
    let arenas = python.arenas(capture).unwrap_or_default();
    let mut taken: Vec<Range<u64>> = arenas.iter().map(|arena| arena.start..arena.end).collect();
    taken.extend(stacks.0.iter().cloned());
    taken.sort_by_key(|range| range.start);
    let mappings = || residency.mappings.iter().map(|resident| &resident.mapping);
    let other_allocator = other_allocator(mappings());
    let malloc = Malloc::read(capture, residency, &taken);
    let owners = Owners::find(capture, python, malloc.as_ref(), processors(), strict)?;

    let mut sum = Composition { rss: residency.total(), ..Composition::default() };
    sum.facts.other_allocator = other_allocator;
    sum.facts.pause = capture.facts.pause;
    sum.facts.copied = capture.facts.copied;
    for arena in &arenas {
        sum.add_arena(capture, python, residency, &owners, arena);
    }
    if let Some(malloc) = &malloc {
        sum.add_malloc(capture, residency, &owners, malloc);
    }
    sum.stacks += stacks.0.iter().map(|stack| residency.bytes(stack)).sum::<u64>();

    // What is known by address, in the order of that.
    let mut known = taken;
    if let Some(malloc) = &malloc {
        known.extend(malloc.ranges());
        known.extend(malloc.mapped().iter().cloned());
    }
    known.sort_by_key(|range| range.start);
    let mut last_file = None;
    for resident in &residency.mappings {
        sum.add_mapping(resident, residency, &known, last_file);
        if resident.mapping.inode != 0 {
            last_file = Some(&resident.mapping);
        }
    }
    // Pages of which the kernel says only how many count can be one more or less in each range.
    let excess = sum.sum().saturating_sub(sum.rss);
    sum.other = sum.other.saturating_sub(excess);
    sum.other += sum.rss.saturating_sub(sum.sum());
    Ok(sum)
}

impl Composition {
    /// Adds one of pymalloc's arenas.
    fn add_arena(
        &mut self,
        capture: &Capture<'_>,
        python: &Python,
        residency: &Residency,
        owners: &Owners,
        arena: &Arena,
    ) {
        let pool_size = python.layout.pymalloc.pool_size;
        let mut objects = 0_u64;
        let mut buffers = 0_u64;
        let mut blocks = 0_u64;
        // In use, by the pool.
        let mut pools: Vec<(u64, u64)> = Vec::new();
        python.for_each_block(capture, arena, |block| {
            let pool = block.address / pool_size * pool_size;
            match pools.last_mut() {
                Some(last) if last.0 == pool => last.1 += block.size,
                _ => pools.push((pool, block.size)),
            }
            blocks += 1;
            let slot = capture.segments().slot(block.address);
            let holds_object = slot.is_some_and(|slot| {
                // Behind nothing, the collector's header, two more words, or the debugging head.
                let last = (block.size / Slot::BYTES).min(9) as u32;
                (0..last).step_by(2).any(|word| owners.objects.contains(slot.plus(word)))
            });
            *(if holds_object { &mut objects } else { &mut buffers }) += block.size;
        });
        self.facts.python_arenas += 1;
        self.facts.python_blocks += blocks;
        let all = residency.bytes(&(arena.start..arena.end));
        let mut in_used = 0;
        let mut overhead = 0;
        for &(pool, used) in &pools {
            let here = residency.bytes(&(pool..pool.saturating_add(pool_size)));
            let rest = here.saturating_sub(used);
            overhead += rest.min(POOL_HEAD);
            in_used += rest.saturating_sub(POOL_HEAD);
        }
        // A block in use has been written to, so that it is in memory unless it is swapped out.
        let live = (objects + buffers).min(all);
        let objects = objects.min(live);
        let rest = all - live;
        let overhead = overhead.min(rest);
        let in_used = in_used.min(rest - overhead);
        self.python.small_objects += objects;
        self.python.small_buffers += live - objects;
        self.pymalloc.overhead += overhead;
        self.pymalloc.in_used_pools += in_used;
        self.pymalloc.free_pools += rest - overhead - in_used;
    }

    /// Adds malloc's heap.
    fn add_malloc(
        &mut self,
        capture: &Capture<'_>,
        residency: &Residency,
        owners: &Owners,
        malloc: &Malloc,
    ) {
        self.facts.malloc_arenas = Some(malloc.arenas as u64);
        self.facts.trimmable = malloc.trimmable(capture, residency);
        let mut in_chunks = 0_u64;
        malloc.for_each(capture, |chunk| {
            let bytes = residency.bytes(&chunk.range());
            in_chunks += bytes;
            let part = match (chunk.state, owners.of(capture, chunk.block())) {
                (ChunkState::Top, _) => &mut self.malloc.top,
                (ChunkState::Free | ChunkState::Cached, _) => &mut self.malloc.free,
                (ChunkState::InUse, Whose::Object) => &mut self.python.large_objects,
                (ChunkState::InUse, Whose::Buffer) => &mut self.python.large_buffers,
                (ChunkState::InUse, Whose::Other) => &mut self.malloc.others,
            };
            *part += bytes;
        });
        for range in malloc.mapped() {
            let bytes = residency.bytes(range);
            let block = range.start.wrapping_add(super::malloc::HEADER);
            match owners.of(capture, block) {
                Whose::Object => self.python.large_objects += bytes,
                Whose::Buffer => self.python.large_buffers += bytes,
                Whose::Other => {
                    self.malloc.others += bytes;
                    self.malloc.others_mapped += bytes;
                }
            }
        }
        let unread: u64 = malloc.unread.iter().map(|range| residency.bytes(range)).sum();
        self.facts.malloc_unread = unread;
        self.malloc.others += unread;
    }

    /// Adds what is in a mapping and not known by address.
    fn add_mapping(
        &mut self,
        resident: &Resident,
        residency: &Residency,
        known: &[Range<u64>],
        last_file: Option<&Mapping>,
    ) {
        let mapping = &resident.mapping;
        let name = mapping.path.as_deref().map(|path| path.to_string_lossy().into_owned());
        let name = name.unwrap_or_default();
        let is_shared_memory = ["/dev/zero", "/dev/shm/", "/memfd:", "/SYSV", "/anon_hugepage"]
            .iter()
            .any(|start| name.starts_with(start));
        let part = match mapping.inode {
            _ if mapping.shared && (is_shared_memory || mapping.inode == 0) => &mut self.shared,
            0 if resident.special == "stack" => &mut self.stacks,
            0 if resident.special == "vdso" => &mut self.files,
            // What a program's variables are that begin as zeros follows its file.
            0 if last_file.is_some_and(|file| file.writable && file.end == mapping.start) => {
                &mut self.program_data
            }
            0 => &mut self.other,
            _ if mapping.writable && !mapping.shared => &mut self.program_data,
            _ => &mut self.files,
        };
        let first = known.partition_point(|range| range.end <= mapping.start);
        let here = known.iter().skip(first).take_while(|range| range.start < mapping.end);
        let inside = here.map(|range| {
            let part = range.start.max(mapping.start)..range.end.min(mapping.end);
            if mapping.inode == 0 { residency.bytes(&part) } else { 0 }
        });
        *part += resident.bytes.saturating_sub(inside.sum());
    }
}

/// The stacks of threads other than the first, which the kernel does not name.
struct Stacks(Vec<Range<u64>>);

impl Stacks {
    /// A thread of the C library's has its descriptor, which its `pthread_t` is the address of, at the
    /// upper end of its stack; threads that Python does not know show by their stack pointers, which
    /// the kernel tells of those that wait.
    fn find(process: &Process, python: &Python, capture: &Capture<'_>) -> Stacks {
        let Ok(maps) = process.maps() else { return Stacks(Vec::new()) };
        let anonymous = |address: u64| {
            maps.iter().find(|mapping| {
                let is_stack = mapping.inode == 0 && mapping.writable && !mapping.brk;
                is_stack && mapping.contains(address)
            })
        };
        // Below a stack is memory that nobody may touch. (The descriptor of the first thread is elsewhere.)
        let has_guard = |stack: &Mapping| {
            maps.iter().any(|guard| guard.end == stack.start && !guard.readable && !guard.writable)
        };
        let upper_end = |descriptor: u64, mapping: &Mapping| {
            descriptor.saturating_add(DESCRIPTOR).next_multiple_of(PAGE).min(mapping.end)
        };
        let mut stacks: Vec<Range<u64>> = Vec::new();
        // From glibc 2.42 on that memory is no mapping of its own, and stacks can follow one another in one.
        let first = process.inner_id(process.pid());
        for thread in python.thread_states(capture).unwrap_or_default() {
            let is_other = thread.native_id.is_some() && thread.native_id != first;
            let mapping = anonymous(thread.pthread).filter(|&m| is_other || has_guard(m));
            if let Some(mapping) = mapping {
                stacks.push(mapping.start..upper_end(thread.pthread, mapping));
            }
        }
        let own = process.pid();
        for tid in process.threads().unwrap_or_default() {
            let pointer = process.stack_pointer(tid).filter(|_| tid != own);
            let Some(pointer) = pointer else { continue };
            let is_known = stacks.iter().any(|stack| stack.contains(&pointer));
            if let Some(mapping) = anonymous(pointer).filter(|&m| !is_known && has_guard(m)) {
                let end = match descriptor_above(capture, pointer, mapping.end) {
                    Some(descriptor) => upper_end(descriptor, mapping),
                    None => mapping.end,
                };
                stacks.push(mapping.start..end);
            }
        }
        stacks.sort_by_key(|stack| stack.end);
        let mut last = 0;
        for stack in &mut stacks {
            stack.start = stack.start.max(last).min(stack.end);
            last = stack.end;
        }
        Stacks(stacks)
    }
}

/// The descriptor of the thread whose stack pointer this is: on x86-64 its first and third words are its
/// own address (`tcb` and `self` of `tcbhead_t`).
fn descriptor_above(capture: &Capture<'_>, pointer: u64, end: u64) -> Option<u64> {
    /// No more than this is searched, in bytes.
    const MOST: u64 = 64 << 20;
    const ALIGNMENT: usize = 64;
    let first = pointer.next_multiple_of(ALIGNMENT as u64);
    (first..end.min(first.saturating_add(MOST))).step_by(ALIGNMENT).find(|&place| {
        let words = capture.lend(place, 24);
        words.is_some_and(|words| [0, 16].iter().all(|&word| u64_at(words, word) == Some(place)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_needs_something_that_stands_out() {
        let mut sum = Composition { rss: 1000, files: 400, ..Composition::default() };
        sum.python.small_objects = 170;
        assert_eq!(sum.verdict(), (Verdict::Mixed, 0));
        sum.python.large_buffers = 30;
        assert_eq!(sum.verdict(), (Verdict::LivePython, 200));
        sum.malloc.others = 210;
        assert_eq!(sum.verdict(), (Verdict::Native, 210));
        sum.pymalloc.free_pools = 220;
        assert_eq!(sum.verdict(), (Verdict::Fragmentation, 220));
        sum.facts.trimmable = 230;
        assert_eq!(sum.verdict(), (Verdict::Retention, 230));
    }
}
