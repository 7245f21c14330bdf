//! The guardian's side: traces the target's Python threads, does one [`Duty`], and releases them.
//!
//! The work ends when leakspy asks for it, or when leakspy or the target is gone. In every case, all threads
//! are disarmed and released before the guardian exits.

use std::io;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use super::budget::{Budget, Toll};
use super::outbox::Outbox;
use super::report::{End, Report, Request, Work};
use super::traced_threads::TracedPython;
use super::trouble::{Trouble, last_word};
use crate::process::breakpoint::{Breakpoints, Spot, Way};
use crate::process::tracees::Event;

/// How often news is sent and the target is checked.
pub(crate) const CHECK_EVERY: Duration = Duration::from_millis(50);
/// How often to try again while the outbox is full.
const WHILE_FULL: Duration = Duration::from_millis(10);
/// How long the target's thread list may be unreadable.
const UNREADABLE: Duration = Duration::from_secs(1);
/// How long a thread is stopped before we wake up and after we resume it: a first estimate.
const WAKING: Duration = Duration::from_micros(20);

/// How a guardian does one kind of work.
pub(crate) trait Duty: Sized {
    /// The work that it does.
    type Work: Work<Seen: Default + PartialEq>;

    /// Prepares the work before any thread is traced, and returns where the first breakpoints will be set.
    fn prepare(work: Self::Work, target: &mut TracedPython) -> Result<(Self, Vec<Spot>), End>;

    /// Called once breakpoints can be set, in this way, but before the start is reported.
    fn set_out(&mut self, way: Way) -> Result<(), End> {
        let _ = way;
        Ok(())
    }

    /// Does the work until leakspy asks it to end.
    fn run(&mut self, guard: &mut Guard<'_, SeenBy<Self>>) -> Result<End, Trouble>;
}

/// What a duty reports.
pub(crate) type SeenBy<D> = <<D as Duty>::Work as Work>::Seen;

/// What every duty works with: the traced target, its breakpoints, and the pipes to leakspy.
pub(crate) struct Guard<'a, S> {
    /// The target and its traced threads.
    pub target: TracedPython,
    /// The breakpoints in these threads.
    pub breakpoints: Breakpoints,
    /// What the work may still cost the target, if it is subject to [limits](super::budget::Limits).
    pub budget: Budget,
    /// What has been seen but not reported yet.
    pub news: S,
    /// How long a stop lasts beyond the time that we hold the thread.
    pub waking: Duration,
    control: BorrowedFd<'a>,
    reports: &'a mut Outbox,
    checked: Instant,
    /// Since when the target's thread list has been unreadable.
    unreadable: Option<Instant>,
}

/// Serves one request: works until `control` is closed or readable, and reports to `reports`.
///
/// # Errors
/// If the reports have no reader any more. The target has been released in this case, too.
pub(crate) fn serve<D: Duty>(
    request: Request<D::Work>,
    control: BorrowedFd<'_>,
    reports: &mut Outbox,
) -> io::Result<()> {
    let (pid, started) = (request.pid, request.started);
    let end = match Guard::attach::<D>(request, control, reports) {
        Ok((mut duty, mut guard)) => {
            let end = match guard.work(&mut duty) {
                Err(Trouble::End(end)) => Err(Trouble::End(guard.target.behind(end))),
                end => end,
            };
            guard.target.let_go(&mut guard.breakpoints);
            end
        }
        Err(end) => Err(Trouble::End(end)),
    };
    let end = last_word(end, pid, started)?;
    reports.post(&Report::<SeenBy<D>>::Ended(end))?;
    reports.send_all()
}

impl<'a, S: Default + PartialEq + serde::Serialize> Guard<'a, S> {
    fn attach<D: Duty<Work: Work<Seen = S>>>(
        request: Request<D::Work>,
        control: BorrowedFd<'a>,
        reports: &'a mut Outbox,
    ) -> Result<(D, Guard<'a, S>), End> {
        let mut target = TracedPython::open(request.pid, request.started)?;
        let begun = D::prepare(request.work, &mut target).and_then(|(duty, spots)| {
            let first = target.begin()?;
            let set = Breakpoints::prepare(request.way, &spots, &mut target.tracees, first);
            Ok((duty, set.map_err(|error| End::NoBreakpoints { why: error.to_string() })?))
        });
        let (duty, breakpoints) = begun.map_err(|end| target.behind(end))?;
        let guard = Guard {
            target,
            breakpoints,
            budget: Budget::new(request.limits),
            news: S::default(),
            waking: WAKING,
            control,
            reports,
            checked: Instant::now(),
            unreadable: None,
        };
        Ok((duty, guard))
    }

    fn work<D: Duty<Work: Work<Seen = S>>>(&mut self, duty: &mut D) -> Result<End, Trouble> {
        let way = self.breakpoints.way();
        duty.set_out(way).map_err(Trouble::End)?;
        self.post(&Report::Started { way })?;
        let end = duty.run(self)?;
        self.send()?;
        Ok(end)
    }

    fn post(&mut self, report: &Report<S>) -> Result<(), Trouble> {
        self.reports.post(report).map_err(Trouble::ReaderGone)
    }

    /// Sleeps until something happens in the target, but no longer than this. True: leakspy asks the work to
    /// end.
    pub fn wait(&self, within: Duration) -> io::Result<bool> {
        self.target.wait(self.control, within)
    }

