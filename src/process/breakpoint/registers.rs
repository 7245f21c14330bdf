//! Breakpoints by ptrace: the debug registers of stopped threads, one thread at a time.
//!
//! Relies on `PTRACE_POKEUSER` into `struct user`'s `u_debugreg` (x86-64) or the register sets
//! `NT_ARM_HW_BREAK` and `NT_ARM_HW_WATCH` (aarch64; compiled for, not run). Threads and processes started by
//! an armed thread do not inherit these registers, and the kernel clears them at `execve`. An armed thread
//! that loses its tracer is killed by its next hit, so windows are short.

use std::io;
use std::time::Instant;

use rustc_hash::FxHashSet;

use super::{Halts, Spot};
use crate::process::tracees::Tracees;

/// Debug registers at the same spots in any number of threads.
#[derive(Debug)]
pub struct RegisterBreakpoints {
    spots: Vec<Spot>,
    armed: FxHashSet<i32>,
    halts: Halts,
}

impl RegisterBreakpoints {
    /// Tries the registers on the traced thread `tid`, and leaves them clear.
    pub fn prepare(
        spots: &[Spot],
        tracees: &mut Tracees,
        tid: i32,
    ) -> io::Result<RegisterBreakpoints> {
        let mut registers = RegisterBreakpoints {
            spots: spots.to_vec(),
            armed: FxHashSet::default(),
            halts: Halts::default(),
        };
        if !registers.arm(tracees, tid)? {
            return Err(io::ErrorKind::NotFound.into());
        }
        registers.disarm(tracees)?;
        Ok(registers)
    }

    /// Changes the spots.
    pub fn aim(&mut self, spots: &[Spot]) {
        self.spots.clear();
        self.spots.extend_from_slice(spots);
    }

    /// Sets the registers of one thread, stopping it to do so. `Ok(false)`: it did not stop, or another
    /// process has stopped it (SIGSTOP, Ctrl-Z), and it is left alone.
    pub fn arm(&mut self, tracees: &mut Tracees, tid: i32) -> io::Result<bool> {
        if self.armed.contains(&tid) {
            return Ok(true);
        }
        if tracees.is_suspended(tid) || !tracees.halt(tid)? {
            return Ok(false);
        }
        let halted = Instant::now();
        let set = machine::set(tid, &self.spots);
        match &set {
            Ok(()) => {
                self.armed.insert(tid);
            }
            // A partly armed thread is armed too: clear all registers before it runs again.
            Err(_) => drop(machine::clear(tid, self.spots.len())),
        }
        tracees.resume(tid)?;
        self.halts.add(halted);
        set.map(|()| true)
    }

    /// Moves the breakpoints of an armed thread to other spots, stopping it first if it runs.
    pub fn redirect(&mut self, tracees: &mut Tracees, tid: i32, spots: &[Spot]) -> io::Result<()> {
        let runs = !tracees.is_stopped(tid);
        if !self.armed.contains(&tid) || !tracees.halt(tid)? {
            return Ok(());
        }
        let halted = Instant::now();
        machine::clear(tid, self.spots.len())?;
        machine::set(tid, spots)?;
        if runs {
            tracees.resume(tid)?;
            self.halts.add(halted);
        }
        Ok(())
    }

    /// Clears the registers of all threads. A thread that does not stop stays armed, and is cleared by a
    /// later call: [`RegisterBreakpoints::is_armed`] says whether any is left.
    pub fn disarm(&mut self, tracees: &mut Tracees) -> io::Result<()> {
        let spots = self.spots.len();
        let mut left = FxHashSet::default();
        for tid in self.armed.drain() {
            if !tracees.halt(tid)? {
                if tracees.contains(tid) {
                    left.insert(tid);
                }
                continue;
            }
            let halted = Instant::now();
            machine::clear(tid, spots)?;
            tracees.resume(tid)?;
            self.halts.add(halted);
        }
        self.armed = left;
        Ok(())
    }

    /// How threads were halted since the last call.
    pub fn take_halts(&mut self) -> Halts {
        std::mem::take(&mut self.halts)
    }

    /// Whether some thread is still armed.
    pub fn is_armed(&self) -> bool {
        !self.armed.is_empty()
    }

    /// Forgets a thread that has ended.
    pub fn forget(&mut self, tid: i32) {
        self.armed.remove(&tid);
    }
}

/// The number of the spot at which a thread has stopped.
pub fn spot_of(tid: i32) -> io::Result<usize> {
    machine::spot_of(tid)
}

#[cfg(target_arch = "x86_64")]
mod machine {
    //! x86-64: DR0 to DR3 hold addresses, DR7 says which are on and what for
    //! (Intel SDM volume 3, 17.2.4).
    use std::io;

    use super::super::Kind;
    use super::Spot;
    use crate::process::ptrace::{debug_register, set_debug_register};

    const STATUS: usize = 6;
    const CONTROL: usize = 7;

    /// The control word that enables the first registers for these spots, in this task only.
    pub fn control(spots: &[Spot]) -> u64 {
        let one = |(number, spot): (usize, &Spot)| {
            let (condition, length) = match spot.kind {
                Kind::Execute => (0b00, 0b00),
                Kind::Write { length } => (0b01, size(length)),
                Kind::Access { length } => (0b11, size(length)),
            };
            1 << (number * 2) | (condition | length << 2) << (16 + number * 4)
        };
        spots.iter().enumerate().map(one).fold(0, |all, bits| all | bits)
    }

