//! Hardware breakpoints: they report when an instruction is reached or a word is written, without changing a
//! byte of the target.
//!
//! The processor has a few debug registers for each thread (four on x86-64). There are two ways to set them,
//! behind one interface:
//! - [`perf`]: a perf event of type `PERF_TYPE_BREAKPOINT`. It is armed without stopping the thread,
//!   lets a number of hits pass inside the kernel, and is gone with its descriptor.
//! - [`registers`]: ptrace writes the debug registers of a stopped thread. Used where `perf_event_open` is
//!   not allowed, as in most containers. Every hit stops the thread.
//!
//! perf also gives [`ticks`], stops at random instants of a thread's own time.
//!
//! Either way a hit is a SIGTRAP that the tracer sees, so the process that arms must trace the thread
//! ([`Tracees`]), and must disarm it before releasing it.

pub mod cost;
pub mod perf;
pub mod registers;
pub mod ticks;

use std::io;
use std::time::{Duration, Instant};

use super::tracees::Tracees;
use crate::obstacle::{Obstacle, Obstructed, Obstruction};
use perf::PerfBreakpoints;
use registers::RegisterBreakpoints;
use ticks::{TICK, Ticks};

/// How many breakpoints a thread can have at a time on every supported processor.
pub const MOST_SPOTS: usize = 4;

/// What triggers a breakpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The instruction at the address is about to be executed.
    Execute,
    /// Some of the `length` bytes at the address (1, 2, 4 or 8, aligned) were written.
    Write {
        /// Bytes watched.
        length: u8,
    },
    /// Some of the `length` bytes at the address (1, 2, 4 or 8, aligned) were read or written. On x86-64 the
    /// thread stops after the instruction that did it.
    Access {
        /// Bytes watched.
        length: u8,
    },
}

/// An address, and what triggers a breakpoint there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spot {
    /// The address in the target.
    pub address: u64,
    /// What triggers the breakpoint.
    pub kind: Kind,
}

/// How breakpoints are set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Way {
    /// Through perf events.
    Perf,
    /// Through ptrace and the debug registers themselves.
    Ptrace,
}

/// Why breakpoints are not available.
#[derive(Debug, thiserror::Error)]
pub enum BreakpointError {
    /// Only on x86-64 is it known what a thread has done, and what it does next, when it stops at one.
    #[error("on processors of this kind it is not understood yet what a thread does at one")]
    Architecture,
    /// perf events were requested and refused.
    #[error("the kernel refuses perf breakpoints: {0}")]
    Perf(#[source] io::Error),
    /// Neither way works here.
    #[error("no hardware breakpoints to be had (perf: {perf}; ptrace: {ptrace})")]
    None {
        /// What the kernel said to perf events.
        perf: io::Error,
        /// What it said to ptrace.
        ptrace: io::Error,
    },
    /// ptrace was requested and does not work.
    #[error("the kernel refuses to set debug registers: {0}")]
    Registers(#[source] io::Error),
}

impl Obstructed for BreakpointError {
    fn obstacle(&self) -> Option<Obstruction> {
        match self {
            BreakpointError::Architecture
            | BreakpointError::Perf(_)
            | BreakpointError::None { .. }
            | BreakpointError::Registers(_) => {
                Obstacle::NoBreakpoints { reason: self.to_string() }.of_target()
            }
        }
    }
}

/// A period of time, in nanoseconds of `CLOCK_MONOTONIC`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// When it began.
    pub from: u64,
    /// When it ended; `u64::MAX` if it has not ended.
    pub to: u64,
}

/// When threads could have run but did not, as recorded by the kernel.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Interruptions {
    /// From each hit that stopped a thread until the thread ran again.
    pub stops: Vec<Span>,
    /// When a thread was ready to run but its processor was taken by others.
    pub preemptions: Vec<Span>,
    /// Threads that were not on a processor when they were armed, and when they next ran. It is not known
    /// whether they were asleep or ready to run before.
    pub returns: Vec<(i32, u64)>,
}

/// How often threads were halted to be armed or disarmed, and how long they were held.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Halts {
    /// How often.
    pub number: u32,
    /// The total time from when we knew that they had stopped until they were resumed.
    pub held: Duration,
}

impl Halts {
    fn add(&mut self, halted: Instant) {
        self.number += 1;
        self.held += halted.elapsed();
    }
}

/// Breakpoints at the same spots in any number of threads, set in either way.
#[derive(Debug)]
pub enum Breakpoints {
    /// Through perf events.
    Perf(PerfBreakpoints),
    /// Through ptrace.
    Registers(RegisterBreakpoints),
}

impl Breakpoints {
    /// Prepares breakpoints at `spots`, in the requested way or (`None`) in the first that works. Each way is
    /// tried on the traced thread `tid`.
    pub fn prepare(
        way: Option<Way>,
        spots: &[Spot],
        tracees: &mut Tracees,
        tid: i32,
    ) -> Result<Breakpoints, BreakpointError> {
        if !cfg!(target_arch = "x86_64") {
            return Err(BreakpointError::Architecture);
        }
        let refusal = match way {
            Some(Way::Ptrace) => None,
            Some(Way::Perf) | None => match PerfBreakpoints::prepare(spots, tid) {
                Ok(perf) => return Ok(Breakpoints::Perf(perf)),
                Err(error) if way.is_some() => return Err(BreakpointError::Perf(error)),
                Err(error) => Some(error),
            },
        };
        match (RegisterBreakpoints::prepare(spots, tracees, tid), refusal) {
            (Ok(registers), _) => Ok(Breakpoints::Registers(registers)),
            (Err(ptrace), None) => Err(BreakpointError::Registers(ptrace)),
            (Err(ptrace), Some(perf)) => Err(BreakpointError::None { perf, ptrace }),
        }
    }

