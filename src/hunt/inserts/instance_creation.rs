//! Whether a thread that has just added a reference to a class did so by creating an instance.
//!
//! Python code that only names a class adds a reference too, for a moment. But code that creates an instance
//! is holding it at that moment: some register has the address of an object whose type is the class, and
//! which the collector has not been told of yet. `_PyObject_Init` and `PyObject_Init` set `ob_type`, then
//! count the reference to it, then set `ob_refcnt` to 1, and their callers hand the object to the collector
//! after that (`PyType_GenericAlloc`, Objects/typeobject.c, 3.8 to 3.15). An older object in a register,
//! whose class is being looked up, is known to the collector. Objects of classes without cycles never are; of
//! those, only a new one has no other references.

use crate::memory::Memory;
use crate::process::ptrace::Registers;
use crate::python::Python;

/// Addresses below this are not pointers.
const LOWEST: u64 = 4096;
/// Addresses of user space are below this (x86-64 with 4-level page tables, and aarch64).
const HIGHEST: u64 = 1 << 47;
/// The new instance of `class` that a thread with these registers is making, if it is.
pub fn newborn<M: Memory>(
    memory: &M,
    python: &Python,
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
        if python.is_new_instance(memory, value, class, are_gc) == Ok(true) {
            return Some(value);
        }
    }
    None
}
