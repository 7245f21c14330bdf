//! Whether a quantity grows steadily: what distinguishes a leak from a cache that fills, a queue that drains,
//! or a single burst of load.

use std::time::Duration;

/// A quantity at several moments, in order.
pub type Series = Vec<(Duration, f64)>;

/// The growth in each interval must be at least this share of the average, give or take the scatter of a
/// count.
const LEAST_SHARE: f64 = 0.5;
/// A quantity may lose at most this share of its gain along the way.
const MOST_LOST: f64 = 0.3;
/// The pace of a growth that levels off must have fallen to at most this share.
const MOST_OF_PACE: f64 = 0.6;
/// And by at least this many standard errors.
const ERRORS: f64 = 4.0;
/// A series with more points is divided into this many parts.
const PARTS: usize = 10;

/// A steady growth.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SteadyGrowth {
    /// From the first to the last moment.
    pub net: f64,
    /// On average.
    pub per_second: f64,
    /// One minus the chance that a random walk would have gone up as consistently.
    pub confidence: f64,
}

/// The growth of a quantity over a few moments, if it is steady: it grows in each interval, and in none much
/// more slowly than on average.
pub fn steady_growth(series: &[(Duration, f64)]) -> Option<SteadyGrowth> {
    let ([first, .., last], intervals) = (series, series.windows(2)) else { return None };
    let time = last.0.checked_sub(first.0)?.as_secs_f64();
    let net = last.1 - first.1;
    let per_second = net / time;
    if !per_second.is_finite() || per_second <= 0.0 {
        return None;
    }
    for interval in intervals.clone() {
        let [before, after] = interval else { continue };
        let grown = after.1 - before.1;
        let expected = per_second * (after.0.saturating_sub(before.0)).as_secs_f64();
        if grown <= 0.0 || grown + 2.0 * grown.sqrt() < LEAST_SHARE * expected {
            return None;
        }
    }
    let confidence = 1.0 - 0.5_f64.powi(intervals.len() as i32);
    Some(SteadyGrowth { net, per_second, confidence })
}

/// A growth whose pace falls, so that it seems to approach a level.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FallingPace {
    /// By how much the quantity will still grow, if its pace goes on falling by the same share in the same time.
    pub left: f64,
    /// The seconds until nineteen twentieths of that are there.
    pub settles_in_s: f64,
}

/// Whether the pace of a growth of counted objects falls from interval to interval, by far more than chance
/// would explain: to at most three fifths, and by four standard errors of such counts.
pub fn falling_pace(series: &[(Duration, f64)]) -> Option<FallingPace> {
    let intervals: Vec<(f64, f64, f64)> = series
        .windows(2)
        .filter_map(|pair| match pair {
            [before, after] => {
                let time = after.0.checked_sub(before.0)?.as_secs_f64();
                let middle = before.0.as_secs_f64() + time / 2.0;
                (time > 0.0).then_some((middle, after.1 - before.1, time))
            }
            _ => None,
        })
        .collect();
    let pace = |&(_, grown, time): &(f64, f64, f64)| grown / time;
    let [first, _, .., last] = &*intervals else { return None };
    let falls = intervals.windows(2).all(|pair| match pair {
        [before, after] => pace(after) < pace(before),
        _ => false,
    });
    let [early, late] = [first, last].map(pace);
    let variance = |&(_, grown, time): &(f64, f64, f64)| grown.max(0.0) / (time * time);
    let error = (variance(first) + variance(last)).sqrt();
    if !falls || late <= 0.0 || late > MOST_OF_PACE * early || early - late < ERRORS * error {
        return None;
    }
    let decay = (early / late).ln() / (last.0 - first.0);
    let left = late / decay;
    let settles_in_s = 20.0_f64.ln() / decay;
    (left.is_finite() && settles_in_s.is_finite()).then_some(FallingPace { left, settles_in_s })
}

