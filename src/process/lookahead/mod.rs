//! What a stopped thread is about to pass to a function, found by following its instructions without
//! running them.
//!
//! A compiler that knows where a function pointer usually points (profile-guided optimisation) inlines that
//! function at the call:
//!
//! ```c
//! if (pointer == function) { /* the body of the function */ } else { pointer(a, b); }
//! ```
//!
//! The function itself is then never reached, and in the inlined copy the arguments are wherever the compiler
//! put them. But the other branch still passes them in the right registers. So a thread that has just read
//! the pointer is followed up to the call, as if it had read another value.
//!
//! Relies on the registers and memory of the stopped thread, and on nothing that is not certain: the result
//! of an instruction that is not among the few understood here counts as unknown, and a branch that depends
//! on it ends the search.

use super::ptrace::Registers;
use crate::memory::Memory;

#[cfg(target_arch = "x86_64")]
mod x86_64;

/// The call that the thread would make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallAhead {
    /// Its first three integer arguments, where they are known.
    pub arguments: [Option<u64>; 3],
    /// Where it would return to, if that is known.
    pub returns_to: Option<u64>,
}

/// Follows a thread that has just read the function pointer at `pointer`, which is `function`, to the call it
/// would make if the pointer held another function. `code` may be a cache, `data` may not.
#[cfg(target_arch = "x86_64")]
pub fn call_ahead(
    code: &impl Memory,
    data: &impl Memory,
    registers: &Registers,
    pointer: u64,
    function: u64,
) -> Option<CallAhead> {
    x86_64::Thread::new(code, data, registers, pointer, function).follow()
}

/// Not understood on this machine.
#[cfg(not(target_arch = "x86_64"))]
pub fn call_ahead(
    _code: &impl Memory,
    _data: &impl Memory,
    _registers: &Registers,
    _pointer: u64,
    _function: u64,
) -> Option<CallAhead> {
    None
}
