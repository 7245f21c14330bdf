//! Breakpoints by perf events, which the kernel counts, times and removes by itself.
//!
//! Relies on `PERF_TYPE_BREAKPOINT` with `sigtrap` and `remove_on_exec` (Linux 5.13). An event is opened for
//! one thread; a thread started by an observed one has no event until it is armed. An event lets
//! `sample_period - 1` hits pass, then sends the thread a SIGTRAP, synchronously: the tracer finds the thread
//! at exactly that instruction. Closing the descriptor removes the event, also when leakspy dies.
//!
//! Where we may lock memory for it, a ring buffer per thread records when the kernel saw a hit and when the
//! thread ran again. Only these records tell how long a stop lasted for the target: our own clock is off by
//! the time it takes to wake up.
//!
//! Over 400 lines, because events, their ring buffers and their arming are one kernel interface, and its
//! rules depend on each other.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

use perf_event_open_sys::bindings as kernel;
use perf_event_open_sys::{ioctls, perf_event_open};
use rustc_hash::FxHashMap;

use super::ticks::Ticks;
use super::{Interruptions, Kind, Span, Spot};
use crate::memory::{u32_at, u64_at};

/// Data pages of a ring: a power of two. 16 KiB hold about 500 records.
const RING_PAGES: usize = 4;

/// An event that only counts.
#[derive(Debug)]
pub struct Counter(OwnedFd);

impl Counter {
    /// An event for `tid` (0: the calling thread), not counting yet.
    pub fn open(spot: Spot, tid: i32) -> io::Result<Counter> {
        open(attributes(spot), tid).map(Counter)
    }

    /// Starts counting.
    pub fn enable(&self) -> io::Result<()> {
        enable(&self.0)
    }

    /// Stops counting.
    pub fn disable(&self) -> io::Result<()> {
        disable(&self.0)
    }

    /// How often the spot was reached while it counted.
    pub fn hits(&self) -> io::Result<u64> {
        count(&self.0)
    }
}

/// Events at the same spots in any number of threads.
#[derive(Debug)]
pub struct PerfBreakpoints {
    spots: Vec<Spot>,
    /// The spots that each thread has events for: as many as are in use, or more.
    prepared: Vec<Spot>,
    threads: FxHashMap<i32, ThreadEvents>,
    /// Hits of threads that have ended.
    hits_before: u64,
    ticks: Ticks,
}

#[derive(Debug)]
struct ThreadEvents {
    /// One for each spot, in their order.
    events: Vec<Event>,
    ring: Option<Ring>,
    armed: bool,
}

/// The event of one spot.
#[derive(Debug)]
struct Event {
    descriptor: OwnedFd,
    /// The event as the kernel describes it.
    attributes: kernel::perf_event_attr,
}

impl PerfBreakpoints {
    /// Opens such an event on thread `tid`, and closes it again, to see whether the kernel allows it.
    pub fn prepare(spots: &[Spot], tid: i32) -> io::Result<PerfBreakpoints> {
        for (number, &spot) in spots.iter().enumerate() {
            drop(Event::open(number, spot, tid)?);
        }
        Ok(PerfBreakpoints {
            spots: spots.to_vec(),
            prepared: spots.to_vec(),
            threads: FxHashMap::default(),
            hits_before: 0,
            ticks: Ticks::default(),
        })
    }

    /// Changes the spots.
    pub fn aim(&mut self, spots: &[Spot]) {
        self.spots.clear();
        self.spots.extend_from_slice(spots);
    }

    /// Arms a thread without stopping it. `Ok(false)`: it has ended.
    pub fn arm(&mut self, tid: i32, skip: &mut dyn FnMut() -> u64) -> io::Result<bool> {
        if !self.threads.contains_key(&tid) {
            match ThreadEvents::open(&self.prepared, tid) {
                Ok(events) => self.threads.insert(tid, events),
                Err(error) if error.raw_os_error() == Some(libc::ESRCH) => return Ok(false),
                Err(error) => return Err(error),
            };
        }
        let Some(thread) = self.threads.get_mut(&tid) else { return Ok(false) };
        if !thread.armed {
            for (event, &spot) in thread.events.iter_mut().zip(&self.spots) {
                event.aim(spot)?;
                event.set_period(skip().saturating_add(1))?;
            }
            thread.armed = true;
            let mut aimed = thread.events.iter().take(self.spots.len());
            aimed.try_for_each(|event| enable(&event.descriptor))?;
        }
        Ok(true)
    }