/// How certain the growth of a quantity read many times is; `None` if it came and went.
pub fn confidence(series: &[(Duration, f64)]) -> Option<f64> {
    let [first, .., last] = series else { return None };
    let gained = last.1 - first.1;
    let mut highest = first.1;
    let mut lost: f64 = 0.0;
    for &(_, value) in series {
        highest = highest.max(value);
        lost = lost.max(highest - value);
    }
    if gained <= 0.0 || lost > MOST_LOST * gained {
        return None;
    }
    let parts = PARTS.min(series.len() - 1);
    let at = |part: usize| series.get(part * (series.len() - 1) / parts).map(|point| point.1);
    let grown = (0..parts).filter(|&part| at(part + 1) > at(part)).count();
    Some(1.0 - chance_of_heads(parts as u32, grown as u32))
}

/// The chance that this many tosses of a coin give at least this many heads.
fn chance_of_heads(tosses: u32, heads: u32) -> f64 {
    let mut ways = 1.0;
    let mut sum = 0.0;
    for found in 0..=tosses {
        if found >= heads {
            sum += ways;
        }
        ways *= f64::from(tosses - found) / f64::from(found + 1);
    }
    sum * 0.5_f64.powi(tosses as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(values: &[f64]) -> Series {
        (0..).map(Duration::from_secs).zip(values.iter().copied()).collect()
    }

    #[test]
    fn what_grows_by_as_much_each_time_is_steady() {
        let trend = steady_growth(&series(&[100.0, 120.0, 139.0, 160.0])).expect("steady");
        assert_eq!((trend.net, trend.per_second, trend.confidence), (60.0, 20.0, 0.875));
        assert!(steady_growth(&series(&[0.0, 1.0, 4.0, 6.0])).is_some(), "small counts scatter");
    }

    #[test]
    fn what_slows_down_or_falls_is_not() {
        for values in [
            &[0.0, 1000.0, 1500.0, 1600.0][..],
            &[0.0, 1000.0, 1000.0, 1000.0],
            &[0.0, 50.0, 20.0, 90.0],
            &[5.0, 5.0, 5.0],
            &[9.0, 5.0, 1.0],
            &[1.0],
            &[],
        ] {
            assert_eq!(steady_growth(&series(values)), None, "{values:?}");
        }
    }

    #[test]
    fn only_a_pace_that_falls_clearly_is_one_that_falls() {
        // A thousand keys, picked at random at 45 a second.
        let filled = |time: f64| 1000.0 * (1.0 - (-0.045 * time).exp());
        let cache: Series =
            [0, 9, 18, 27].map(|at| (Duration::from_secs(at), filled(at as f64))).to_vec();
        let found = falling_pace(&cache).expect("it falls");
        let rest = 1000.0 - filled(27.0);
        assert!((found.left / rest - 1.0).abs() < 0.3, "{found:?}, {rest} in truth");
        for values in [
            [0.0, 400.0, 800.0, 1200.0],
            [0.0, 400.0, 790.0, 1100.0],
            [0.0, 20.0, 32.0, 40.0],
            [0.0, 400.0, 500.0, 800.0],
            [0.0, 400.0, 600.0, 600.0],
        ] {
            assert_eq!(falling_pace(&series(&values)), None, "{values:?}");
        }
        assert_eq!(falling_pace(&series(&[0.0, 400.0, 600.0])), None);
    }

    #[test]
    fn a_saw_tooth_is_not_a_growth() {
        let rising: Vec<f64> = (0..100).map(f64::from).collect();
        assert!(confidence(&series(&rising)).is_some_and(|sure| sure > 0.999));
        let saw: Vec<f64> = (0..100).map(|n| f64::from(n % 40)).collect();
        assert_eq!(confidence(&series(&saw)), None);
        assert_eq!(confidence(&series(&[7.0; 50])), None);
    }

    #[test]
    fn heads_are_as_likely_as_tails() {
        assert_eq!(chance_of_heads(3, 3), 0.125);
        assert_eq!(chance_of_heads(3, 0), 1.0);
        assert_eq!(chance_of_heads(10, 0), 1.0);
        assert!((chance_of_heads(10, 9) - 11.0 / 1024.0).abs() < 1e-12);
    }
}
