//! A leak suspect, and the evidence for it.

use super::bounds::Filling;
use super::collector::Collector;
use super::hints;
use super::hints::Circumstances;
use crate::hunt::compare::steadiness::{Series, SteadyGrowth, steady_growth};
use crate::hunt::finding::{Finding, Holder, LeakKind};

/// What a suspect is known by from one look to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Key {
    /// By the object that holds what grows.
    Object(u64),
    /// What nobody holds.
    Garbage,
    /// What native code holds.
    Native,
    /// Threads.
    Threads,
}

/// What seems to leak.
#[derive(Debug, Clone)]
pub struct Suspect {
    /// What it is known by.
    pub key: Key,
    /// What is known of it; nobody knows yet who feeds it.
    pub finding: Finding,
    /// The objects whose [growth words](crate::hunt::inserts::growth_counters) tell that: holders, or the type or the code of what
    /// piles up.
    pub watch: Vec<u64>,
    /// Whether it has grown in every interval, at about the same pace, and nothing stops it soon. If not
    /// it may be worth watching, but is nothing to tell of.
    pub is_steady: bool,
}

/// What speaks for a suspect.
pub(crate) struct Evidence {
    pub kind: LeakKind,
    pub grown: String,
    pub holder: Holder,
    pub objects_per_s: f64,
    pub bytes_per_s: f64,
    pub bytes_per_object: f64,
    /// Whether it keeps frames of functions that have ended.
    pub keeps_frames: bool,
    /// The bound of what holds it.
    pub filling: Option<Filling>,
}

impl Evidence {
    /// A suspect, if all that is to be said of it makes sense.
    pub fn into_suspect(
        self,
        key: Key,
        rise: Rise,
        watch: Vec<u64>,
        collector: Collector,
    ) -> Option<Suspect> {
        let Evidence {
            kind,
            grown,
            holder,
            objects_per_s,
            bytes_per_s,
            bytes_per_object,
            keeps_frames,
            filling,
        } = self;
        let is_soon_over = filling.as_ref().is_some_and(Filling::is_soon_over);
        let hint = hints::hint(&Circumstances {
            kind,
            holder: &holder,
            grown: &grown,
            keeps_frames,
            filling: filling.as_ref(),
            collector,
        });
        let figures = [objects_per_s, bytes_per_s, bytes_per_object];
        let finding = Finding {
            kind,
            grown,
            holder,
            also: Vec::new(),
            objects_per_s,
            bytes_per_s,
            bytes_per_object,
            confidence: rise.growth.confidence,
            hint,
            feeders: Vec::new(),
        };
        let is_sound = figures.iter().all(|figure| figure.is_finite());
        let is_steady = rise.is_steady && !is_soon_over;
        is_sound.then_some(Suspect { key, finding, watch, is_steady })
    }
}

/// A growth, and whether it is steady.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rise {
    pub growth: SteadyGrowth,
    pub is_steady: bool,
}

impl Rise {
    /// A growth by so much at least.
    pub fn of(series: &Series, least: f64) -> Option<Rise> {
        let [first, .., last] = &**series else { return None };
        let whole = steady_growth(&[*first, *last]).filter(|growth| growth.net >= least)?;
        let steady = steady_growth(series);
        Some(Rise { growth: steady.unwrap_or(whole), is_steady: steady.is_some() })
    }
}
