//! Why a process died: the signal in its core, in words.

use super::notes::Signal;

/// Why, and in which thread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Death {
    /// The signal's number.
    pub number: i32,
    /// The signal's name, such as `SIGSEGV`.
    pub signal: &'static str,
    /// What it means, and why it was sent.
    pub reason: String,
    /// The address that the thread could not use.
    pub address: Option<u64>,
    /// The process that sent the signal, if it was sent.
    pub sender: Option<i32>,
    /// The thread that received it.
    pub tid: Option<i32>,
}

/// A signal: its number, its name, what it means, and the meanings of `si_code`.
type Row = (i32, &'static str, &'static str, &'static [(i32, &'static str)]);

/// The signals whose default action writes a core, and SIGKILL's kin that gcore may report.
const SIGNALS: &[Row] = &[
    (libc::SIGQUIT, "SIGQUIT", "quit from the terminal", &[]),
    (
        libc::SIGILL,
        "SIGILL",
        "an instruction that does not exist",
        &[(1, "illegal opcode"), (2, "illegal operand"), (5, "privileged opcode")],
    ),
    (
        libc::SIGTRAP,
        "SIGTRAP",
        "a breakpoint",
        &[(1, "breakpoint"), (2, "single step"), (4, "hardware breakpoint")],
    ),
    (libc::SIGABRT, "SIGABRT", "abort() was called", &[]),
    (
        libc::SIGBUS,
        "SIGBUS",
        "memory that cannot be accessed",
        &[
            (1, "the address is not aligned"),
            (2, "there is nothing at the address: the mapped file may have been truncated"),
            (3, "a hardware error"),
            (4, "the memory is broken"),
            (5, "the memory is broken"),
        ],
    ),
    (
        libc::SIGFPE,
        "SIGFPE",
        "arithmetic that has no result",
        &[(1, "division by zero"), (2, "integer overflow")],
    ),
    (
        libc::SIGSEGV,
        "SIGSEGV",
        "memory that may not be accessed",
        &[
            (1, "nothing is mapped at the address"),
            (2, "the mapping does not permit the access"),
            (128, "a bad address or a privileged instruction"),
        ],
    ),
    (libc::SIGXCPU, "SIGXCPU", "the limit of processor time", &[]),
    (libc::SIGXFSZ, "SIGXFSZ", "the limit of file size", &[]),
    (libc::SIGSYS, "SIGSYS", "a forbidden system call", &[(1, "seccomp forbids it")]),
];

/// Signals that a debugger stops a process with, besides those that it would die of.
const OF_DEBUGGERS: [i32; 3] = [0, libc::SIGSTOP, libc::SIGTRAP];
/// The signals that an address comes with.
const WITH_ADDRESS: [i32; 4] = [libc::SIGILL, libc::SIGBUS, libc::SIGFPE, libc::SIGSEGV];

impl Death {
    /// What a signal says; `None` if the process was alive when the core was written, as for gcore's.
    pub fn of(signal: Signal, tid: Option<i32>) -> Option<Death> {
        if OF_DEBUGGERS.contains(&signal.number) && signal.code <= 0 || signal.number == 0 {
            return None;
        }
        let row = SIGNALS.iter().find(|row| row.0 == signal.number);
        let (name, meaning, codes) = row.map_or(("", "", &[][..]), |row| (row.1, row.2, row.3));
        // Up to zero a process sent it (`kill`, `tgkill`, a timer); 128 is the kernel's own.
        let from_kernel = signal.code > 0;
        let code = codes.iter().find(|code| code.0 == signal.code).filter(|_| from_kernel);
        let address = from_kernel && signal.code != 128 && WITH_ADDRESS.contains(&signal.number);
        let sender = matches!(signal.code, libc::SI_USER | libc::SI_TKILL | libc::SI_QUEUE)
            .then_some((signal.word as u32).cast_signed())
            .filter(|&pid| pid > 0);
        let reason = code.map_or(meaning, |code| code.1).to_owned();
        Some(Death {
            number: signal.number,
            signal: name,
            reason,
            address: address.then_some(signal.word),
            sender,
            tid,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_gives_an_address_and_a_process_its_pid() {
        let fault = Signal { number: libc::SIGSEGV, code: 1, word: 0x10 };
        let fault = Death::of(fault, Some(7)).expect("it died");
        assert_eq!((fault.signal, fault.address, fault.sender), ("SIGSEGV", Some(0x10), None));
        assert_eq!(fault.reason, "nothing is mapped at the address");
        let sent = Signal { number: libc::SIGSEGV, code: 0, word: (3 << 32) | 99 };
        let sent = Death::of(sent, None).expect("it died");
        assert_eq!((sent.address, sent.sender), (None, Some(99)));
    }

    #[test]
    fn a_debugger_is_no_death() {
        for number in OF_DEBUGGERS {
            assert_eq!(Death::of(Signal { number, code: 0, word: 0 }, None), None);
        }
        let unknown = Death::of(Signal { number: 63, code: -1, word: 5 }, None).expect("a signal");
        assert_eq!((unknown.number, unknown.signal), (63, ""));
    }
}
