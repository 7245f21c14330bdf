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
/// From this share on, load that has merely become less does not explain it.
const LEVELS_OFF: f64 = 0.35;
/// And by at least this many standard errors.
const ERRORS: f64 = 4.0;
/// A count is exact to this.
const EXACT: f64 = 0.5;
/// A series with more points is divided into this many parts.
const PARTS: usize = 10;

/// A steady growth.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SteadyGrowth {
    /// From the first to the last moment.
    pub net: f64,
    /// On average.
    pub per_second: f64,
    /// How sure it is, as [`certainty`].
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
    Some(SteadyGrowth { net, per_second, confidence: certainty(series) })
}

/// A growth whose pace falls, so that it seems to approach a level.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FallingPace {
    /// By how much the quantity will still grow, if its pace goes on falling by the same share in the same time.
    pub left: f64,
    /// The seconds until nineteen twentieths of that are there.
    pub settles_in_s: f64,
    /// The pace of the last interval, as a share of the first's.
    pub remains: f64,
    /// How long to observe, from the first moment on, until the pace will have fallen so far that load that has
    /// merely become less does not explain it.
    pub tells_in_s: f64,
}

impl FallingPace {
    /// Whether it shows that the growth levels off: a leak, too, slows down when a service has less to do.
    pub fn levels_off(&self) -> bool {
        self.remains <= LEVELS_OFF
    }
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
    let remains = late / early;
    let watched = series.last()?.0.checked_sub(series.first()?.0)?.as_secs_f64();
    let tells_in_s = watched.max(watched * LEVELS_OFF.ln() / remains.ln());
    let is_sound = [left, settles_in_s, tells_in_s].iter().all(|figure| figure.is_finite());
    is_sound.then_some(FallingPace { left, settles_in_s, remains, tells_in_s })
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
    let at = |part: usize| series.get(part * (series.len() - 1) / parts).copied();
    let points: Series = (0..=parts).filter_map(at).collect();
    Some(certainty(&points))
}

/// How sure it is that a quantity grows: one minus the chance that one that does not grow, and scatters as this one
/// does around a straight line, would have risen as steeply (Student's t). The points should be far enough apart
/// to be independent; each counts to one object at best.
pub fn certainty(points: &[(Duration, f64)]) -> f64 {
    let count = points.len() as f64;
    let mean = |of: fn(&(Duration, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (mean_time, mean_value) = (mean(|it| it.0.as_secs_f64()), mean(|it| it.1));
    let centred = || points.iter().map(|it| (it.0.as_secs_f64() - mean_time, it.1 - mean_value));
    let times: f64 = centred().map(|(time, _)| time * time).sum();
    let slope = centred().map(|(time, value)| time * value).sum::<f64>() / times;
    let squares: f64 = centred().map(|(time, value)| (value - slope * time).powi(2)).sum();
    let Some(degrees) = points.len().checked_sub(2).filter(|it| *it > 0) else { return 0.5 };
    let variance = (squares / degrees as f64).max(EXACT * EXACT);
    let t = slope / (variance / times).sqrt();
    if t.is_finite() { student(t, degrees) } else { 0.5 }
}

/// The chance that a value of Student's distribution with so many degrees of freedom is at most `t`
/// (Abramowitz and Stegun, 26.7.3 and 26.7.4).
fn student(t: f64, degrees: usize) -> f64 {
    let angle = (t / (degrees as f64).sqrt()).atan();
    let (sine, cosine) = angle.sin_cos();
    let is_odd = degrees % 2 == 1;
    let mut term = if is_odd { cosine } else { 1.0 };
    let mut sum = 0.0;
    for power in (if is_odd { 1 } else { 0 }..degrees.saturating_sub(1)).step_by(2) {
        sum += term;
        term *= cosine * cosine * (power + 1) as f64 / (power + 2) as f64;
    }
    let within = match is_odd {
        true => 2.0 / std::f64::consts::PI * (angle + sine * sum),
        false => sine * sum,
    };
    (1.0 + within) / 2.0
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
        assert_eq!((trend.net, trend.per_second), (60.0, 20.0));
        assert!(trend.confidence > 0.999, "{trend:?}");
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
        assert!(!found.levels_off() && (27.0..40.0).contains(&found.tells_in_s), "{found:?}");
        let longer: Series =
            [0, 9, 18, 27, 54].map(|at| (Duration::from_secs(at), filled(at as f64))).to_vec();
        assert!(falling_pace(&longer).is_some_and(|found| found.levels_off()));
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
    fn certainty_means_the_same_for_few_points_and_for_many() {
        // From tables of the distribution: 95 % lie below these.
        for (degrees, t) in
            [(1, 6.314), (2, 2.920), (3, 2.353), (4, 2.132), (9, 1.833), (10, 1.812)]
        {
            assert!(
                (student(t, degrees) - 0.95).abs() < 1e-4,
                "{degrees}: {}",
                student(t, degrees)
            );
            assert!((student(-t, degrees) - 0.05).abs() < 1e-4);
        }
        assert!(certainty(&series(&[0.0, 60.0, 120.0, 180.0])) > 0.9999);
        assert!((certainty(&series(&[5.0, 5.0, 5.0, 5.0])) - 0.5).abs() < 1e-9);
        let scattered = certainty(&series(&[0.0, 40.0, 10.0, 60.0]));
        assert!((0.8..0.95).contains(&scattered), "{scattered}");
        assert_eq!(certainty(&series(&[1.0, 2.0])), 0.5);
    }
}
