//! Whether a thread that has just added a reference to a class did so because it makes an instance.
//!
//! Python code that only names a class adds a reference too, for a moment. But whoever makes an
//! instance has it in hand at that moment: some register holds the address of an object whose type is
//! the class, and that the collector has not been told of. `_PyObject_Init` and `PyObject_Init` set
//! `ob_type`, then count the reference to it, then set `ob_refcnt` to 1, and whoever called them hands
//! the object to the collector after that (`PyType_GenericAlloc`, Objects/typeobject.c, 3.8 to 3.15).
//! An older object in a register, whose class is asked for, is known to the collector. Objects of
//! classes without cycles never are; of those, the new one has no other references.

use super::growth_counters::GC_HEAD;
use crate::memory::{Memory, ReadError, u64_at};
use crate::process::ptrace::Registers;
use crate::python::layout::Layout;
use crate::python::objects::type_of;

/// Pointers below this are none.
const LOWEST: u64 = 4096;
/// Addresses of user space are below this (x86-64 with 4-level page tables, and aarch64).
const HIGHEST: u64 = 1 << 47;
/// No instance has more references than this; an address is a larger number.
const MOST_REFERENCES: u64 = 1 << 31;

/// The new instance of `class` that a thread with these registers is making, if it is.
pub fn newborn<M: Memory>(
    memory: &M,
    layout: &Layout,
    registers: &Registers,
    class: u64,
    are_gc: bool,
) -> Option<u64> {
    let mut seen = [0; crate::process::ptrace::GENERAL];
    for (number, &value) in registers.general.iter().enumerate() {
        let is_address = value % 8 == 0 && (LOWEST..HIGHEST).contains(&value) && value != class;
        let near_stack = value.wrapping_sub(registers.stack) < 1 << 16;
        if !is_address || near_stack || seen.iter().take(number).any(|&other| other == value) {
            continue;
        }
        if let Some(place) = seen.get_mut(number) {
            *place = value;
        }
        if is_newborn(memory, layout, value, class, are_gc) == Ok(true) {
            return Some(value);
        }
    }
    None
}

fn is_newborn<M: Memory>(
    memory: &M,
    layout: &Layout,
    object: u64,
    class: u64,
    are_gc: bool,
) -> Result<bool, ReadError> {
    let bytes = memory.array::<32>(object.wrapping_sub(GC_HEAD))?;
    let head = GC_HEAD as usize;
    let is_one = u64_at(&bytes, head + layout.object.kind) == Some(class);
    // Up to 3.13 all of a new object is zero; from 3.14 on what its memory was used for before, perhaps
    // the address of a free block, stands in place of its references.
    let references = u64_at(&bytes, head).unwrap_or_default();
    let is_new = match are_gc {
        true => u64_at(&bytes, 0) == Some(0),
        false => references <= 1 || references > MOST_REFERENCES,
    };
    Ok(is_one && is_new)
}

/// Whether an instance of `class` is at this address. Where it was freed its type is still to be read,
/// and in place of its references there is nothing, or the address of the next free block.
pub fn is_instance<M: Memory>(memory: &M, layout: &Layout, object: u64, class: u64) -> bool {
    let references = memory.u64(object).unwrap_or_default();
    type_of(memory, layout, object) == Ok(class) && (1..=MOST_REFERENCES).contains(&references)
}