    fn size(length: u8) -> u64 {
        match length {
            1 => 0b00,
            2 => 0b01,
            4 => 0b11,
            _ => 0b10,
        }
    }

    pub fn spot_of(tid: i32) -> io::Result<usize> {
        // The low bits of DR6 say which registers were hit; the kernel clears them before each trap.
        Ok((debug_register(tid, STATUS)? & 0b1111).trailing_zeros() as usize)
    }

    pub fn set(tid: i32, spots: &[Spot]) -> io::Result<()> {
        for (number, spot) in spots.iter().enumerate() {
            set_debug_register(tid, number, spot.address)?;
        }
        set_debug_register(tid, CONTROL, control(spots))
    }

    pub fn clear(tid: i32, spots: usize) -> io::Result<()> {
        set_debug_register(tid, CONTROL, 0)?;
        for number in 0..spots {
            set_debug_register(tid, number, 0)?;
        }
        Ok(())
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn the_control_word_follows_the_manual() {
            let execute = Spot { address: 0x1000, kind: Kind::Execute };
            let write = Spot { address: 0x2000, kind: Kind::Write { length: 8 } };
            assert_eq!(control(&[execute]), 0b1);
            assert_eq!(control(&[write]), 0b1001 << 16 | 0b1);
            let access = Spot { address: 0x2000, kind: Kind::Access { length: 4 } };
            assert_eq!(control(&[access]), 0b1111 << 16 | 0b1);
            assert_eq!(control(&[execute, execute, execute, write]), 0b1001 << 28 | 0b0101_0101);
        }
    }
}

#[cfg(target_arch = "aarch64")]
mod machine {
    //! aarch64: each breakpoint and watchpoint is an address and a control word
    //! (Arm ARM D13.3: DBGBCR, DBGWCR), in two register sets of ptrace.
    use std::io;

    use super::super::Kind;
    use super::Spot;
    use crate::process::ptrace::{register_set, set_register_set};

    const NT_ARM_HW_BREAK: u64 = 0x402;
    const NT_ARM_HW_WATCH: u64 = 0x403;
    /// `struct user_hwdebug_state`: 8 bytes of head, then address (8), control (4), padding (4).
    const HEAD: usize = 8;
    const EACH: usize = 16;
    const ENABLED: u32 = 1;
    const USER_MODE: u32 = 0b10 << 1;
    const ON_STORE: u32 = 0b10 << 3;
    const ON_BOTH: u32 = 0b11 << 3;
    const FOUR_BYTES: u32 = 0b1111 << 5;

    /// Address and control word for one spot.
    pub fn control(spot: &Spot) -> (u64, u32) {
        match spot.kind {
            Kind::Execute => (spot.address & !3, ENABLED | USER_MODE | FOUR_BYTES),
            Kind::Write { length } => watch(spot.address, length, ON_STORE),
            Kind::Access { length } => watch(spot.address, length, ON_BOTH),
        }
    }

    fn watch(address: u64, length: u8, on: u32) -> (u64, u32) {
        let bytes = ((1u32 << length.min(8)) - 1) << (address & 7);
        (address & !7, ENABLED | USER_MODE | on | (bytes & 0xff) << 5)
    }

    /// The kernel reports only the address, which at a breakpoint is where the thread is.
    pub fn spot_of(_tid: i32) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn write(tid: i32, kind: u64, words: &[(u64, u32)]) -> io::Result<()> {
        if words.is_empty() {
            return Ok(());
        }
        let mut bytes = [0; HEAD + 16 * EACH];
        let length = register_set(tid, kind, &mut bytes)?;
        let needed = HEAD + words.len() * EACH;
        if length < needed {
            return Err(io::ErrorKind::Unsupported.into());
        }
        for (slot, &(address, control)) in bytes[HEAD..needed].chunks_exact_mut(EACH).zip(words) {
            slot[..8].copy_from_slice(&address.to_le_bytes());
            slot[8..12].copy_from_slice(&control.to_le_bytes());
        }
        set_register_set(tid, kind, &mut bytes[..needed])
    }

    pub fn set(tid: i32, spots: &[Spot]) -> io::Result<()> {
        let of = |wanted: fn(&Kind) -> bool| -> Vec<(u64, u32)> {
            spots.iter().filter(|spot| wanted(&spot.kind)).map(control).collect()
        };
        write(tid, NT_ARM_HW_BREAK, &of(|kind| matches!(kind, Kind::Execute)))?;
        write(tid, NT_ARM_HW_WATCH, &of(|kind| !matches!(kind, Kind::Execute)))
    }

    pub fn clear(tid: i32, spots: usize) -> io::Result<()> {
        let none = vec![(0, 0); spots];
        let breaks = write(tid, NT_ARM_HW_BREAK, &none);
        let watches = write(tid, NT_ARM_HW_WATCH, &none);
        // If the processor has fewer slots of one kind than there are spots, no slots beyond them were ever
        // armed.
        breaks.or(watches)
    }
}
