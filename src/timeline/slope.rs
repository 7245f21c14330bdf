//! How a figure grows: the slope of a straight line through its points, with its error.
//!
//! The line is fitted by least squares. Its error cannot be computed as for independent points: memory that
//! is a little above the line now will still be in a tenth of a second, so ten times as many samples add
//! little. The number of points is therefore reduced by the correlation of each residual with the next:
//! `n (1 - r) / (1 + r)`, as for a first-order autoregressive process. So a saw-tooth with a few teeth, or a
//! staircase with a few steps, gets the wide error it deserves.

/// The fewest points, and the fewest independent ones, from which a slope is computed.
const FEWEST: usize = 8;
const FEWEST_INDEPENDENT: f64 = 3.0;
/// With fewer independent points than this, a wide error does not mean that the figure is flat: the trend is
/// unknown.
const FEWEST_FOR_FLAT: f64 = 6.0;
/// A change over the whole time by no more than this part of the mean, or by no more than this many bytes,
/// counts as none.
const NO_PART: f64 = 0.001;
const NO_CHANGE: f64 = 65536.0;

/// How a figure changes with time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Trend {
    /// Bytes a second.
    pub slope: f64,
    /// Half the width of its 95 % confidence interval; infinite if there are too few points.
    pub error: f64,
    /// The conclusion.
    pub kind: TrendKind,
}

/// The conclusion from a slope and its error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrendKind {
    /// It certainly grows.
    Grows,
    /// It certainly shrinks.
    Shrinks,
    /// It does neither with certainty, or changes by a negligible amount.
    Flat,
    /// There are too few points.
    Unknown,
}

impl Trend {
    /// The trend of points of seconds and bytes, in order of time. `None` if all are of one moment.
    pub fn of(points: &[(f64, f64)]) -> Option<Trend> {
        let count = points.len() as f64;
        let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
        let (mean_time, mean_bytes) = (mean(|point| point.0), mean(|point| point.1));
        let centred = || points.iter().map(|(t, y)| (t - mean_time, y - mean_bytes));
        let times: f64 = centred().map(|(t, _)| t * t).sum();
        if !(times.is_finite() && times > 0.0) {
            return None;
        }
        let slope = centred().map(|(t, y)| t * y).sum::<f64>() / times;
        let residuals: Vec<f64> = centred().map(|(t, y)| y - slope * t).collect();
        let squares: f64 = residuals.iter().map(|residual| residual * residual).sum();
        let lagged: f64 = residuals.iter().zip(residuals.iter().skip(1)).map(|(a, b)| a * b).sum();
        let correlation = if squares > 0.0 { (lagged / squares).clamp(0.0, 1.0) } else { 0.0 };
        let independent = count * (1.0 - correlation) / (1.0 + correlation);
        let duration = match points {
            [first, .., last] => last.0 - first.0,
            _ => 0.0,
        };
        let change = (slope * duration).abs();
        let negligible = NO_CHANGE.max(NO_PART * mean_bytes);
        // Points that scatter by a negligible amount need not be independent.
        let spread = (squares / count).sqrt();
        let too_few = independent < FEWEST_INDEPENDENT && spread > negligible;
        if points.len() < FEWEST || too_few {
            return Some(Trend { slope, error: f64::INFINITY, kind: TrendKind::Unknown });
        }
        let degrees = (independent - 2.0).max(1.0);
        let error = quantile(degrees) * (squares / degrees / times).sqrt();
        let kind = match slope {
            _ if change <= negligible => TrendKind::Flat,
            slope if slope.abs() <= error && independent < FEWEST_FOR_FLAT => TrendKind::Unknown,
            slope if slope.abs() <= error => TrendKind::Flat,
            slope if slope > 0.0 => TrendKind::Grows,
            _ => TrendKind::Shrinks,
        };
        Some(Trend { slope, error, kind })
    }
}

