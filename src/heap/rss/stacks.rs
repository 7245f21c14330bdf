//! Locating the stacks of a process's threads.

use std::ops::Range;

use crate::heap::capture::copy::Capture;
use crate::memory::PAGE;
use crate::process::glibc::{DESCRIPTOR, descriptor_above};
use crate::process::{Mapping, Target};
use crate::python::Python;

/// The stacks of threads other than the first, which the kernel does not name.
pub(crate) struct Stacks(pub Vec<Range<u64>>);

impl Stacks {
    /// Finds stacks in two ways. A thread known to Python has a `pthread_t`: the address of the C library's
    /// descriptor, at the upper end of its stack, after its thread-local variables. A thread unknown to
    /// Python shows by its stack pointer, which the kernel reports while the thread waits.
    pub fn find(process: &dyn Target, python: &Python, capture: &Capture<'_>) -> Stacks {
        let Ok(maps) = process.maps() else { return Stacks(Vec::new()) };
        let anonymous = |address: u64| {
            maps.iter().find(|mapping| {
                let is_stack = mapping.inode == 0 && mapping.writable && !mapping.brk;
                is_stack && mapping.contains(address)
            })
        };
        // Below a stack is an inaccessible guard. (The descriptor of the first thread is elsewhere.)
        let has_guard = |stack: &Mapping| {
            maps.iter().any(|guard| guard.end == stack.start && !guard.readable && !guard.writable)
        };
        let upper_end = |descriptor: u64, mapping: &Mapping| {
            descriptor.saturating_add(DESCRIPTOR).next_multiple_of(PAGE).min(mapping.end)
        };
        let mut stacks: Vec<Range<u64>> = Vec::new();
        // From glibc 2.42 on the guard is not a mapping of its own, and one mapping can have several stacks
        // in a row.
        let first = process.own_pid();
        for thread in python.thread_states(capture).unwrap_or_default() {
            let is_other = thread.native_id.is_some() && thread.native_id != first;
            let mapping = anonymous(thread.pthread).filter(|&m| is_other || has_guard(m));
            if let Some(mapping) = mapping {
                stacks.push(mapping.start..upper_end(thread.pthread, mapping));
            }
        }
        let own = process.pid();
        for (_, pointer) in process.stack_pointers().into_iter().filter(|&(tid, _)| tid != own) {
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
