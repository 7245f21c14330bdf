//! Dividing up the resident set of a process, to the last page.
//!
//! Everything is of one moment: the capture, and the kernel's page map. The kernel's sum of resident pages is
//! divided up: mappings by their kind; anonymous memory by address into the arenas of Python's allocator, the
//! C library's heap and stacks; and within those, blocks by use and owner.

use std::cell::Cell;
use std::io;
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;

use super::composition::{Composition, CompositionError};
use super::malloc::{ChunkState, Malloc, other_allocator};
use super::native_blocks::NativeBlocks;
use super::owners::{Owners, Whose};
use super::residency::{RawResidency, Residency, Resident};
use super::stacks::Stacks;
use crate::heap::analysis::{HeapError, processors};
use crate::heap::capture::Whole;
use crate::heap::capture::copy::Capture;
use crate::heap::capture::options::{CaptureError, CaptureOptions};
use crate::heap::ids::Slot;
use crate::heap::support::nice::politely;
use crate::memory::ReadError;
use crate::process::{Mapping, Process, Target};
use crate::python::Python;
use crate::python::gc::GcError;
use crate::python::pymalloc::{Arena, FARTHEST_OBJECT, POOL_HEADER};

impl Composition {
    /// Divides up the resident set of a process.
    pub fn of(
        process: &Process,
        python: &Python,
        options: &CaptureOptions,
    ) -> Result<Composition, CompositionError> {
        let raw = Cell::new(Err(io::ErrorKind::NotFound.into()));
        let read = &mut || raw.set(RawResidency::read(process));
        let (_, composition) = Capture::take_for(process, python, options, read, |capture| {
            let raw = raw.replace(Err(io::ErrorKind::NotFound.into()));
            let strict = capture.is_strict(options);
            let residency = raw.map(RawResidency::parse);
            Composition::of_capture(process, python, capture, residency, strict)
        })?;
        Ok(composition)
    }

    /// The same from a capture, and what was in memory then.
    pub fn of_capture(
        process: &dyn Target,
        python: &Python,
        capture: &Capture<'_>,
        residency: io::Result<Residency>,
        strict: bool,
    ) -> Result<Composition, CompositionError> {
        let native = &mut NativeBlocks::default();
        Composition::with_native_blocks(process, python, capture, residency, strict, native)
    }

    /// The same, and the malloc blocks in use that are not Python's.
    pub fn with_native_blocks(
        process: &dyn Target,
        python: &Python,
        capture: &Capture<'_>,
        residency: io::Result<Residency>,
        strict: bool,
        native: &mut NativeBlocks,
    ) -> Result<Composition, CompositionError> {
        let stacks = Stacks::find(process, python, capture);
        let residency = residency.map_err(CompositionError::Residency)?;
        if !process.is_readable() {
            return Err(HeapError::from(CaptureError::from(ReadError::Ended)).into());
        }
        politely(|| divide(capture, python, &residency, &stacks, strict, native))
            .map_err(|error| HeapError::from(error).into())
    }
}

