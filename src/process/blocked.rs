//! What a thread waits for in the kernel: the system call that it is in, and what that is about.
//!
//! From `/proc/PID/task/TID/syscall`, or from the registers in a core file. A pause interrupts system calls, so it
//! must be read before one.

use serde::{Deserialize, Serialize};

/// A system call in which a thread is blocked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SystemCall {
    /// Its number.
    pub number: i64,
    /// Its arguments.
    pub arguments: [u64; 6],
}

/// What a thread waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wait {
    /// What kind of thing.
    pub kind: WaitKind,
    /// The name of the system call, or its number.
    pub call: String,
    /// The file descriptor, where it is about one.
    pub descriptor: Option<i32>,
    /// What that descriptor is, as the kernel names it: a path, `pipe:[123]`, `socket:[123]`.
    pub file: Option<String>,
    /// The word that a futex waits for.
    #[serde(skip)]
    pub futex: Option<u64>,
}

/// The kinds of things that a thread waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WaitKind {
    /// The global interpreter lock.
    Gil,
    /// A lock, a semaphore, a condition, or another thread.
    Lock,
    /// Input or output.
    Io,
    /// Time to pass.
    Sleep,
    /// A child process.
    Child,
    /// A signal.
    Signal,
    /// Something else.
    Other,
}

/// Whether the first argument is a file descriptor.
type HasDescriptor = bool;