    /// Moves the events of an armed thread to other spots.
    pub fn redirect(&mut self, tid: i32, spots: &[Spot]) -> io::Result<()> {
        let thread = self.threads.get_mut(&tid).filter(|thread| thread.armed);
        let Some(thread) = thread else { return Ok(()) };
        thread.events.iter().try_for_each(|event| disable(&event.descriptor))?;
        for (event, &spot) in thread.events.iter_mut().zip(spots) {
            event.aim(spot)?;
            event.set_period(1)?;
            enable(&event.descriptor)?;
        }
        Ok(())
    }

    /// The random stops of all threads, which [`disarm`](Self::disarm) ends.
    pub fn ticks(&mut self) -> &mut Ticks {
        &mut self.ticks
    }

    /// Disarms all threads.
    pub fn disarm(&mut self) -> io::Result<()> {
        self.ticks.halt()?;
        for thread in self.threads.values_mut().filter(|thread| thread.armed) {
            thread.armed = false;
            thread.events.iter().try_for_each(|event| disable(&event.descriptor))?;
        }
        Ok(())
    }

    /// Lets `hits` hits of a spot pass in a stopped thread before the next one stops it.
    pub fn skip(&mut self, tid: i32, spot: usize, hits: u64) -> io::Result<()> {
        let thread = self.threads.get_mut(&tid);
        match thread.and_then(|thread| thread.events.get_mut(spot)) {
            // A new period takes effect when the thread is scheduled in again, and that is still to come for
            // a thread in a ptrace stop.
            Some(event) => event.set_period(hits.saturating_add(1)),
            None => Ok(()),
        }
    }

    /// Forgets a thread that has ended; its hits stay counted.
    pub fn forget(&mut self, tid: i32) {
        self.ticks.forget(tid);
        if let Some(thread) = self.threads.remove(&tid) {
            self.hits_before += thread.hits();
        }
    }

    /// All hits so far, including those that were let pass.
    pub fn hits(&self) -> u64 {
        self.hits_before + self.threads.values().map(ThreadEvents::hits).sum::<u64>()
    }

    /// What interrupted the threads since the last call; `None` if one of them has no ring.
    pub fn interruptions(&mut self) -> Option<Interruptions> {
        let mut all = Interruptions::default();
        for (&tid, thread) in &mut self.threads {
            thread.ring.as_mut()?.interruptions(tid, &mut all);
        }
        Some(all)
    }
}

impl ThreadEvents {
    fn open(spots: &[Spot], tid: i32) -> io::Result<ThreadEvents> {
        let mut events = Vec::with_capacity(spots.len());
        for (number, &spot) in spots.iter().enumerate() {
            events.push(Event::open(number, spot, tid)?);
        }
        let ring = events.split_first().and_then(|(first, others)| {
            let ring = Ring::map(&first.descriptor).ok()?;
            let mut others = others.iter();
            let shared =
                others.all(|other| share_ring(&other.descriptor, &first.descriptor).is_ok());
            shared.then_some(ring)
        });
        Ok(ThreadEvents { events, ring, armed: false })
    }

    fn hits(&self) -> u64 {
        // If a descriptor of ours cannot be read, its event never started counting.
        self.events.iter().map(|event| count(&event.descriptor).unwrap_or(0)).sum()
    }
}

impl Event {
    fn open(number: usize, spot: Spot, tid: i32) -> io::Result<Event> {
        let attributes = stopping(number, spot);
        Ok(Event { descriptor: open(attributes, tid)?, attributes })
    }

    /// Moves the event, which must be disabled, to another spot.
    fn aim(&mut self, spot: Spot) -> io::Result<()> {
        let mut attributes = self.attributes;
        set_spot(&mut attributes, spot);
        if place(&attributes) != place(&self.attributes) {
            // The kernel accepts a change of the spot only; not even the period may change. SAFETY: an ioctl
            // of a perf descriptor that we own; `attributes` outlives the call.
            checked(unsafe {
                ioctls::MODIFY_ATTRIBUTES(self.descriptor.as_raw_fd(), &mut attributes)
            })?;
            self.attributes = attributes;
        }
        Ok(())
    }