    /// How they are set.
    pub fn way(&self) -> Way {
        match self {
            Breakpoints::Perf(_) => Way::Perf,
            Breakpoints::Registers(_) => Way::Ptrace,
        }
    }

    /// Moves the breakpoints to `spots`, which must not be more than those prepared. Only while nothing is
    /// armed.
    pub fn aim(&mut self, spots: &[Spot]) {
        match self {
            Breakpoints::Perf(perf) => perf.aim(spots),
            Breakpoints::Registers(registers) => registers.aim(spots),
        }
    }

    /// The number of the spot at which a thread has stopped.
    pub fn spot_of(&self, tid: i32) -> io::Result<usize> {
        match self {
            Breakpoints::Perf(_) => perf::spot_of(tid),
            Breakpoints::Registers(_) => registers::spot_of(tid),
        }
    }

    /// Arms one thread. `skip` returns how many hits to let pass before each one that stops the thread; where
    /// the kernel cannot count, every hit stops it. `Ok(false)`: the thread could not be armed now, because
    /// it has ended, sleeps in the kernel, or was stopped by another process.
    pub fn arm(
        &mut self,
        tracees: &mut Tracees,
        tid: i32,
        skip: &mut dyn FnMut() -> u64,
    ) -> io::Result<bool> {
        match self {
            Breakpoints::Perf(perf) => perf.arm(tid, skip),
            Breakpoints::Registers(registers) => registers.arm(tracees, tid),
        }
    }

    /// Moves the breakpoints of an armed thread to other spots, until all threads are disarmed. There must
    /// not be more spots than were prepared.
    pub fn redirect(&mut self, tracees: &mut Tracees, tid: i32, spots: &[Spot]) -> io::Result<()> {
        match self {
            Breakpoints::Perf(perf) => perf.redirect(tid, spots),
            Breakpoints::Registers(registers) => registers.redirect(tracees, tid, spots),
        }
    }

    /// Stops at random instants, which [`disarm`](Self::disarm) ends; `None` where the kernel does not give
    /// them.
    pub fn ticks(&mut self) -> Option<&mut Ticks> {
        match self {
            Breakpoints::Perf(perf) => Some(perf.ticks()),
            Breakpoints::Registers(_) => None,
        }
    }

    /// Whether a stopped thread has not reached a breakpoint but was stopped by a tick.
    pub fn is_tick(&self, tid: i32) -> bool {
        self.can_skip() && perf::spot_of(tid).is_ok_and(|spot| spot as u64 == TICK)
    }

    /// Disarms every thread. A hit that is already under way is still reported by [`Tracees::next_event`].
    pub fn disarm(&mut self, tracees: &mut Tracees) -> io::Result<()> {
        match self {
            Breakpoints::Perf(perf) => perf.disarm(),
            Breakpoints::Registers(registers) => registers.disarm(tracees),
        }
    }

    /// Whether some thread could not be disarmed; then disarm again.
    pub fn is_armed(&self) -> bool {
        match self {
            Breakpoints::Perf(_) => false,
            Breakpoints::Registers(registers) => registers.is_armed(),
        }
    }

    /// Whether hits can pass without stopping the thread.
    pub fn can_skip(&self) -> bool {
        matches!(self, Breakpoints::Perf(_))
    }

    /// Sets how many hits to let pass in a thread that is stopped at a hit of the spot numbered `spot`.
    pub fn skip(&mut self, tid: i32, spot: usize, hits: u64) -> io::Result<()> {
        match self {
            Breakpoints::Perf(perf) => perf.skip(tid, spot, hits),
            Breakpoints::Registers(_) => Ok(()),
        }
    }

    /// Forgets a thread that has ended.
    pub fn forget(&mut self, tid: i32) {
        match self {
            Breakpoints::Perf(perf) => perf.forget(tid),
            Breakpoints::Registers(registers) => registers.forget(tid),
        }
    }

    /// All hits of all threads since they were first armed, including those that were let pass; `None` where
    /// the kernel does not count.
    pub fn hits(&self) -> Option<u64> {
        match self {
            Breakpoints::Perf(perf) => Some(perf.hits()),
            Breakpoints::Registers(_) => None,
        }
    }

    /// How threads were halted since the last call, to be armed or disarmed.
    pub fn take_halts(&mut self) -> Halts {
        match self {
            Breakpoints::Perf(_) => Halts::default(),
            Breakpoints::Registers(registers) => registers.take_halts(),
        }
    }

    /// What interrupted armed threads since the last call; `None` where the kernel does not record it.
    pub fn interruptions(&mut self) -> Option<Interruptions> {
        match self {
            Breakpoints::Perf(perf) => perf.interruptions(),
            Breakpoints::Registers(_) => None,
        }
    }
}