/// The 97.5 % quantile of Student's t distribution, to half a percent (Cornish-Fisher expansion; from
/// tables where that fails).
fn quantile(degrees: f64) -> f64 {
    const Z: f64 = 1.959964;
    match degrees {
        ..1.5 => 12.706,
        ..2.5 => 4.303,
        ..3.5 => 3.182,
        n => {
            let z3 = Z.powi(3);
            let first = (z3 + Z) / 4.0;
            let second = (5.0 * Z.powi(5) + 16.0 * z3 + 3.0 * Z) / 96.0;
            let third = (3.0 * Z.powi(7) + 19.0 * Z.powi(5) + 17.0 * z3 - 15.0 * Z) / 384.0;
            Z + first / n + second / (n * n) + third / n.powi(3)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: f64 = 1048576.0;

    /// Ten points a second for a minute.
    fn trend(of: impl Fn(f64) -> f64) -> Trend {
        let points: Vec<_> = (0..600).map(|i| f64::from(i) / 10.0).map(|t| (t, of(t))).collect();
        Trend::of(&points).expect("there are points")
    }

    #[test]
    fn a_line_is_itself() {
        let Trend { slope, error, kind } = trend(|t| 50.0 * MIB + 0.5 * MIB * t);
        assert!((slope / MIB - 0.5).abs() < 1e-9 && error < 1e-3 * MIB, "{slope} {error}");
        assert_eq!(kind, TrendKind::Grows);
        assert_eq!(trend(|t| 50.0 * MIB - 0.5 * MIB * t).kind, TrendKind::Shrinks);
    }

    #[test]
    fn stairs_grow_and_their_error_holds_the_truth() {
        let stairs = trend(|t| 50.0 * MIB + MIB * (t / 3.0).floor());
        assert_eq!(stairs.kind, TrendKind::Grows);
        assert!((stairs.slope - MIB / 3.0).abs() < stairs.error.max(0.02 * MIB), "{stairs:?}");
    }

    #[test]
    fn what_comes_back_is_flat() {
        assert_eq!(trend(|_| 50.0 * MIB).kind, TrendKind::Flat);
        let saw = trend(|t| 50.0 * MIB + 2.0 * MIB * (t % 5.0));
        assert_eq!(saw.kind, TrendKind::Flat, "{saw:?}");
        assert_eq!(trend(|t| 50.0 * MIB + 4096.0 * (t / 8.0).floor()).kind, TrendKind::Flat);
    }

    #[test]
    fn one_step_is_not_growth() {
        let step = trend(|t| if t < 30.0 { 50.0 * MIB } else { 90.0 * MIB });
        assert_ne!(step.kind, TrendKind::Grows, "{step:?}");
    }

    #[test]
    fn what_jumps_and_then_climbs_is_not_called_flat() {
        // As observed in a program during its first three seconds.
        let mib = |i: i32| match i {
            ..4 => 3.0,
            4 => 10.0,
            i => 9.4 + f64::from(i),
        };
        let points: Vec<_> = (0..30).map(|i| (f64::from(i) / 10.0, MIB * mib(i))).collect();
        let trend = Trend::of(&points).expect("there are points");
        assert_ne!(trend.kind, TrendKind::Flat, "{trend:?}");
    }

    #[test]
    fn little_says_nothing() {
        assert_eq!(Trend::of(&[]), None);
        assert_eq!(Trend::of(&[(1.0, 5.0), (1.0, 6.0)]), None);
        let two = Trend::of(&[(1.0, 5.0 * MIB), (2.0, 6.0 * MIB)]).expect("two moments");
        assert_eq!(two.kind, TrendKind::Unknown);
    }

    #[test]
    fn quantiles_are_those_of_tables() {
        for (degrees, expected) in [(1.0, 12.706), (4.0, 2.776), (10.0, 2.228), (1e6, 1.960)] {
            assert!((quantile(degrees) / expected - 1.0).abs() < 0.005, "{degrees}");
        }
    }
}