    fn set_period(&mut self, period: u64) -> io::Result<()> {
        set_period(&self.descriptor, period)?;
        self.attributes.__bindgen_anon_1.sample_period = period;
        Ok(())
    }
}

/// The number of the spot at which a thread has stopped, or [`TICK`](super::ticks::TICK).
pub fn spot_of(tid: i32) -> io::Result<usize> {
    Ok(crate::process::ptrace::perf_data(tid)? as usize)
}

/// Sets the period of an event that is not counting now.
pub(super) fn set_period(event: &OwnedFd, period: u64) -> io::Result<()> {
    // The kernel expects the address of the number, although the wrapper's parameter is the number.
    // SAFETY: an ioctl of a perf descriptor that we own; `period` outlives the call.
    checked(unsafe { ioctls::PERIOD(event.as_raw_fd(), &raw const period as u64) })
}

/// A disabled event that counts in user mode and is removed at `execve`.
fn attributes(spot: Spot) -> kernel::perf_event_attr {
    let mut attributes = kernel::perf_event_attr {
        type_: kernel::PERF_TYPE_BREAKPOINT,
        size: size_of::<kernel::perf_event_attr>() as u32,
        ..Default::default()
    };
    set_spot(&mut attributes, spot);
    attributes.set_disabled(1);
    attributes.set_exclude_kernel(1);
    attributes.set_exclude_hv(1);
    attributes
}

fn set_spot(attributes: &mut kernel::perf_event_attr, spot: Spot) {
    let (kind, length) = match spot.kind {
        // The kernel requires the size of a long for an instruction on x86-64, 4 on aarch64.
        Kind::Execute if cfg!(target_arch = "aarch64") => (kernel::HW_BREAKPOINT_X, 4),
        Kind::Execute => (kernel::HW_BREAKPOINT_X, 8),
        Kind::Write { length } => (kernel::HW_BREAKPOINT_W, length),
        Kind::Access { length } => (kernel::HW_BREAKPOINT_RW, length),
    };
    attributes.bp_type = kind;
    attributes.__bindgen_anon_3.bp_addr = spot.address;
    attributes.__bindgen_anon_4.bp_len = u64::from(length);
}

/// The spot of an event, in comparable form.
fn place(attributes: &kernel::perf_event_attr) -> (u32, u64, u64) {
    // SAFETY: for a breakpoint event these are the variants in use, and all are integers.
    let (address, length) =
        unsafe { (attributes.__bindgen_anon_3.bp_addr, attributes.__bindgen_anon_4.bp_len) };
    (attributes.bp_type, address, length)
}

/// An event whose hits raise SIGTRAP, from the first on or as [`Event::set_period`] says, and that records
/// hits and switches in a ring.
fn stopping(number: usize, spot: Spot) -> kernel::perf_event_attr {
    let mut attributes = attributes(spot);
    attributes.__bindgen_anon_1.sample_period = 1;
    attributes.sample_type = u64::from(kernel::PERF_SAMPLE_TID | kernel::PERF_SAMPLE_TIME);
    attributes.set_sigtrap(1);
    // The signal carries the number of its event.
    attributes.sig_data = number as u64;
    attributes.set_remove_on_exec(1);
    attributes.set_context_switch(1);
    attributes.set_sample_id_all(1);
    attributes.set_use_clockid(1);
    attributes.clockid = libc::CLOCK_MONOTONIC;
    attributes
}

