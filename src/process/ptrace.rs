//! The ptrace requests that leakspy makes, each a plain function.
//!
//! nix's wrappers do not support real-time signals (its `waitpid` fails on them), and a tracer that cannot
//! forward a signal swallows it. So the few requests needed go through libc, here and nowhere else. None of
//! them writes the target's memory; they do write the debug registers and the mask of blocked signals, which
//! are state of the thread, not memory.

use std::fs;
use std::io;
use std::mem::MaybeUninit;
use std::ptr;

/// What a wait reported about a traced thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It ended, with an exit status or by a signal.
    Ended,
    /// It is stopped: the signal, and for ptrace's own stops the event (`PTRACE_EVENT_*`).
    Stopped {
        /// The signal to be delivered, or the one that names the stop.
        signal: i32,
        /// 0 for the delivery of a signal.
        event: i32,
    },
}

/// The number of general registers.
pub const GENERAL: usize = if cfg!(target_arch = "aarch64") { 31 } else { 16 };

/// The registers that leakspy uses, by role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Registers {
    /// The instruction about to be executed.
    pub instruction: u64,
    /// The stack pointer.
    pub stack: u64,
    /// The first three integer arguments of the C calling convention.
    pub arguments: [u64; 3],
    /// The general registers in the order of the machine's own numbering.
    pub general: [u64; GENERAL],
    /// The return address where the calling convention keeps it in a register (aarch64).
    pub link: Option<u64>,
}

impl Registers {
    /// The return value of a function, just after it has returned.
    pub fn result(&self) -> u64 {
        // rax and x0 are both the first by number.
        self.general[0]
    }
}

