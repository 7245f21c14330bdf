//! The guardian's work: watching the words that change when something grows.
//!
//! A write breakpoint on each word that has its [turn](super::turns) stops whoever writes it, just
//! behind the instruction. The word is read and compared with what it was; if it has grown, the Python
//! stack is copied, and the thread goes on. Names and lines are left to whoever reads the
//! [`Message`]s.
//!
//! A thread that writes to an object holds the GIL, so while it stands no other word changes, and what
//! is read of a word after it was armed is what the next hit is to be compared with.
//!
//! It ends when it is asked to or when nobody listens any more; either way every thread is disarmed
//! and let go of first.

use std::io;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use super::messages::{Hit, Instance, Message, News, Request};
use super::newborn::{is_instance, newborn};
use super::turns::{Outcome, Turn, Turns};
use super::words::{Meaning, Word};
use super::young::Young;
use crate::profile::messages::End;
use crate::profile::outbox::Outbox;
use crate::profile::trouble::{Trouble, last_word};
use crate::python::RawStack;
use crate::python::traced::TracedPython;
use crate::target::breakpoint::{Breakpoints, MOST_SPOTS};
use crate::target::ptrace;
use crate::target::tracees::Event;

/// How often news are sent, and how often it is checked that the target is still there.
const CHECK_EVERY: Duration = Duration::from_millis(50);
/// How often room for reports is looked for when there is none.
const WHILE_FULL: Duration = Duration::from_millis(10);
/// How soon young instances are looked at again at least.
const SOON: Duration = Duration::from_millis(1);
/// How long the threads of a target may be unreadable.
const UNREADABLE: Duration = Duration::from_secs(1);
/// How long a thread stands still before we wake up and after we have let it go, until the kernel tells.
const WAKING: Duration = Duration::from_micros(20);

/// Serves one request: watches until `control` is closed or readable, and reports to `reports`. An
/// error means that nobody listens any more.
pub fn serve(request: &Request, control: BorrowedFd<'_>, reports: &mut Outbox) -> io::Result<()> {
    let end = match Watcher::attach(request) {
        Ok(mut watcher) => {
            let end = watcher.run(control, reports);
            watcher.target.let_go(&mut watcher.breakpoints);
            end
        }
        Err(end) => Err(Trouble::End(end)),
    };
    let end = last_word(end, request.pid, request.started)?;
    reports.post(&Message::Ended(end))?;
    reports.send_all()
}

struct Watcher {
    target: TracedPython,
    breakpoints: Breakpoints,
    words: Vec<Word>,
    turns: Turns,
    news: News,
    young: Young,
    random: fastrand::Rng,
    stack: RawStack,
    checked: Instant,
    readable: Instant,
    /// How long a thread stands still beside the time that we take.
    waking: Duration,
}

/// A turn that goes on.
struct Open {
    turn: Turn,
    /// The value that each of its words had last; `None` before it is known.
    values: Vec<Option<u64>>,
    /// How often each was stopped at.
    stops: Vec<u64>,
    /// What was seen.
    hits: Vec<Hit>,
    /// How long we took for that.
    taken: Duration,
    outcome: Outcome,
    begun: Instant,
}

impl Watcher {
    fn attach(request: &Request) -> Result<Watcher, End> {
        let mut target = TracedPython::open(request.pid, request.started)?;
        target.tracees.follow_new_threads();
        let first = target.begin()?;
        let spots: Vec<_> = request.words.iter().map(Word::spot).take(MOST_SPOTS).collect();
        let breakpoints = Breakpoints::prepare(request.way, &spots, &mut target.tracees, first)
            .map_err(|error| End::NoBreakpoints { why: error.to_string() })?;
        Ok(Watcher {
            target,
            breakpoints,
            words: request.words.clone(),
            turns: Turns::new(request.words.len(), spots.len(), request.limits),
            news: News::default(),
            young: Young::default(),
            random: fastrand::Rng::new(),
            stack: RawStack::default(),
            checked: Instant::now(),
            readable: Instant::now(),
            waking: WAKING,
        })
    }