/// A kind of system call: its number, name, what it waits for.
type Known = (i64, &'static str, WaitKind, HasDescriptor);

const fn io(number: i64, name: &'static str) -> Known {
    (number, name, WaitKind::Io, true)
}

const fn without_file(number: i64, name: &'static str, kind: WaitKind) -> Known {
    (number, name, kind, false)
}

/// System calls that wait, on every architecture.
const KNOWN: &[Known] = &[
    io(libc::SYS_read, "read"),
    io(libc::SYS_readv, "readv"),
    io(libc::SYS_pread64, "pread64"),
    io(libc::SYS_preadv, "preadv"),
    io(libc::SYS_write, "write"),
    io(libc::SYS_writev, "writev"),
    io(libc::SYS_pwrite64, "pwrite64"),
    io(libc::SYS_pwritev, "pwritev"),
    io(libc::SYS_recvfrom, "recvfrom"),
    io(libc::SYS_recvmsg, "recvmsg"),
    io(libc::SYS_recvmmsg, "recvmmsg"),
    io(libc::SYS_sendto, "sendto"),
    io(libc::SYS_sendmsg, "sendmsg"),
    io(libc::SYS_sendmmsg, "sendmmsg"),
    io(libc::SYS_accept, "accept"),
    io(libc::SYS_accept4, "accept4"),
    io(libc::SYS_connect, "connect"),
    io(libc::SYS_ioctl, "ioctl"),
    io(libc::SYS_sendfile, "sendfile"),
    io(libc::SYS_splice, "splice"),
    io(libc::SYS_fsync, "fsync"),
    io(libc::SYS_fdatasync, "fdatasync"),
    (libc::SYS_flock, "flock", WaitKind::Lock, true),
    (libc::SYS_fcntl, "fcntl", WaitKind::Lock, true),
    without_file(libc::SYS_openat, "openat", WaitKind::Io),
    without_file(libc::SYS_ppoll, "ppoll", WaitKind::Io),
    without_file(libc::SYS_pselect6, "pselect6", WaitKind::Io),
    without_file(libc::SYS_epoll_pwait, "epoll_pwait", WaitKind::Io),
    without_file(libc::SYS_epoll_pwait2, "epoll_pwait2", WaitKind::Io),
    without_file(libc::SYS_io_getevents, "io_getevents", WaitKind::Io),
    without_file(libc::SYS_io_uring_enter, "io_uring_enter", WaitKind::Io),
    without_file(libc::SYS_msgrcv, "msgrcv", WaitKind::Io),
    without_file(libc::SYS_msgsnd, "msgsnd", WaitKind::Io),
    without_file(libc::SYS_mq_timedreceive, "mq_timedreceive", WaitKind::Io),
    without_file(libc::SYS_mq_timedsend, "mq_timedsend", WaitKind::Io),
    without_file(libc::SYS_futex, "futex", WaitKind::Lock),
    without_file(libc::SYS_semop, "semop", WaitKind::Lock),
    without_file(libc::SYS_semtimedop, "semtimedop", WaitKind::Lock),
    without_file(libc::SYS_nanosleep, "nanosleep", WaitKind::Sleep),
    without_file(libc::SYS_clock_nanosleep, "clock_nanosleep", WaitKind::Sleep),
    without_file(libc::SYS_wait4, "wait4", WaitKind::Child),
    without_file(libc::SYS_waitid, "waitid", WaitKind::Child),
    without_file(libc::SYS_rt_sigtimedwait, "rt_sigtimedwait", WaitKind::Signal),
    without_file(libc::SYS_rt_sigsuspend, "rt_sigsuspend", WaitKind::Signal),
];

/// Those that only older architectures have.
#[cfg(target_arch = "x86_64")]
const OLDER: &[Known] = &[
    without_file(libc::SYS_open, "open", WaitKind::Io),
    without_file(libc::SYS_poll, "poll", WaitKind::Io),
    without_file(libc::SYS_select, "select", WaitKind::Io),
    without_file(libc::SYS_epoll_wait, "epoll_wait", WaitKind::Io),
    without_file(libc::SYS_pause, "pause", WaitKind::Signal),
];
#[cfg(not(target_arch = "x86_64"))]
const OLDER: &[Known] = &[];

impl SystemCall {
    /// What it waits for. `channel` is the function of the kernel in which the thread waits (`wchan`), if that is
    /// known: a call that a pause has interrupted goes on as `restart_syscall`, which says nothing else.
    pub fn wait(&self, channel: &str) -> Wait {
        let mut known = KNOWN.iter().chain(OLDER).filter(|known| known.0 == self.number);
        let (call, kind, has_descriptor) = match known.next() {
            Some(&(_, name, kind, has_descriptor)) => (name.to_owned(), kind, has_descriptor),
            None if self.number == libc::SYS_restart_syscall => {
                ("restart_syscall".to_owned(), by_channel(channel), false)
            }
            None => (self.number.to_string(), WaitKind::Other, false),
        };
        let [first, ..] = self.arguments;
        let is_futex = self.number == libc::SYS_futex;
        Wait {
            kind: if self.is_sleep() { WaitKind::Sleep } else { kind },
            call,
            descriptor: has_descriptor.then_some(first as i32),
            file: None,
            futex: is_futex.then_some(first),
        }
    }

    /// Whether it waits for no file, so that only its time can end it: `time.sleep` up to 3.10.
    fn is_sleep(&self) -> bool {
        let [first, second, third, fourth, ..] = self.arguments;
        let no_sets = first as i32 == 0 || [second, third, fourth] == [0; 3];
        #[cfg(target_arch = "x86_64")]
        match self.number {
            libc::SYS_select => return no_sets,
            libc::SYS_poll => return second == 0,
            _ => {}
        }
        match self.number {
            libc::SYS_pselect6 => no_sets,
            libc::SYS_ppoll => second == 0,
            _ => false,
        }
    }
}

/// What a function of the kernel waits for.
fn by_channel(channel: &str) -> WaitKind {
    if channel.contains("nanosleep") {
        WaitKind::Sleep
    } else if channel.starts_with("futex") {
        WaitKind::Lock
    } else if channel.contains("poll") {
        WaitKind::Io
    } else {
        WaitKind::Other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(number: i64, arguments: [u64; 6]) -> Wait {
        SystemCall { number, arguments }.wait("")
    }

    #[test]
    fn a_call_says_what_it_waits_for() {
        let read = wait(libc::SYS_read, [7, 1, 2, 0, 0, 0]);
        assert_eq!((read.kind, &*read.call, read.descriptor), (WaitKind::Io, "read", Some(7)));
        let futex = wait(libc::SYS_futex, [0x7000, 0, 2, 0, 0, 0]);
        assert_eq!((futex.kind, futex.futex), (WaitKind::Lock, Some(0x7000)));
        assert_eq!(wait(libc::SYS_pselect6, [0, 0, 0, 0, 9, 0]).kind, WaitKind::Sleep);
        assert_eq!(wait(libc::SYS_pselect6, [3, 8, 0, 0, 9, 0]).kind, WaitKind::Io);
        let strange = wait(4321, [0; 6]);
        assert_eq!((strange.kind, &*strange.call), (WaitKind::Other, "4321"));
    }

    #[test]
    fn a_call_that_was_interrupted_is_told_by_where_it_waits() {
        let restarted = SystemCall { number: libc::SYS_restart_syscall, arguments: [0; 6] };
        assert_eq!(restarted.wait("hrtimer_nanosleep").kind, WaitKind::Sleep);
        assert_eq!(restarted.wait("futex_wait_queue").kind, WaitKind::Lock);
        assert_eq!(restarted.wait("do_sys_poll").kind, WaitKind::Io);
        assert_eq!(restarted.wait("0").kind, WaitKind::Other);
    }
}
