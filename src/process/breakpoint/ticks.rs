//! Stops at random instants of a thread's own time: where it is then shows what it spends its time on.
//!
//! Relies on the perf event `PERF_COUNT_SW_CPU_CLOCK` with `sigtrap`. It counts only while the thread runs,
//! so a thread that sleeps is left alone, and it fires in user mode only. It needs no hardware counter, which
//! virtual machines seldom have.

use std::collections::hash_map::Entry;
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use perf_event_open_sys::bindings as kernel;
use rustc_hash::FxHashMap;

use super::perf::{disable, enable, open, set_period};

/// What the signal of a tick carries, where that of a hit has the number of its spot.
pub const TICK: u64 = u64::MAX;

/// The ticks of all threads.
#[derive(Debug, Default)]
pub struct Ticks(FxHashMap<i32, Ticking>);

#[derive(Debug)]
struct Ticking {
    event: OwnedFd,
    runs: bool,
}

impl Ticks {
    /// Lets the clocks of these threads run. `period` says how much of its own time a new thread may use
    /// before it stops; what is left of the others' periods goes on.
    pub fn run(&mut self, threads: &[i32], period: &mut dyn FnMut() -> Duration) -> io::Result<()> {
        let Ticks(known) = self;
        for &tid in threads {
            let ticking = match known.entry(tid) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => match open(attributes(), tid) {
                    Ok(event) => {
                        set_period(&event, period().as_nanos() as u64)?;
                        new.insert(Ticking { event, runs: false })
                    }
                    Err(error) if error.raw_os_error() == Some(libc::ESRCH) => continue,
                    Err(error) => return Err(error),
                },
            };
            if !ticking.runs {
                ticking.runs = true;
                enable(&ticking.event)?;
            }
        }
        Ok(())
    }

    /// Sets the next period of a stopped thread.
    pub fn again(&mut self, tid: i32, period: Duration) -> io::Result<()> {
        let Ticks(known) = self;
        match known.get(&tid) {
            Some(ticking) => set_period(&ticking.event, period.as_nanos() as u64),
            None => Ok(()),
        }
    }

    /// Stops all clocks. A tick that is under way is still reported.
    pub fn halt(&mut self) -> io::Result<()> {
        let Ticks(known) = self;
        for ticking in known.values_mut().filter(|ticking| ticking.runs) {
            disable(&ticking.event)?;
            ticking.runs = false;
        }
        Ok(())
    }

    /// Forgets a thread that has ended.
    pub fn forget(&mut self, tid: i32) {
        let Ticks(known) = self;
        known.remove(&tid);
    }
}

fn attributes() -> kernel::perf_event_attr {
    let mut attributes = kernel::perf_event_attr {
        type_: kernel::PERF_TYPE_SOFTWARE,
        config: u64::from(kernel::PERF_COUNT_SW_CPU_CLOCK),
        size: size_of::<kernel::perf_event_attr>() as u32,
        ..Default::default()
    };
    // Replaced before it first runs.
    attributes.__bindgen_anon_1.sample_period = 1 << 40;
    attributes.set_disabled(1);
    attributes.set_exclude_kernel(1);
    attributes.set_exclude_hv(1);
    attributes.set_sigtrap(1);
    attributes.sig_data = TICK;
    attributes.set_remove_on_exec(1);
    attributes
}