/// Makes a request. The type of its number differs between C libraries.
fn request(request: impl Into<i64>, tid: i32, address: u64, data: u64) -> io::Result<i64> {
    // SAFETY: ptrace with integer arguments only; the kernel checks that `tid` is our tracee.
    let result = unsafe {
        libc::ptrace(
            request.into() as _,
            tid,
            address as *mut libc::c_void,
            data as *mut libc::c_void,
        )
    };
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// Begins to trace a thread without stopping it.
pub fn seize(tid: i32) -> io::Result<()> {
    request(libc::PTRACE_SEIZE, tid, 0, libc::PTRACE_O_TRACEEXEC as u64).map(drop)
}

/// The same, but the threads that it starts are traced too, from their first instruction on: each stops there
/// with `PTRACE_EVENT_STOP`.
pub fn seize_with_new_threads(tid: i32) -> io::Result<()> {
    let options = libc::PTRACE_O_TRACEEXEC | libc::PTRACE_O_TRACECLONE;
    request(libc::PTRACE_SEIZE, tid, 0, options as u64).map(drop)
}

/// Asks a thread to stop; a wait will report it with `PTRACE_EVENT_STOP`.
pub fn interrupt(tid: i32) -> io::Result<()> {
    request(libc::PTRACE_INTERRUPT, tid, 0, 0).map(drop)
}

/// Resumes a stopped thread, delivering `signal` (0: none).
pub fn resume(tid: i32, signal: i32) -> io::Result<()> {
    request(libc::PTRACE_CONT, tid, 0, signal as u64).map(drop)
}

/// Keeps a thread in the group stop (SIGSTOP, Ctrl-Z) that it reported, until SIGCONT.
pub fn listen(tid: i32) -> io::Result<()> {
    request(libc::PTRACE_LISTEN, tid, 0, 0).map(drop)
}

/// Stops tracing a stopped thread and resumes it, delivering `signal` (0: none).
pub fn detach(tid: i32, signal: i32) -> io::Result<()> {
    request(libc::PTRACE_DETACH, tid, 0, signal as u64).map(drop)
}

/// The `si_code`s that report an end.
const ENDS: [i32; 3] = [libc::CLD_EXITED, libc::CLD_KILLED, libc::CLD_DUMPED];

/// Waits for any traced thread (`None`) or for one; `block` says whether to sleep for it.
/// `Ok(None)`: nothing to report now. `ECHILD` is an error: nothing is traced (any more).
///
/// The end of a process that we have started ourselves is left for the code that waits for its exit status.
pub fn wait(tid: Option<i32>, block: bool) -> io::Result<Option<(i32, Status)>> {
    let options = libc::__WALL | if block { 0 } else { libc::WNOHANG };
    if let Some(tid) = tid {
        let peek = options | libc::WEXITED | libc::WSTOPPED | libc::WNOWAIT;
        if report_of(tid, peek).is_some_and(|code| ENDS.contains(&code)) && is_our_child(tid) {
            return Ok(Some((tid, Status::Ended)));
        }
    }
    let mut status = 0;
    loop {
        // SAFETY: `status` outlives the call.
        let found = unsafe { libc::waitpid(tid.unwrap_or(-1), &mut status, options) };
        match found {
            0 => return Ok(None),
            -1 => {
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::Interrupted {
                    return Err(error);
                }
            }
            found if libc::WIFSTOPPED(status) => {
                let signal = libc::WSTOPSIG(status);
                return Ok(Some((found, Status::Stopped { signal, event: status >> 16 })));
            }
            found => return Ok(Some((found, Status::Ended))),
        }
    }
}

/// Whether a traced thread has ended. If so, this call consumes the report of its end; a stop is left for a
/// later wait.
pub fn take_end(tid: i32) -> bool {
    // A tracer gets reports of stops whatever it waits for (`wait_task_stopped`, Linux kernel/exit.c), so the
    // report must be peeked at before it is consumed.
    let take = libc::WEXITED | libc::WNOHANG | libc::__WALL;
    report_of(tid, take | libc::WNOWAIT).is_some_and(|code| ENDS.contains(&code))
        && report_of(tid, take).is_some()
}

/// Whether this is a process started by us, not just a thread of one: the end of a thread is reported to its
/// tracer only.
fn is_our_child(tid: i32) -> bool {
    let text = fs::read(format!("/proc/{tid}/status")).unwrap_or_default();
    super::text::status(&text)
        .is_ok_and(|status| status.tgid == tid && status.ppid == std::process::id() as i32)
}

/// The `si_code` of what `waitid` has to report about a traced thread.
fn report_of(tid: i32, options: libc::c_int) -> Option<i32> {
    let mut found = MaybeUninit::<libc::siginfo_t>::zeroed();
    // SAFETY: `found` outlives the call, and all zeroes is a valid siginfo_t; the kernel fills in the
    // thread's id, or 0 for none.
    unsafe {
        let result = libc::waitid(libc::P_PID, tid as libc::id_t, found.as_mut_ptr(), options);
        let found = found.assume_init_ref();
        (result == 0 && found.si_pid() == tid).then_some(found.si_code)
    }
}

/// The `si_code` of the signal that stopped a thread.
pub fn signal_code(tid: i32) -> io::Result<i32> {
    signal_information(tid).map(|information| information.si_code)
}

/// The `sig_data` of the perf event that stopped a thread.
pub fn perf_data(tid: i32) -> io::Result<u64> {
    /// `siginfo_t` of a SIGTRAP with `TRAP_PERF` (Linux 5.13) on 64-bit machines.
    #[repr(C)]
    struct PerfTrap {
        signal: [i32; 4],
        address: u64,
        data: u64,
    }
    let information = signal_information(tid)?;
    // SAFETY: a siginfo_t is larger, aligned for words, and its bytes are all initialised.
    let trap = unsafe { ptr::from_ref(&information).cast::<PerfTrap>().read() };
    Ok(trap.data)
}

fn signal_information(tid: i32) -> io::Result<libc::siginfo_t> {
    let mut information = MaybeUninit::<libc::siginfo_t>::zeroed();
    let address = information.as_mut_ptr() as u64;
    request(libc::PTRACE_GETSIGINFO, tid, 0, address)?;
    // SAFETY: the kernel filled it, and all zeroes is a valid siginfo_t too.
    Ok(unsafe { information.assume_init() })
}

/// Which signals of a queue `PTRACE_PEEKSIGINFO` returns. Not every C library declares it.
#[repr(C)]
struct WhichSignals {
    offset: u64,
    flags: u32,
    number: i32,
}

/// Whether `signal` is pending in a stopped thread's own queue, with one of these `si_code`s.
pub fn has_pending(tid: i32, signal: i32, codes: &[i32]) -> io::Result<bool> {
    const MANY: usize = 32;
    let mut queue = [const { MaybeUninit::<libc::siginfo_t>::zeroed() }; MANY];
    let mut before = 0;
    loop {
        let arguments = WhichSignals { offset: before, flags: 0, number: MANY as i32 };
        let found = request(
            libc::PTRACE_PEEKSIGINFO,
            tid,
            ptr::from_ref(&arguments) as u64,
            queue.as_mut_ptr() as u64,
        )? as usize;
        let waits = queue.iter().take(found).any(|information| {
            // SAFETY: the kernel filled the first `found` entries, and a siginfo_t holds integers only.
            let information = unsafe { information.assume_init_ref() };
            information.si_signo == signal && codes.contains(&information.si_code)
        });
        if waits || found < MANY {
            return Ok(waits);
        }
        before += found as u64;
    }
}

/// The bit of a signal in a signal mask.
pub const fn signal_bit(signal: i32) -> u64 {
    1 << (signal - 1)
}

/// The signals that a stopped thread blocks, one [bit](signal_bit) each.
pub fn signal_mask(tid: i32) -> io::Result<u64> {
    let mut mask = 0u64;
    request(
        libc::PTRACE_GETSIGMASK,
        tid,
        size_of::<u64>() as u64,
        ptr::from_mut(&mut mask) as u64,
    )?;
    Ok(mask)
}

/// Sets the signals that a stopped thread blocks. The mask is kept by the kernel, not in the target's memory.
pub fn set_signal_mask(tid: i32, mask: u64) -> io::Result<()> {
    let size = size_of::<u64>() as u64;
    request(libc::PTRACE_SETSIGMASK, tid, size, ptr::from_ref(&mask) as u64).map(drop)
}

/// The registers of a stopped thread.
#[cfg(target_arch = "x86_64")]
pub fn registers(tid: i32) -> io::Result<Registers> {
    let mut all = MaybeUninit::<libc::user_regs_struct>::zeroed();
    request(libc::PTRACE_GETREGS, tid, 0, all.as_mut_ptr() as u64)?;
    // SAFETY: the kernel filled it; it holds integers only.
    let all = unsafe { all.assume_init() };
    Ok(Registers {
        instruction: all.rip,
        stack: all.rsp,
        arguments: [all.rdi, all.rsi, all.rdx],
        general: [
            all.rax, all.rcx, all.rdx, all.rbx, all.rsp, all.rbp, all.rsi, all.rdi, all.r8, all.r9,
            all.r10, all.r11, all.r12, all.r13, all.r14, all.r15,
        ],
        link: None,
    })
}

/// The registers of a stopped thread.
#[cfg(target_arch = "aarch64")]
pub fn registers(tid: i32) -> io::Result<Registers> {
    const NT_PRSTATUS: u64 = 1;
    let mut all = MaybeUninit::<libc::user_regs_struct>::zeroed();
    let mut piece = libc::iovec {
        iov_base: all.as_mut_ptr().cast(),
        iov_len: size_of::<libc::user_regs_struct>(),
    };
    request(libc::PTRACE_GETREGSET, tid, NT_PRSTATUS, ptr::from_mut(&mut piece) as u64)?;
    // SAFETY: the kernel filled it; it holds integers only.
    let all = unsafe { all.assume_init() };
    Ok(Registers {
        instruction: all.pc,
        stack: all.sp,
        arguments: [all.regs[0], all.regs[1], all.regs[2]],
        general: all.regs,
        link: Some(all.regs[30]),
    })
}

/// Writes one of the eight debug registers of a stopped thread (x86-64).
#[cfg(target_arch = "x86_64")]
pub fn set_debug_register(tid: i32, number: usize, value: u64) -> io::Result<()> {
    let first = std::mem::offset_of!(libc::user, u_debugreg);
    let offset = first + number * size_of::<u64>();
    request(libc::PTRACE_POKEUSER, tid, offset as u64, value).map(drop)
}

/// Reads one of the eight debug registers of a stopped thread (x86-64).
#[cfg(target_arch = "x86_64")]
pub fn debug_register(tid: i32, number: usize) -> io::Result<u64> {
    let first = std::mem::offset_of!(libc::user, u_debugreg);
    let offset = first + number * size_of::<u64>();
    let mut value = 0u64;
    // The system call itself, unlike its wrapper in the C library, stores the word at `data`.
    // SAFETY: `value` outlives the call; the kernel checks that `tid` is our tracee.
    let result = unsafe {
        libc::syscall(
            libc::SYS_ptrace,
            libc::PTRACE_PEEKUSER,
            tid,
            offset,
            ptr::from_mut(&mut value),
        )
    };
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(value) }
}

