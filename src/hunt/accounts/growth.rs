//! How fast memory grows at each place. The serialized form is an interface (docs/json.md).

use serde::{Deserialize, Serialize};

use super::account::Account;
use super::place::Place;

/// The growth of the resident set between the first account and the last, by place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rates {
    /// The time between them, in seconds.
    pub seconds: f64,
    /// The growth of the resident set in bytes a second: the sum of all places.
    pub rss_bytes_per_s: f64,
    /// The growth of the memory that no other process maps, in bytes a second.
    pub private_bytes_per_s: f64,
    /// The places, the fastest first.
    pub places: Vec<Growing>,
}

/// The growth at one place.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Growing {
    /// The place.
    pub place: Place,
    /// How much of the resident set is there at the end, in bytes.
    pub bytes: u64,
    /// Its growth in bytes a second; negative if it shrinks.
    pub bytes_per_s: f64,
}

/// A steady growth of the resident set of which most has no known cause.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Unexplained {
    /// The part without a known cause, in bytes a second.
    pub bytes_per_s: f64,
    /// Where most of the growth is, if the resident set could be divided up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
}

impl Rates {
    /// The rates between the first and the last of these accounts.
    pub fn of(accounts: &[Account]) -> Option<Rates> {
        let [first, .., last] = accounts else { return None };
        let seconds = last.at.checked_sub(first.at)?.as_secs_f64();
        if seconds <= 0.0 {
            return None;
        }
        let rate =
            |bytes: fn(&Account) -> u64| (bytes(last) as f64 - bytes(first) as f64) / seconds;
        let growing = |place: Place| Growing {
            place,
            bytes: place.of(&last.composition),
            bytes_per_s: (last.bytes(place) - first.bytes(place)) / seconds,
        };
        let mut places: Vec<Growing> = Place::ALL.into_iter().map(growing).collect();
        places.retain(|growing| growing.bytes > 0 || growing.bytes_per_s != 0.0);
        places.sort_by(|a, b| b.bytes_per_s.total_cmp(&a.bytes_per_s));
        Some(Rates {
            seconds,
            rss_bytes_per_s: rate(|it| it.composition.rss),
            private_bytes_per_s: rate(|it| it.composition.share.uss),
            places,
        })
    }

    /// The place that grows fastest.
    pub fn fastest(&self) -> Option<Place> {
        self.places.first().filter(|growing| growing.bytes_per_s > 0.0).map(|growing| growing.place)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::heap::Composition;

    #[test]
    fn the_rates_of_all_places_add_up_to_that_of_the_resident_set() {
        let account = |at, native, free, files| {
            let mut sum = Composition { files, ..Composition::default() };
            sum.malloc.others = native;
            sum.malloc.free = free;
            sum.rss = sum.sum();
            sum.share.uss = native;
            Account { at: Duration::from_secs(at), composition: sum, blocks: 0, block_bytes: 0 }
        };
        let accounts =
            [account(5, 100, 50, 1000), account(7, 250, 80, 1000), account(15, 1100, 40, 1000)];
        let rates = Rates::of(&accounts).expect("there are several");
        assert_eq!(
            (rates.seconds, rates.rss_bytes_per_s, rates.private_bytes_per_s),
            (10.0, 99.0, 100.0)
        );
        let places: Vec<(Place, f64)> =
            rates.places.iter().map(|it| (it.place, it.bytes_per_s)).collect();
        assert_eq!(
            places,
            [(Place::NativeBlocks, 100.0), (Place::Files, 0.0), (Place::MallocFree, -1.0)]
        );
        assert_eq!(rates.fastest(), Some(Place::NativeBlocks));
        assert_eq!(Rates::of(accounts.get(..1).unwrap_or_default()), None);
    }
}
