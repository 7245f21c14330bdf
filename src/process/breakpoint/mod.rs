//! Hardware breakpoints: being told of the moment at which an instruction is reached or a word is
//! written, without a byte of the target changed.
//!
//! The processor has a few debug registers for each thread (four on x86-64). There are two ways to
//! them behind one interface:
//! - [`perf`]: a perf event of type `PERF_TYPE_BREAKPOINT`. It is armed without stopping the thread,
//!   lets a number of hits pass inside the kernel, and is gone with its descriptor.
//! - [`registers`]: ptrace writes the debug registers of a stopped thread. For where
//!   `perf_event_open` is not allowed, as in most containers. Every hit stops the thread.
//!
//! Either way a hit is a SIGTRAP that the tracer sees, so whoever arms must trace the thread
//! ([`Tracees`]), and must disarm before it lets go.

pub mod cost;
pub mod perf;
pub mod registers;

use std::io;
use std::time::{Duration, Instant};

use super::tracees::Tracees;
use crate::obstacle::{Obstacle, Obstructed, Obstruction};
use perf::PerfBreakpoints;
use registers::RegisterBreakpoints;

/// How many breakpoints a thread can have at a time on every processor that is supported.
pub const MOST_SPOTS: usize = 4;

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The instruction at the address is about to be executed.
    Execute,
    /// Some of the `length` bytes at the address (1, 2, 4 or 8, aligned) were written.
    Write {
        /// Bytes watched.
        length: u8,
    },
    /// Some of the `length` bytes at the address (1, 2, 4 or 8, aligned) were read or written. On
    /// x86-64 the thread stands behind the instruction that did it.
    Access {
        /// Bytes watched.
        length: u8,
    },
}

/// Where, and what for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spot {
    /// The address in the target.
    pub address: u64,
    /// What is waited for there.
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

/// Why no breakpoint can be had.
#[derive(Debug, thiserror::Error)]
pub enum BreakpointError {
    /// perf events were asked for and refused.
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
    /// ptrace's way was asked for and does not work.
    #[error("the kernel refuses to set debug registers: {0}")]
    Registers(#[source] io::Error),
}

impl Obstructed for BreakpointError {
    fn obstacle(&self) -> Option<Obstruction> {
        match self {
            BreakpointError::Perf(_)
            | BreakpointError::None { .. }
            | BreakpointError::Registers(_) => {
                Obstacle::NoBreakpoints { reason: self.to_string() }.of_target()
            }
        }
    }
}

/// A while from one moment to another, in nanoseconds of `CLOCK_MONOTONIC`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// When it began.
    pub from: u64,
    /// When it ended; `u64::MAX` if it has not.
    pub to: u64,
}

/// When threads could have run and did not, as the kernel saw it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Interruptions {
    /// From each hit that stopped a thread to when that thread ran again.
    pub stops: Vec<Span>,
    /// While other programs had the processor of a thread that was ready to run.
    pub preemptions: Vec<Span>,
    /// Threads that had no processor when they were armed, and when they had one again. Whether they
    /// were asleep till then or ready to run is not known.
    pub returns: Vec<(i32, u64)>,
}

/// How often threads were halted to be armed or disarmed, and how long they were held.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Halts {
    /// How often.
    pub number: u32,
    /// From when we knew that they had stopped to when they were let go, all together.
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
    /// Prepares breakpoints at `spots`, in the way asked for or (`None`) in the first that works for
    /// the traced thread `tid`; it is tried there.
    pub fn prepare(
        way: Option<Way>,
        spots: &[Spot],
        tracees: &mut Tracees,
        tid: i32,
    ) -> Result<Breakpoints, BreakpointError> {
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

    /// The way in which they are set.
    pub fn way(&self) -> Way {
        match self {
            Breakpoints::Perf(_) => Way::Perf,
            Breakpoints::Registers(_) => Way::Ptrace,
        }
    }

    /// From now on waits at `spots`, which must not be more than those prepared. Only while nothing is
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

    /// Arms one thread. `skip` draws how many hits to let pass before each that stops the thread;
    /// where the kernel cannot count, every hit stops it. `Ok(false)`: the thread could not be armed
    /// now, because it has ended, sleeps in the kernel or is stopped by somebody else.
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

    /// Lets an armed thread wait at other spots, until all are disarmed. They must not be more than those
    /// prepared.
    pub fn redirect(&mut self, tracees: &mut Tracees, tid: i32, spots: &[Spot]) -> io::Result<()> {
        match self {
            Breakpoints::Perf(perf) => perf.redirect(tid, spots),
            Breakpoints::Registers(registers) => registers.redirect(tracees, tid, spots),
        }
    }

    /// Disarms every thread. A hit on its way is still reported by [`Tracees::next_event`].
    pub fn disarm(&mut self, tracees: &mut Tracees) -> io::Result<()> {
        match self {
            Breakpoints::Perf(perf) => perf.disarm(),
            Breakpoints::Registers(registers) => registers.disarm(tracees),
        }
    }

    /// Whether some thread could not be disarmed, and must be tried again.
    pub fn is_armed(&self) -> bool {
        match self {
            Breakpoints::Perf(_) => false,
            Breakpoints::Registers(registers) => registers.is_armed(),
        }
    }

    /// Whether hits can pass without a stop.
    pub fn can_skip(&self) -> bool {
        matches!(self, Breakpoints::Perf(_))
    }

    /// How many hits to let pass in a thread that stands still at a hit of the spot numbered `spot`.
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

    /// All hits of all threads since they were armed for the first time, the passed ones included;
    /// `None` where the kernel does not count.
    pub fn hits(&self) -> Option<u64> {
        match self {
            Breakpoints::Perf(perf) => Some(perf.hits()),
            Breakpoints::Registers(_) => None,
        }
    }

    /// How threads were held since the last call, to be armed or disarmed.
    pub fn take_halts(&mut self) -> Halts {
        match self {
            Breakpoints::Perf(_) => Halts::default(),
            Breakpoints::Registers(registers) => registers.take_halts(),
        }
    }

    /// What interrupted armed threads since the last call; `None` where the kernel does not tell.
    pub fn interruptions(&mut self) -> Option<Interruptions> {
        match self {
            Breakpoints::Perf(perf) => perf.interruptions(),
            Breakpoints::Registers(_) => None,
        }
    }
}
