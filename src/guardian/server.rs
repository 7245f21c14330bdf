//! What the guardians of a hunt have in common: the traced target, the breakpoints in it, what it is made
//! to bear, and news on their way.

use std::io;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use super::budget::Budget;
use super::outbox::Outbox;
use super::traced_threads::TracedPython;
use super::trouble::{Trouble, last_word};
use crate::hunt::messages::{Limits, Message, News};
use crate::process::breakpoint::{Breakpoints, Spot, Way};
use crate::process::tracees::Event;
use crate::profile::messages::End;

/// How often news are sent, and how often it is checked that the target is still there.
pub const CHECK_EVERY: Duration = Duration::from_millis(50);
/// How often room for reports is looked for when there is none.
const WHILE_FULL: Duration = Duration::from_millis(10);
/// How long the threads of a target may be unreadable.
const UNREADABLE: Duration = Duration::from_secs(1);
/// How long a thread stands still before we wake up and after we have let it go, until the kernel tells.
const WAKING: Duration = Duration::from_micros(20);

/// Which process a guardian has to do with, and how.
#[derive(Debug, Clone, Copy)]
pub struct Task {
    /// The process.
    pub pid: i32,
    /// When it started, in clock ticks since boot.
    pub started: u64,
    /// How to set breakpoints; `None`: the first way that works.
    pub way: Option<Way>,
    /// How much the target can bear.
    pub limits: Limits,
}

/// A guardian at its post.
pub(crate) struct Guard {
    /// The target, and the threads of it that are traced.
    pub target: TracedPython,
    /// The breakpoints in them.
    pub breakpoints: Breakpoints,
    /// What the target can still bear.
    pub budget: Budget,
    /// What has not been sent yet.
    pub news: News,
    /// How long a thread stands still at a stop beside the time that we take.
    pub waking: Duration,
    checked: Instant,
    readable: Instant,
}

/// Does the work of a guardian from its beginning to its last word. An error means that nobody listens any
/// more.
pub(crate) fn serve(
    task: Task,
    spots: &[Spot],
    reports: &mut Outbox,
    work: impl FnOnce(&mut Guard, &mut Outbox) -> Result<End, Trouble>,
) -> io::Result<()> {
    let end = match Guard::attach(task, spots) {
        Ok(mut guard) => {
            let started = Message::Started { way: guard.breakpoints.way() };
            let told = reports.post(&started).map_err(Trouble::NobodyListens);
            let end = told.and_then(|()| work(&mut guard, reports));
            guard.target.let_go(&mut guard.breakpoints);
            end
        }
        Err(end) => Err(Trouble::End(end)),
    };
    let end = last_word(end, task.pid, task.started)?;
    reports.post(&Message::Ended(end))?;
    reports.send_all()
}

impl Guard {
    fn attach(task: Task, spots: &[Spot]) -> Result<Guard, End> {
        let mut target = TracedPython::open(task.pid, task.started)?;
        target.tracees.follow_new_threads();
        let first = target.begin()?;
        let breakpoints = Breakpoints::prepare(task.way, spots, &mut target.tracees, first)
            .map_err(|error| End::NoBreakpoints { why: error.to_string() })?;
        Ok(Guard {
            target,
            breakpoints,
            budget: Budget::new(task.limits),
            news: News::default(),
            waking: WAKING,
            checked: Instant::now(),
            readable: Instant::now(),
        })
    }

    /// While nothing is armed, until so much time has passed (`None`: for ever): only passes on what happens
    /// in the target. `meanwhile` is called again and again, and says for how long it need not be. True if
    /// we are asked to end.
    pub fn rest(
        &mut self,
        control: BorrowedFd<'_>,
        reports: &mut Outbox,
        duration: Option<Duration>,
        meanwhile: &mut dyn FnMut(&mut Guard) -> Duration,
    ) -> Result<bool, Trouble> {
        let begun = Instant::now();
        loop {
            let left = duration.map_or(CHECK_EVERY, |it| it.saturating_sub(begun.elapsed()));
            if left.is_zero() {
                self.budget.earn(begun.elapsed());
                return Ok(false);
            }
            let nap = meanwhile(self);
            if self.target.wait(control, left.min(nap).min(CHECK_EVERY))? {
                return Ok(true);
            }
            while let Some(event) = self.target.tracees.next_event()? {
                self.take(event)?;
            }
            self.check_sometimes(reports)?;
        }
    }