    fn run(&mut self, control: BorrowedFd<'_>, reports: &mut Outbox) -> Result<End, Trouble> {
        let started = Message::Started { way: self.breakpoints.way() };
        reports.post(&started).map_err(Trouble::NobodyListens)?;
        let mut open: Option<Open> = None;
        loop {
            let next = self.turns.next();
            let debt = self.turns.budget.debt();
            let rest = debt.mul_f64(0.5 + self.random.f64());
            let goes_on = open.as_ref().is_some_and(|open| {
                debt.is_zero() && next.as_ref().is_some_and(|next| next.words == open.turn.words)
            });
            if !goes_on {
                self.close(open.take())?;
            }
            if self.report(control, reports)?
                || self.rest(control, reports, rest, next.is_none())?
            {
                return Ok(End::Asked);
            }
            let Some(turn) = next else { continue };
            let mut this = match open.take() {
                Some(before) => before.again(turn),
                None => self.open(turn)?,
            };
            let result = self.until_over(&mut this, control, reports);
            self.learn_waking(&this);
            self.take_over_hits(&mut this);
            self.turns.observe(&this.turn, &this.stops, this.outcome);
            self.turns.budget.earn(this.begun.elapsed());
            open = Some(this);
            if result? {
                self.close(open.take())?;
                self.news.hits.extend(self.young.give_up());
                self.send(reports)?;
                return Ok(End::Asked);
            }
        }
    }

    /// Between turns, until so much time has passed: only passes on what happens in the target. True if
    /// we are asked to end.
    fn rest(
        &mut self,
        control: BorrowedFd<'_>,
        reports: &mut Outbox,
        duration: Duration,
        for_ever: bool,
    ) -> Result<bool, Trouble> {
        let begun = Instant::now();
        loop {
            let left = duration.saturating_sub(begun.elapsed());
            let left = if for_ever { CHECK_EVERY } else { left };
            if left.is_zero() {
                self.turns.budget.earn(begun.elapsed());
                return Ok(false);
            }
            if self.target.wait(control, left.min(self.until_next_look()))? {
                return Ok(true);
            }
            while let Some(event) = self.target.tracees.next_event()? {
                self.between_turns(event)?;
            }
            self.check_sometimes(reports)?;
        }
    }

    /// Sends the news, and rests while there is no room for them. True if we are asked to end.
    fn report(&mut self, control: BorrowedFd<'_>, reports: &mut Outbox) -> Result<bool, Trouble> {
        while reports.is_full() {
            if self.rest(control, reports, WHILE_FULL, false)? {
                return Ok(true);
            }
            reports.send().map_err(Trouble::NobodyListens)?;
        }
        Ok(false)
    }

    fn send(&mut self, reports: &mut Outbox) -> Result<(), Trouble> {
        if self.news == News::default() {
            return Ok(());
        }
        let news = std::mem::take(&mut self.news);
        reports.post(&Message::News(news)).map_err(Trouble::NobodyListens)
    }