    /// Leaves the target alone for this long (`None`: for ever), while nothing is armed. True: leakspy asks
    /// the work to end.
    pub fn rest(&mut self, duration: Option<Duration>) -> Result<bool, Trouble> {
        self.rest_while(duration, &mut |_| CHECK_EVERY)
    }

    /// Like [`rest`](Self::rest), but calls `meanwhile` now and then, which returns how long to wait before
    /// the next call.
    pub fn rest_while(
        &mut self,
        duration: Option<Duration>,
        meanwhile: &mut dyn FnMut(&mut Self) -> Duration,
    ) -> Result<bool, Trouble> {
        let begun = Instant::now();
        loop {
            let left = duration.map_or(CHECK_EVERY, |it| it.saturating_sub(begun.elapsed()));
            if left.is_zero() {
                self.budget.earn(begun.elapsed());
                return Ok(false);
            }
            let nap = meanwhile(self);
            if self.wait(left.min(nap).min(CHECK_EVERY))? {
                return Ok(true);
            }
            while let Some(event) = self.target.tracees.next_event()? {
                self.take(event)?;
            }
            self.check_sometimes()?;
        }
    }

    /// Rests while the outbox is full. True: leakspy asks the work to end.
    pub fn make_room(
        &mut self,
        meanwhile: &mut dyn FnMut(&mut Self) -> Duration,
    ) -> Result<bool, Trouble> {
        while self.reports.is_full() {
            if self.rest_while(Some(WHILE_FULL), meanwhile)? {
                return Ok(true);
            }
            self.reports.send().map_err(Trouble::ReaderGone)?;
        }
        Ok(false)
    }

    /// Reports the news and their cost.
    pub fn send(&mut self) -> Result<(), Trouble> {
        let toll = self.budget.take_toll();
        if toll != Toll::default() {
            self.post(&Report::Cost(toll))?;
        }
        let news = std::mem::take(&mut self.news);
        if news != S::default() {
            self.post(&Report::Seen(news))?;
        }
        Ok(())
    }

    /// Does a [check](Guard::check) if one is due. True: it was done.
    pub fn check_sometimes(&mut self) -> Result<bool, Trouble> {
        if self.checked.elapsed() < CHECK_EVERY {
            return Ok(false);
        }
        self.check()?;
        Ok(true)
    }

    /// Sends the news, checks that the target still runs the same program, and traces its new Python threads.
    /// False: the threads cannot be read now, which happens while the target ends or replaces its program.
    pub fn check(&mut self) -> Result<bool, Trouble> {
        self.checked = Instant::now();
        self.send()?;
        self.target.check_program()?;
        let Err(error) = self.target.check_threads() else {
            self.unreadable = None;
            return Ok(true);
        };
        if self.unreadable.get_or_insert(self.checked).elapsed() > UNREADABLE {
            return Err(error.into());
        }
        self.target.check_program()?;
        Ok(false)
    }

    /// Handles an event while nothing is armed. A hit is a late one: it was under way when its thread was
    /// disarmed.
    pub fn take(&mut self, event: Event) -> Result<(), Trouble> {
        match event {
            Event::Hit { tid } | Event::Began { tid } => Ok(self.target.tracees.resume(tid)?),
            Event::Ended { tid } => {
                self.breakpoints.forget(tid);
                self.target.forget(tid);
                Ok(())
            }
            Event::Replaced => Err(Trouble::End(End::Replaced)),
        }
    }

    /// Handles an event other than a hit while threads are armed: a new thread is armed too.
    pub fn take_while_armed(&mut self, event: Event) -> Result<(), Trouble> {
        if let Event::Began { tid } = event {
            // The thread is already stopped, so this costs no extra stop.
            let armed = self.breakpoints.arm(&mut self.target.tracees, tid, &mut || 0);
            self.target.tracees.resume(tid)?;
            armed?;
            return Ok(());
        }
        self.take(event)
    }

    /// Arms the threads that are not armed yet. Where hits can be skipped, each thread skips this many first.
    pub fn arm(&mut self, to_pass: u64) -> Result<(), Trouble> {
        for tid in self.target.tracees.threads() {
            self.breakpoints.arm(&mut self.target.tracees, tid, &mut || to_pass)?;
        }
        self.pay_for_halts();
        Ok(())
    }

    /// Disarms all threads except those that sleep in the kernel.
    pub fn disarm(&mut self) -> Result<(), Trouble> {
        self.breakpoints.disarm(&mut self.target.tracees)?;
        self.pay_for_halts();
        Ok(())
    }

    /// Whether no thread is armed any more; if one is, waits a moment for it to wake up. Handle all events
    /// first.
    pub fn is_disarmed(&self) -> Result<bool, Trouble> {
        if !self.breakpoints.is_armed() {
            return Ok(true);
        }
        self.target.check_program()?;
        std::thread::sleep(Duration::from_millis(1));
        Ok(false)
    }

    /// Moves the breakpoints of an armed thread to other spots.
    pub fn redirect(&mut self, tid: i32, spots: &[Spot]) -> io::Result<()> {
        self.breakpoints.redirect(&mut self.target.tracees, tid, spots)?;
        self.pay_for_halts();
        Ok(())
    }

    /// Charges the budget for the halts that arming or disarming took.
    fn pay_for_halts(&mut self) {
        let halts = self.breakpoints.take_halts();
        if halts.number > 0 {
            self.budget.spend(halts.number.into(), halts.held + self.waking * halts.number);
        }
    }
}
