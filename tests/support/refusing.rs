//! System calls that are refused to a child, as the seccomp filter of a container refuses them.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use libc::{c_long, sock_filter, sock_fprog};

/// A system call, and the kernel's answer to it.
#[derive(Debug, Clone, Copy)]
pub struct Refusal {
    /// Its number (`libc::SYS_…`).
    pub call: c_long,
    /// Only with this first argument; `None` for any.
    pub request: Option<u32>,
    /// The error that it returns.
    pub error: i32,
}

/// Where `struct seccomp_data` (linux/seccomp.h) has the number of the call, and the first argument
/// (its lower half: this is for little-endian machines).
const NUMBER: u32 = 0;
const FIRST_ARGUMENT: u32 = 16;

/// Makes the kernel refuse these calls to the program that `command` starts, and to its descendants.
pub fn refuse(command: &mut Command, refusals: &[Refusal]) {
    let mut filter = vec![load(NUMBER)];
    for refusal in refusals {
        let refused = give(libc::SECCOMP_RET_ERRNO | refusal.error as u32);
        match refusal.request {
            None => filter.extend([unless_equal(refusal.call as u32, 1), refused]),
            Some(request) => filter.extend([
                unless_equal(refusal.call as u32, 4),
                load(FIRST_ARGUMENT),
                unless_equal(request, 1),
                refused,
                load(NUMBER),
            ]),
        }
    }
    filter.push(give(libc::SECCOMP_RET_ALLOW));
    // SAFETY: between fork and exec only two system calls are made, on memory that already exists.
    unsafe {
        command.pre_exec(move || {
            let program = sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
            let filtering = libc::SECCOMP_MODE_FILTER;
            let result = libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
                | libc::prctl(libc::PR_SET_SECCOMP, filtering, &raw const program);
            if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
        });
    }
}

fn load(offset: u32) -> sock_filter {
    sock_filter {
        code: (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16,
        jt: 0,
        jf: 0,
        k: offset,
    }
}

/// Skips some instructions unless the loaded value is this one.
fn unless_equal(value: u32, skip: u8) -> sock_filter {
    let code = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    sock_filter { code, jt: 0, jf: skip, k: value }
}

fn give(result: u32) -> sock_filter {
    sock_filter { code: (libc::BPF_RET | libc::BPF_K) as u16, jt: 0, jf: 0, k: result }
}
