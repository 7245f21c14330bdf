//! How far estimates may be off: intervals in which the truth lies in 95 of 100 cases.
//!
//! Two things move a share. *Chance*: bursts are independent, and their scatter shows what it does.
//! *Weights*: what a burst stands for is known only up to a factor. If all bursts see the same mixture, wrong
//! weights do no harm; if each sees another phase of the program, they shift shares as far as the weights of
//! phases can differ. So it counts how much of the scatter is between bursts.

use super::stacks::By;

/// How many standard deviations an interval reaches to either side.
const DEVIATIONS: f64 = 2.1;
/// An upper bound this many times the lower one says nothing.
const TELLS_NOTHING: f64 = 16.0;

/// An interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Between {
    /// Its lower end.
    pub least: f64,
    /// Its upper end; `None` where there is none to be had.
    pub most: Option<f64>,
}

impl Between {
    /// From its ends. An upper end far above the lower one is none.
    pub fn new(least: f64, most: f64) -> Between {
        let tells = most.is_finite() && most <= TELLS_NOTHING * least;
        Between { least, most: tells.then_some(most) }
    }

    /// Both ends times a factor.
    pub fn times(self, factor: f64) -> Between {
        Between { least: self.least * factor, most: self.most.map(|most| most * factor) }
    }

    /// The sum of two independent or dependent quantities.
    pub fn plus(self, other: Between) -> Between {
        let most = self.most.zip(other.most).map(|(a, b)| a + b);
        Between { least: self.least + other.least, most }
    }
}

/// How far totals and shares may be off, each by bytes and by objects.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Accuracy {
    /// The totals.
    pub totals: [Between; 2],
    /// The shares.
    pub shares: [Precision; 2],
}

impl Accuracy {
    /// The total.
    pub fn total(&self, by: By) -> Between {
        let [bytes, objects] = self.totals;
        if by == By::Bytes { bytes } else { objects }
    }

    /// In which interval the true share lies, if this one is estimated.
    pub fn of_share(&self, by: By, share: f64) -> (f64, f64) {
        let [bytes, objects] = self.shares;
        if by == By::Bytes { bytes.of_share(share) } else { objects.of_share(share) }
    }
}

/// How precise shares are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Precision {
    /// The variance of a share p, relative to p (1 − p).
    pub variance: f64,
    /// How much of the scatter is between bursts: 0 if all see the same mixture, 1 if each sees one thing.
    pub between_bursts: f64,
    /// By which factor the weights of two bursts may be wrong against each other.
    pub factor: f64,
}

impl Precision {
    /// Nothing is known.
    pub const NONE: Precision =
        Precision { variance: 1.0, between_bursts: 1.0, factor: f64::INFINITY };

    /// The less precise of two, in every respect.
    pub fn worse(self, other: Precision) -> Precision {
        Precision {
            variance: self.variance.max(other.variance),
            between_bursts: self.between_bursts.max(other.between_bursts),
            factor: self.factor.max(other.factor),
        }
    }

    /// In which interval the true share lies, if this one is estimated.
    pub fn of_share(&self, share: f64) -> (f64, f64) {
        if !self.factor.is_finite() {
            return (0.0, 1.0);
        }
        let share = share.clamp(0.0, 1.0);
        let (low, high) = self.by_chance(share);
        (low - self.by_weights(low).0, high + self.by_weights(high).1)
    }

    /// Wilson's interval, which is right for small shares too.
    fn by_chance(&self, share: f64) -> (f64, f64) {
        let scatter = self.variance.clamp(0.0, 1.0) * DEVIATIONS * DEVIATIONS;
        let middle = (share + scatter / 2.0) / (1.0 + scatter);
        let half = (scatter * (share * (1.0 - share) + scatter / 4.0)).sqrt() / (1.0 + scatter);
        ((middle - half).max(0.0), (middle + half).min(1.0))
    }

    /// How far wrong weights can move a share down and up: by the covariance of the weights and of the share
    /// within bursts, and never further than if each burst saw one thing only.
    fn by_weights(&self, share: f64) -> (f64, f64) {
        let spread = (self.factor - 1.0) / (2.0 * self.factor.sqrt());
        let scatter = (self.between_bursts.clamp(0.0, 1.0) * share * (1.0 - share)).sqrt();
        let by_scatter = spread * scatter;
        let lowest = share / (share + (1.0 - share) * self.factor);
        let highest = share * self.factor / (share * self.factor + 1.0 - share);
        (by_scatter.min(share - lowest), by_scatter.min(highest - share))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXACT: Precision = Precision { variance: 0.0, between_bursts: 0.0, factor: 1.0 };

    fn assert_close((low, high): (f64, f64), expected: (f64, f64)) {
        let off = (low - expected.0).abs().max((high - expected.1).abs());
        assert!(off < 0.001, "{low} … {high} for {expected:?}");
    }

    #[test]
    fn chance_makes_an_interval_as_wide_as_its_deviation() {
        assert_close(EXACT.of_share(0.3), (0.3, 0.3));
        let sampled = Precision { variance: 0.01, ..EXACT };
        assert_close(sampled.of_share(0.5), (0.397, 0.603));
        let (low, high) = sampled.of_share(0.0);
        assert!(low < 1e-9 && high > 0.03, "none seen of a hundred may be three: {low} … {high}");
    }

    #[test]
    fn wrong_weights_matter_where_bursts_differ() {
        let alike = Precision { factor: 100.0, ..EXACT };
        assert_close(alike.of_share(0.5), (0.5, 0.5));
        let different = Precision { between_bursts: 1.0, factor: 4.0, ..EXACT };
        assert_close(different.of_share(0.5), (0.2, 0.8));
        assert_close(Precision::NONE.of_share(0.5), (0.0, 1.0));
        assert_eq!(alike.worse(different), Precision { factor: 100.0, ..different });
    }

    #[test]
    fn a_bound_that_tells_nothing_is_none() {
        assert_eq!(Between::new(2.0, 6.0).most, Some(6.0));
        assert_eq!(Between::new(2.0, 600.0), Between { least: 2.0, most: None });
        let sum = Between::new(2.0, 6.0).times(2.0).plus(Between::new(1.0, f64::INFINITY));
        assert_eq!(sum, Between { least: 5.0, most: None });
    }
}