pub(super) fn open(mut attributes: kernel::perf_event_attr, tid: i32) -> io::Result<OwnedFd> {
    let flags = libc::c_ulong::from(kernel::PERF_FLAG_FD_CLOEXEC);
    // SAFETY: `attributes` is initialised and outlives the call.
    let descriptor = unsafe { perf_event_open(&mut attributes, tid, -1, -1, flags) };
    if descriptor < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just given us this descriptor, and nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

fn checked(result: libc::c_int) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

pub(super) fn enable(event: &OwnedFd) -> io::Result<()> {
    // SAFETY: an ioctl of a perf descriptor that we own, with an integer argument.
    checked(unsafe { ioctls::ENABLE(event.as_raw_fd(), 0) })
}

pub(super) fn disable(event: &OwnedFd) -> io::Result<()> {
    // SAFETY: an ioctl of a perf descriptor that we own, with an integer argument.
    checked(unsafe { ioctls::DISABLE(event.as_raw_fd(), 0) })
}

fn share_ring(event: &OwnedFd, owner: &OwnedFd) -> io::Result<()> {
    // SAFETY: an ioctl of a perf descriptor that we own, with a descriptor as its argument.
    checked(unsafe { ioctls::SET_OUTPUT(event.as_raw_fd(), owner.as_raw_fd()) })
}

fn count(event: &OwnedFd) -> io::Result<u64> {
    let mut bytes = [0; 8];
    match nix::unistd::read(event, &mut bytes)? {
        8 => Ok(u64::from_ne_bytes(bytes)),
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// The ring buffer that the events of one thread write into.
#[derive(Debug)]
struct Ring {
    start: NonNull<libc::c_void>,
    length: usize,
    page: usize,
}

impl Ring {
    fn map(event: &OwnedFd) -> io::Result<Ring> {
        // SAFETY: asks for a constant of the system.
        let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as usize;
        let length = (RING_PAGES + 1) * page;
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new shared mapping of a descriptor that we own, at an address of the kernel's
        // choice.
        let start = unsafe {
            let descriptor = event.as_raw_fd();
            libc::mmap(std::ptr::null_mut(), length, protection, libc::MAP_SHARED, descriptor, 0)
        };
        match NonNull::new(start) {
            Some(start) if start.as_ptr() != libc::MAP_FAILED => Ok(Ring { start, length, page }),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Reads the ring of a thread, and pairs each hit and each preemption with the thread's next return to a
    /// processor.
    fn interruptions(&mut self, tid: i32, all: &mut Interruptions) {
        let bytes = self.take();
        let (mut hit, mut preempted) = (None, None);
        let mut back = |hit: &mut Option<u64>, preempted: &mut Option<u64>, to| {
            all.stops.extend(hit.take().map(|from| Span { from, to }));
            all.preemptions.extend(preempted.take().map(|from| Span { from, to }));
        };
        let mut at = 0;
        while let (Some(kind), Some(head)) = (u32_at(&bytes, at), u32_at(&bytes, at + 4)) {
            let (misc, size) = (head & 0xffff, (head >> 16) as usize);
            // Both kinds of record are a header of 8 bytes, pid and tid, and the time.
            let Some(time) = u64_at(&bytes, at + 16).filter(|_| size >= 24) else { return };
            match kind {
                kernel::PERF_RECORD_SAMPLE => hit = hit.or(Some(time)),
                kernel::PERF_RECORD_SWITCH if misc & kernel::PERF_RECORD_MISC_SWITCH_OUT == 0 => {
                    // Nothing is recorded while the thread is not armed.
                    if at == 0 {
                        all.returns.push((tid, time));
                    }
                    back(&mut hit, &mut preempted, time);
                }
                kernel::PERF_RECORD_SWITCH
                    if misc & kernel::PERF_RECORD_MISC_SWITCH_OUT_PREEMPT != 0 && hit.is_none() =>
                {
                    preempted = Some(time);
                }
                _ => {}
            }
            at += size;
        }
        // Its last return is not written yet, or the thread has not run since.
        back(&mut hit, &mut preempted, u64::MAX);
    }

    fn take(&mut self) -> Vec<u8> {
        let page = self.start.as_ptr().cast::<kernel::perf_event_mmap_page>();
        // SAFETY: the first page of the mapping is this structure, aligned; the kernel writes
        // `data_head` and we write `data_tail`, each as one word.
        let (head, tail) = unsafe {
            (
                AtomicU64::from_ptr(&raw mut (*page).data_head),
                AtomicU64::from_ptr(&raw mut (*page).data_tail),
            )
        };
        let end = head.load(Ordering::Acquire);
        let size = (RING_PAGES * self.page) as u64;
        let begin = tail.load(Ordering::Relaxed).max(end.saturating_sub(size));
        let data = self.start.as_ptr().cast::<u8>();
        let bytes = (begin..end)
            .map(|position| {
                // SAFETY: within the data pages; the kernel does not write these bytes again until
                // `data_tail` passes them.
                unsafe { data.add(self.page + (position % size) as usize).read_volatile() }
            })
            .collect();
        tail.store(end, Ordering::Release);
        bytes
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and nothing borrows from it.
        unsafe { libc::munmap(self.start.as_ptr(), self.length) };
    }
}