/// Divides up the resident set from a capture.
fn divide(
    capture: &Capture<'_>,
    python: &Python,
    residency: &Residency,
    stacks: &Stacks,
    strict: bool,
    native: &mut NativeBlocks,
) -> Result<Composition, GcError> {
    let arenas = python.known_arenas(capture)?;
    let mut taken: Vec<Range<u64>> = arenas.iter().map(|arena| arena.start..arena.end).collect();
    taken.extend(stacks.0.iter().cloned());
    taken.sort_by_key(|range| range.start);
    let mappings = || residency.mappings.iter().map(|resident| &resident.mapping);
    let other_allocator = other_allocator(mappings());
    let memory = Whole::new(capture);
    let malloc = Malloc::read(&memory, residency, &taken);
    let owners = Owners::find(capture, python, malloc.as_ref(), processors(), strict)?;

    let mut sum =
        Composition { rss: residency.total(), share: residency.share, ..Composition::default() };
    sum.facts.other_allocator = other_allocator;
    sum.facts.pause = capture.facts.pause;
    sum.facts.copied = capture.facts.copied;
    for arena in &arenas {
        sum.add_arena(capture, python, residency, &owners, arena);
    }
    if let Some(malloc) = &malloc {
        sum.add_malloc(&memory, residency, &owners, malloc, native);
    }
    sum.stacks += stacks.0.iter().map(|stack| residency.bytes(stack)).sum::<u64>();

    // All ranges with a known use, in order of address.
    let mut known = taken;
    if let Some(malloc) = &malloc {
        known.extend(malloc.ranges());
        known.extend(malloc.mapped().iter().map(|it| it.mapping.clone()));
    }
    known.sort_by_key(|range| range.start);
    let mut last_file = None;
    for resident in &residency.mappings {
        sum.add_mapping(resident, residency, &known, last_file);
        if resident.mapping.inode != 0 {
            last_file = Some(&resident.mapping);
        }
    }
    // For some pages the kernel only says how many of a mapping count, so a range may be off by one page.
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
        let pool_size = python.pool_size();
        let mut objects = 0_u64;
        let mut buffers = 0_u64;
        let mut blocks = 0_u64;
        // Bytes in use, by pool.
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
                let last = block.size.min(FARTHEST_OBJECT + Slot::BYTES) / Slot::BYTES;
                let mut words = (0..last as u32).step_by(2);
                words.any(|word| owners.objects.contains(slot.plus(word)))
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
            overhead += rest.min(POOL_HEADER);
            in_used += rest.saturating_sub(POOL_HEADER);
        }
        // A block in use has been written to, so it is in memory unless it is swapped out.
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
        memory: &Whole<'_, '_>,
        residency: &Residency,
        owners: &Owners,
        malloc: &Malloc,
        native: &mut NativeBlocks,
    ) {
        self.facts.malloc_arenas = Some(malloc.arenas as u64);
        let capture = memory.capture();
        self.facts.trimmable = malloc.trimmable(memory, residency);
        malloc.for_each(memory, |chunk| {
            let bytes = residency.bytes(&chunk.range());
            let part = match (chunk.state, owners.of(capture, chunk.block())) {
                (ChunkState::Top, _) => &mut self.malloc.top,
                (ChunkState::Free | ChunkState::Cached, _) => &mut self.malloc.free,
                (ChunkState::InUse, Whose::Object) => &mut self.python.large_objects,
                (ChunkState::InUse, Whose::Buffer) => &mut self.python.large_buffers,
                (ChunkState::InUse, Whose::Other) => {
                    native.add(chunk.block(), chunk.size);
                    &mut self.malloc.others
                }
            };
            *part += bytes;
        });
        for mapped in malloc.mapped() {
            let bytes = residency.bytes(&mapped.mapping);
            let chunk = mapped.chunk();
            let block = chunk.block();
            match owners.of(capture, block) {
                Whose::Object => self.python.large_objects += bytes,
                Whose::Buffer => self.python.large_buffers += bytes,
                Whose::Other => {
                    self.malloc.others += bytes;
                    self.malloc.others_mapped += bytes;
                    native.add(block, chunk.size);
                }
            }
        }
        let unread: u64 = malloc.unread.iter().map(|range| residency.bytes(range)).sum();
        self.facts.malloc_unread = unread;
        self.malloc.others += unread;
    }

    /// Adds the part of a mapping that is outside the ranges with a known use.
    fn add_mapping(
        &mut self,
        resident: &Resident,
        residency: &Residency,
        known: &[Range<u64>],
        last_file: Option<&Mapping>,
    ) {
        let mapping = &resident.mapping;
        let name = mapping.path.as_deref().map(|path| path.as_os_str().as_bytes());
        let name = name.unwrap_or_default();
        let is_shared_memory = ["/dev/zero", "/dev/shm/", "/memfd:", "/SYSV", "/anon_hugepage"]
            .iter()
            .any(|start| name.starts_with(start.as_bytes()));
        let part = match mapping.inode {
            _ if mapping.shared && (is_shared_memory || mapping.inode == 0) => &mut self.shared,
            0 if resident.special == "stack" => &mut self.stacks,
            0 if resident.special == "vdso" => &mut self.files,
            // A program's zero-initialized variables follow its file.
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