    /// Sends the news and looks after the target, if that was long ago. True if it was.
    fn check_sometimes(&mut self, reports: &mut Outbox) -> Result<bool, Trouble> {
        self.look_at_young();
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

    /// What happens while nothing is armed. A hit was on its way when the last turn ended.
    fn between_turns(&mut self, event: Event) -> Result<(), Trouble> {
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

    /// Arms all threads.
    fn open(&mut self, turn: Turn) -> Result<Open, Trouble> {
        let words = turn.words.iter().filter_map(|&number| self.words.get(number));
        let spots: Vec<_> = words.map(Word::spot).collect();
        self.breakpoints.aim(&spots);
        let count = turn.words.len();
        let begun = Instant::now();
        let mut open = Open {
            turn,
            values: vec![None; count],
            stops: vec![0; count],
            hits: Vec::new(),
            taken: Duration::ZERO,
            outcome: Outcome::default(),
            begun,
        };
        self.arm_all()?;
        for place in 0..count {
            let number = open.turn.words.get(place).copied();
            let value = number.and_then(|number| self.value(number));
            if let (None, Some(number)) = (value, number) {
                self.drop_word(number);
            }
            if let Some(last) = open.values.get_mut(place) {
                *last = value;
            }
        }
        open.begun = Instant::now();
        Ok(open)
    }

    /// Arms the threads that are not armed yet.
    fn arm_all(&mut self) -> Result<(), Trouble> {
        for tid in self.target.tracees.threads() {
            self.breakpoints.arm(&mut self.target.tracees, tid, &mut || 0)?;
        }
        self.pay_for_halts();
        Ok(())
    }

    /// Threads were halted to be armed or disarmed.
    fn pay_for_halts(&mut self) {
        let halts = self.breakpoints.take_halts();
        if halts.number == 0 {
            return;
        }
        let still = halts.held + self.waking * halts.number;
        self.turns.budget.spend(halts.number.into(), still);
        self.note_stops(halts.number.into(), still);
    }

    fn close(&mut self, open: Option<Open>) -> Result<(), Trouble> {
        let Some(mut open) = open else { return Ok(()) };
        loop {
            self.breakpoints.disarm(&mut self.target.tracees)?;
            self.pay_for_halts();
            // Hits that came before the end belong to the turn.
            while let Some(event) = self.target.tracees.next_event()? {
                self.during_turn(event, &mut open)?;
            }
            if !self.breakpoints.is_armed() {
                self.take_over_hits(&mut open);
                return Ok(());
            }
            // A thread that sleeps in the kernel is still armed for these words.
            self.target.check_program()?;
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Takes hits until the turn is over. True if we are asked to end.
    fn until_over(
        &mut self,
        open: &mut Open,
        control: BorrowedFd<'_>,
        reports: &mut Outbox,
    ) -> Result<bool, Trouble> {
        loop {
            let still = open.outcome.still;
            open.outcome.lasted = open.begun.elapsed().saturating_sub(still);
            let left = open.turn.length.saturating_sub(open.outcome.lasted);
            let is_much =
                open.outcome.stops >= open.turn.most_stops || still >= open.turn.most_still;
            if left.is_zero() || is_much {
                return Ok(false);
            }
            // Who grows fast brings one event after another.
            match self.target.tracees.next_event()? {
                Some(event) => self.during_turn(event, open)?,
                None => {
                    let sleep = left.min(self.until_next_look());
                    if self.target.wait(control, sleep)? {
                        return Ok(true);
                    }
                }
            }
            if self.check_sometimes(reports)? {
                self.arm_all()?;
            }
        }
    }

    fn during_turn(&mut self, event: Event, open: &mut Open) -> Result<(), Trouble> {
        match event {
            Event::Hit { tid } => self.take_hit(tid, open),
            Event::Began { tid } => {
                // It stands already, so this is no stop of its own.
                let armed = self.breakpoints.arm(&mut self.target.tracees, tid, &mut || 0);
                self.target.tracees.resume(tid)?;
                armed?;
                Ok(())
            }
            other => self.between_turns(other),
        }
    }

    /// Looks at a thread that has just written a word, and lets it go on.
    fn take_hit(&mut self, tid: i32, open: &mut Open) -> Result<(), Trouble> {
        let seen = Instant::now();
        let spot = self.breakpoints.spot_of(tid).ok();
        let hit = spot.and_then(|spot| self.look_at(tid, spot, open));
        let resumed = self.target.tracees.resume(tid);
        let taken = seen.elapsed();
        open.taken += taken;
        let stopped = taken + self.waking;
        open.outcome.stops += 1;
        open.outcome.still += stopped;
        if let Some(stops) = spot.and_then(|spot| open.stops.get_mut(spot)) {
            *stops += 1;
        }
        self.note_stops(1, stopped);
        open.hits.extend(hit);
        Ok(resumed?)
    }

    /// What was seen is news, except that of instances it is to be known first whether they stay.
    fn take_over_hits(&mut self, open: &mut Open) {
        let now = Instant::now();
        for hit in open.hits.drain(..) {
            match hit.instance {
                Some(_) => self.young.add(hit, now),
                None => self.news.hits.push(hit),
            }
        }
    }

    fn look_at_young(&mut self) {
        if self.young.next().is_none_or(|next| next > Instant::now()) {
            return;
        }
        let mut young = std::mem::take(&mut self.young);
        self.news.hits.extend(young.look(Instant::now(), |hit| self.is_there(hit)));
        self.young = young;
    }

    /// How long to sleep at most.
    fn until_next_look(&self) -> Duration {
        let next = self.young.next();
        let left = next.map(|next| next.saturating_duration_since(Instant::now()));
        left.unwrap_or(CHECK_EVERY).clamp(SOON, CHECK_EVERY)
    }

    fn is_there(&self, hit: &Hit) -> bool {
        let Some((instance, word)) = hit.instance.zip(self.words.get(hit.word)) else {
            return false;
        };
        let TracedPython { process, python, .. } = &self.target;
        is_instance(process, &python.layout, instance.address, word.object)
    }

    fn note_stops(&mut self, number: u64, stopped: Duration) {
        let nanoseconds = stopped.as_nanos() as u64;
        self.news.stops += number;
        self.news.still += nanoseconds;
        self.news.longest = self.news.longest.max(nanoseconds / number.max(1));
    }

    /// Compares the stops of a turn with what the kernel says of them, where it does.
    fn learn_waking(&mut self, open: &Open) {
        let Some(seen) = self.breakpoints.interruptions() else { return };
        let known = seen.stops.iter().filter(|stop| stop.to != u64::MAX);
        let lengths: Vec<_> = known.map(|stop| stop.to.saturating_sub(stop.from)).collect();
        let stops: u64 = open.stops.iter().sum();
        if lengths.is_empty() || stops == 0 {
            return;
        }
        let mean = Duration::from_nanos(lengths.iter().sum::<u64>() / lengths.len() as u64);
        let waking = mean.saturating_sub(open.taken.div_f64(stops as f64));
        self.waking = (self.waking * 7 + waking) / 8;
    }

    fn look_at(&mut self, tid: i32, spot: usize, open: &mut Open) -> Option<Hit> {
        let number = *open.turn.words.get(spot)?;
        let word = *self.words.get(number)?;
        let last = open.values.get_mut(spot)?;
        let Some(after) = self.value(number) else {
            self.drop_word(number);
            return None;
        };
        let before = last.replace(after)?;
        if after <= before {
            return None;
        }
        let instance = match word.meaning {
            Meaning::Size | Meaning::Calls => None,
            Meaning::Instances { are_gc } => {
                let registers = ptrace::registers(tid).ok()?;
                let TracedPython { process, python, .. } = &self.target;
                let address = newborn(process, &python.layout, &registers, word.object, are_gc)?;
                Some(Instance { address, is_there: true })
            }
        };
        self.target.copy_stack(tid, &mut self.stack).ok()?;
        Some(Hit {
            word: number,
            before,
            after,
            instance,
            frames: self.stack.frames.clone(),
            complete: self.stack.complete,
        })
    }

    /// The value of a word; `None` if its object is no more.
    fn value(&self, number: usize) -> Option<u64> {
        let TracedPython { process, python, .. } = &self.target;
        self.words.get(number)?.value(process, &python.layout).ok()?
    }

    fn drop_word(&mut self, number: usize) {
        if !self.news.gone.contains(&number) {
            self.turns.drop_word(number);
            self.news.gone.push(number);
        }
    }
}

impl Open {
    /// The same words have the next turn.
    fn again(self, turn: Turn) -> Open {
        let stops = vec![0; turn.words.len()];
        let (outcome, taken) = (Outcome::default(), Duration::ZERO);
        Open { turn, stops, taken, outcome, begun: Instant::now(), ..self }
    }
}