/// Writes a register set of a stopped thread (aarch64: `NT_ARM_HW_BREAK`, `NT_ARM_HW_WATCH`).
#[cfg(target_arch = "aarch64")]
pub fn set_register_set(tid: i32, kind: u64, bytes: &mut [u8]) -> io::Result<()> {
    let mut piece = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    request(libc::PTRACE_SETREGSET, tid, kind, ptr::from_mut(&mut piece) as u64).map(drop)
}

/// Reads a register set of a stopped thread (aarch64), and returns its length in bytes.
#[cfg(target_arch = "aarch64")]
pub fn register_set(tid: i32, kind: u64, bytes: &mut [u8]) -> io::Result<usize> {
    let mut piece = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    request(libc::PTRACE_GETREGSET, tid, kind, ptr::from_mut(&mut piece) as u64)?;
    Ok(piece.iov_len)
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::Command;

    use super::*;

    #[test]
    fn looking_for_an_end_leaves_a_stop_to_be_waited_for() {
        let mut child = Command::new("sleep").arg("60").spawn().expect("sleep is everywhere");
        let tid = child.id() as i32;
        seize(tid).expect("a child may be traced");
        interrupt(tid).expect("it is traced");
        let stopped = || {
            let stat = fs::read_to_string(format!("/proc/{tid}/stat")).unwrap_or_default();
            stat.contains(") t ")
        };
        while !stopped() {
            std::thread::yield_now();
        }
        assert!(!take_end(tid));
        let found = wait(Some(tid), false).expect("it is traced");
        assert!(matches!(found, Some((_, Status::Stopped { .. }))), "{found:?}");
        child.kill().expect("it is there");
        while !take_end(tid) {
            std::thread::yield_now();
        }
        // Its parent is its tracer here, and has already received the report.
        assert!(child.wait().is_err());
    }

    #[test]
    fn the_end_of_our_own_child_is_left_to_whoever_waits_for_it() {
        let mut child = Command::new("sleep").arg("100").spawn().expect("there is a sleep");
        let pid = child.id() as i32;
        seize(pid).expect("it is our child");
        child.kill().expect("it is there");
        let seen = wait(Some(pid), true).expect("it is traced");
        assert!(matches!(seen, Some((it, Status::Ended)) if it == pid), "{seen:?}");
        let status = child.wait().expect("its status is there");
        assert_eq!(status.signal(), Some(libc::SIGKILL));
    }
}