    /// Rests while there is no room for reports. True if we are asked to end.
    pub fn make_room(
        &mut self,
        control: BorrowedFd<'_>,
        reports: &mut Outbox,
        meanwhile: &mut dyn FnMut(&mut Guard) -> Duration,
    ) -> Result<bool, Trouble> {
        while reports.is_full() {
            if self.rest(control, reports, Some(WHILE_FULL), meanwhile)? {
                return Ok(true);
            }
            reports.send().map_err(Trouble::NobodyListens)?;
        }
        Ok(false)
    }

    /// Sends the news.
    pub fn send(&mut self, reports: &mut Outbox) -> Result<(), Trouble> {
        if self.news == News::default() {
            return Ok(());
        }
        let news = std::mem::take(&mut self.news);
        reports.post(&Message::News(news)).map_err(Trouble::NobodyListens)
    }

    /// Sends the news and looks after the target, if that was long ago. True if it was.
    pub fn check_sometimes(&mut self, reports: &mut Outbox) -> Result<bool, Trouble> {
        if self.checked.elapsed() < CHECK_EVERY {
            return Ok(false);
        }
        self.checked = Instant::now();
        self.send(reports)?;
        self.target.check_program()?;
        match self.target.check_threads() {
            Ok(()) => self.readable = Instant::now(),
            Err(error) if self.readable.elapsed() > UNREADABLE => return Err(error.into()),
            // While it ends or replaces its program little can be read.
            Err(_) => self.target.check_program()?,
        }
        Ok(true)
    }

    /// What happens while nothing is armed. A hit was on its way when it was disarmed.
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

    /// What happens beside hits while threads are armed: those that begin are armed, too.
    pub fn take_while_armed(&mut self, event: Event) -> Result<(), Trouble> {
        if let Event::Began { tid } = event {
            // It stands already, so this is no stop of its own.
            let armed = self.breakpoints.arm(&mut self.target.tracees, tid, &mut || 0);
            self.target.tracees.resume(tid)?;
            armed?;
            return Ok(());
        }
        self.take(event)
    }

    /// Arms the threads that are not armed yet, which let so many hits pass where that can be.
    pub fn arm(&mut self, to_pass: u64) -> Result<(), Trouble> {
        for tid in self.target.tracees.threads() {
            self.breakpoints.arm(&mut self.target.tracees, tid, &mut || to_pass)?;
        }
        self.pay_for_halts();
        Ok(())
    }

    /// Disarms all threads, but for those that sleep in the kernel.
    pub fn disarm(&mut self) -> Result<(), Trouble> {
        self.breakpoints.disarm(&mut self.target.tracees)?;
        self.pay_for_halts();
        Ok(())
    }

    /// Waits for those that are still armed to wake up. True if there are none, now that what happened until
    /// then has been taken in.
    pub fn is_disarmed(&self) -> Result<bool, Trouble> {
        if !self.breakpoints.is_armed() {
            return Ok(true);
        }
        self.target.check_program()?;
        std::thread::sleep(Duration::from_millis(1));
        Ok(false)
    }

    /// Lets an armed thread wait at other spots.
    pub fn redirect(&mut self, tid: i32, spots: &[Spot]) -> io::Result<()> {
        self.breakpoints.redirect(&mut self.target.tracees, tid, spots)?;
        self.pay_for_halts();
        Ok(())
    }

    /// Threads were halted to be armed or disarmed.
    fn pay_for_halts(&mut self) {
        let halts = self.breakpoints.take_halts();
        if halts.number > 0 {
            self.pay(halts.number.into(), halts.held + self.waking * halts.number);
        }
    }

    /// Threads were stopped so often, and stood still for so long in all.
    pub fn pay(&mut self, stops: u64, still: Duration) {
        self.budget.spend(stops, still);
        let nanoseconds = still.as_nanos() as u64;
        self.news.stops += stops;
        self.news.still += nanoseconds;
        self.news.longest = self.news.longest.max(nanoseconds / stops.max(1));
    }
}
