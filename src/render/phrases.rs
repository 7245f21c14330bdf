//! Sizes, processes, peaks and slopes in words.

use crate::timeline::{Measure, Series, Trend, TrendKind};

const MIB: f64 = 1048576.0;
const GIB: f64 = 1073741824.0;
/// The most PIDs in a sentence.
const MOST_PIDS: usize = 8;

/// Bytes with their unit. (Less than a tenth of a MiB is lost.)
pub fn mib(bytes: f64) -> String {
    match bytes.abs() {
        ..GIB => format!("{:.1} MiB", bytes / MIB),
        _ => format!("{:.2} GiB", bytes / GIB),
    }
}

/// PIDs with commas in between; of many, the first, and how many more there are.
pub fn pids(pids: &[i32]) -> String {
    let mut words: Vec<String> = pids.iter().take(MOST_PIDS).map(i32::to_string).collect();
    if let Some(more @ 1..) = pids.len().checked_sub(MOST_PIDS) {
        words.push(format!("{more} more"));
    }
    words.join(", ")
}

/// How a figure grows: `grows 3.1 ± 0.2 MiB/min`, or `flat`.
pub fn trend(trend: &Trend) -> String {
    let (verb, slope) = match trend.kind {
        TrendKind::Grows => ("grows", trend.slope),
        TrendKind::Shrinks => ("shrinks", -trend.slope),
        TrendKind::Flat => return "flat".into(),
        TrendKind::Unknown => return "too short to say whether it grows".into(),
    };
    let [slope, error] = [slope, trend.error].map(|bytes| bytes * 60.0 / MIB);
    // As many digits as the error justifies.
    let digits = match error.max(slope / 1000.0) {
        1.0.. => 0,
        0.1.. => 1,
        0.01.. => 2,
        _ => 3,
    };
    format!("{verb} {slope:.digits$} ± {error:.digits$} MiB/min")
}

/// The last value, the peak and the trend of one process.
pub fn series(series: &Series, measure: Measure) -> String {
    let mut words = Vec::new();
    if let Some((_, last)) = series.points(measure).last() {
        words.push(format!("last {}", mib(last as f64)));
    }
    if let (Some(peak), Some(first)) = (series.peak(measure), series.samples.first()) {
        let after = peak.time - first.time_s;
        words.push(format!("peak {} after {after:.1} s", mib(peak.bytes as f64)));
    }
    words.extend(series.trend(measure).as_ref().map(trend));
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(slope: f64, error: f64, kind: TrendKind) -> String {
        let [slope, error] = [slope, error].map(|per_minute| per_minute * MIB / 60.0);
        trend(&Trend { slope, error, kind })
    }

    #[test]
    fn slopes_have_the_digits_of_their_error() {
        assert_eq!(words(3.1234, 0.234, TrendKind::Grows), "grows 3.1 ± 0.2 MiB/min");
        assert_eq!(words(-314.2, 2.34, TrendKind::Shrinks), "shrinks 314 ± 2 MiB/min");
        assert_eq!(words(0.02, 0.0, TrendKind::Grows), "grows 0.020 ± 0.000 MiB/min");
        assert_eq!(words(0.02, 5.0, TrendKind::Flat), "flat");
    }

    #[test]
    fn sizes_have_units() {
        assert_eq!([mib(1.5 * MIB), mib(3.25 * GIB)], ["1.5 MiB", "3.25 GiB"]);
    }
}
