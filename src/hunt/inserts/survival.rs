//! New instances, checked again and again until it is clear whether they survive.
//!
//! A short-lived instance leaves its memory to the next instance of its size, often of the same class. So it
//! is checked soon and often: a check may find the memory free, or another instance may be seen to take it.

use std::time::{Duration, Instant};

use super::hits::Hit;

/// When an instance is checked for the first time, and the shortest time to the next check.
const SOON: Duration = Duration::from_millis(2);
/// An instance that exists at this age is reported as surviving.
const GROWN_UP: Duration = Duration::from_millis(200);
/// The most instances that wait at a time.
const MOST: usize = 1024;

/// The waiting instances.
#[derive(Debug, Default)]
pub(crate) struct Young {
    waiting: Vec<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    hit: Hit,
    made: Instant,
    /// The age at which it is checked next.
    next: Duration,
}

impl Young {
    /// Adds an instance that has just been created.
    pub fn add(&mut self, hit: Hit, now: Instant) {
        let address = hit.instance.map(|instance| instance.address);
        for other in self.waiting.iter_mut().filter_map(|other| other.hit.instance.as_mut()) {
            other.is_there &= Some(other.address) != address;
        }
        self.waiting.push(Waiting { hit, made: now, next: SOON });
    }

    /// Checks the instances that are due, and returns those that are decided.
    pub fn look(&mut self, now: Instant, is_there: impl Fn(&Hit) -> bool) -> Vec<Hit> {
        let surplus = self.waiting.len().saturating_sub(MOST);
        let (mut known, mut waiting) = (Vec::new(), Vec::new());
        for (number, mut one) in self.waiting.drain(..).enumerate() {
            let age = now.saturating_duration_since(one.made);
            if age >= one.next {
                one.next = age + SOON.max(age / 2);
                let there = is_there(&one.hit);
                if let Some(instance) = &mut one.hit.instance {
                    instance.is_there &= there;
                }
            }
            let is_gone = one.hit.instance.is_none_or(|instance| !instance.is_there);
            match is_gone || age >= GROWN_UP || number < surplus {
                true => known.push(one.hit),
                false => waiting.push(one),
            }
        }
        self.waiting = waiting;
        known
    }

    /// When the next check is due.
    pub fn next(&self) -> Option<Instant> {
        self.waiting.iter().map(|one| one.made + one.next.min(GROWN_UP)).min()
    }

    /// Returns the instances that are not decided yet.
    pub fn give_up(&mut self) -> Vec<Hit> {
        self.waiting.drain(..).map(|one| one.hit).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hunt::inserts::hits::Instance;

    fn hit(address: u64) -> Hit {
        let instance = Some(Instance { address, is_there: true });
        Hit { word: 0, before: 0, after: 1, instance, frames: Vec::new(), complete: true }
    }

    fn told(hits: &[Hit]) -> Vec<(u64, bool)> {
        hits.iter().filter_map(|hit| hit.instance).map(|it| (it.address, it.is_there)).collect()
    }

    #[test]
    fn those_that_stay_are_known_when_they_have_grown_up() {
        let (mut young, now) = (Young::default(), Instant::now());
        young.add(hit(8), now);
        let mut looks = 0;
        let mut known = Vec::new();
        while known.is_empty() {
            let next = young.next().expect("one is waited for");
            known = young.look(next, |_| true);
            looks += 1;
        }
        assert_eq!(told(&known), [(8, true)]);
        assert!(looks > 10, "{looks}");
        assert_eq!(young.next(), None);
    }

    #[test]
    fn those_that_go_are_known_at_once() {
        let (mut young, now) = (Young::default(), Instant::now());
        young.add(hit(8), now);
        assert_eq!(told(&young.look(now + SOON, |_| false)), [(8, false)]);
    }

    #[test]
    fn whose_place_is_taken_has_gone() {
        let (mut young, now) = (Young::default(), Instant::now());
        young.add(hit(8), now);
        young.add(hit(8), now);
        assert_eq!(told(&young.look(now, |_| true)), [(8, false)]);
        assert_eq!(told(&young.give_up()), [(8, true)]);
    }
}
