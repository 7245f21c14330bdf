//! A leak suspect, and the evidence for it.

use super::bounds::Filling;
use super::collector::Collector;
use super::hints;
use super::hints::Circumstances;
use crate::hunt::compare::steadiness::{
    FallingPace, Series, SteadyGrowth, falling_pace, steady_growth,
};
use crate::hunt::finding::{Finding, Holder, LeakKind, Limit};

/// What identifies a suspect from one capture to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Key {
    /// The object that holds the growth.
    Object(u64),
    /// Garbage: objects that nothing holds.
    Garbage,
    /// Garbage that no collection can free.
    Uncollectable,
    /// Objects that native code holds.
    Native,
    /// Threads.
    Threads,
}

/// A leak suspect.
#[derive(Debug, Clone)]
pub struct Suspect {
    /// Its identity.
    pub key: Key,
    /// The finding; its feeders are not known yet.
    pub finding: Finding,
    /// The objects whose [growth words](crate::hunt::inserts::growth_counters) show the growth: holders, or
    /// the type or the code of the objects that pile up.
    pub watch: Vec<u64>,
    /// Whether it has grown in every interval, at about the same pace, and nothing stops it soon. Otherwise
    /// it may be worth watching, but is not reported.
    pub is_steady: bool,
    /// The limit that stops it soon, if one does.
    pub level: Option<Level>,
    /// If its pace falls, but so little that it may do so for want of load: how long to observe, in seconds, to
    /// know.
    pub slows: Option<f64>,
}

/// The level that a growth approaches.
#[derive(Debug, Clone, PartialEq)]
pub struct Level {
    /// The limit that was read; `None` if the pace falls.
    pub limit: Option<Limit>,
    /// The seconds until it is reached, or nearly.
    pub in_s: f64,
    /// The bytes that the growth will have taken by then.
    pub bytes: f64,
}

/// The hint for a growth whose pace falls.
const LEVELS_OFF: &str = "a cache that is being filled: it grows ever more slowly";

/// The evidence for a suspect.
pub(crate) struct Evidence {
    pub kind: LeakKind,
    pub grown: String,
    pub holder: Holder,
    pub objects_per_s: f64,
    pub bytes_per_s: f64,
    pub bytes_per_object: f64,
    /// Whether it keeps frames of functions that have ended.
    pub keeps_frames: bool,
    /// The bound of the holder.
    pub filling: Option<Filling>,
}

impl Evidence {
    /// Makes a suspect of the evidence, if its numbers make sense.
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
        let by_limit = filling.as_ref().filter(|it| it.is_soon_over()).map(|filling| {
            let Filling { bound, full_in_s } = filling;
            let limit = Limit {
                items: bound.limit,
                name: bound.name.clone(),
                is_certain: bound.is_certain,
            };
            Level { limit: Some(limit), in_s: *full_in_s, bytes: bytes_per_s * full_in_s }
        });
        let by_pace = rise.falling.filter(FallingPace::levels_off).map(|pace| Level {
            limit: None,
            in_s: pace.settles_in_s,
            bytes: pace.left * bytes_per_object,
        });
        let level = by_limit.or(by_pace).filter(|_| rise.is_steady);
        let hint = hints::hint(&Circumstances {
            kind,
            holder: &holder,
            grown: &grown,
            keeps_frames,
            filling: filling.as_ref(),
            collector,
        });
        let hint = match &level {
            Some(Level { limit: None, .. }) => LEVELS_OFF.to_owned(),
            _ => hint,
        };
        let figures = [objects_per_s, bytes_per_s, bytes_per_object];
        let finding = Finding {
            objects_per_s,
            bytes_per_s,
            bytes_per_object,
            confidence: rise.growth.confidence,
            hint,
            ..Finding::new(kind, grown, holder)
        };
        let is_sound = figures.iter().all(|figure| figure.is_finite());
        let is_steady = rise.is_steady && level.is_none();
        let slows = rise.falling.filter(|_| level.is_none()).map(|pace| pace.tells_in_s);
        is_sound.then_some(Suspect { key, finding, watch, is_steady, level, slows })
    }
}

/// A growth, and whether it is steady.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rise {
    pub growth: SteadyGrowth,
    pub is_steady: bool,
    /// Whether its pace falls.
    pub falling: Option<FallingPace>,
}

impl Rise {
    /// A growth by at least `least`.
    pub fn of(series: &Series, least: f64) -> Option<Rise> {
        let [first, .., last] = &**series else { return None };
        let whole = steady_growth(&[*first, *last]).filter(|growth| growth.net >= least)?;
        let steady = steady_growth(series);
        let falling = falling_pace(series);
        let is_steady = steady.is_some() || falling.is_some();
        Some(Rise { growth: steady.unwrap_or(whole), is_steady, falling })
    }
}
