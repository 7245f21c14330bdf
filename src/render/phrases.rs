//! Sizes, processes, peaks, slopes and intervals in words.

use indicatif::HumanCount;

use crate::profile::By;
use crate::profile::precision::Between;
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

/// A pace for each second: `2.1 to 6.3 million allocations`, or `at least 2.1 million allocations`.
pub fn pace(between: Between, by: By) -> String {
    let words = |value: f64| match by {
        By::Bytes => mib(value),
        By::Objects if value >= 0.95e6 => format!("{:.1} million", value / 1e6),
        By::Objects => HumanCount(rounded(value)).to_string(),
    };
    let unit = if by == By::Objects { " allocations" } else { "" };
    match between.most {
        Some(most) => format!("{} to {}{unit}", words(between.least), words(most)),
        None => format!("at least {}{unit}", words(between.least)),
    }
}

/// The two digits that an estimate justifies.
fn rounded(value: f64) -> u64 {
    let step = 10_f64.powf(value.max(1.0).log10().floor() - 1.0).max(1.0);
    ((value / step).round() * step) as u64
}

/// An interval of shares: `38 to 62 %`, `0.2 to 1.3 %`.
pub fn interval((low, high): (f64, f64)) -> String {
    let digits = usize::from(high < 0.1);
    format!("{:.digits$} to {:.digits$} %", 100.0 * low, 100.0 * high)
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
    fn a_pace_says_what_is_known_of_it() {
        let between = Between { least: 2_123_456.0, most: Some(6.3e6) };
        assert_eq!(pace(between, By::Objects), "2.1 million to 6.3 million allocations");
        let least = Between { least: 12_345.0, most: None };
        assert_eq!(pace(least, By::Objects), "at least 12,000 allocations");
        assert_eq!(pace(least.times(1000.0), By::Bytes), "at least 11.8 MiB");
        assert_eq!(interval((0.382, 0.62)), "38 to 62 %");
        assert_eq!(interval((0.0021, 0.0127)), "0.2 to 1.3 %");
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
