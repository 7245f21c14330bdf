//! A sparkline: the last values, one character each.

/// From low to high.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// The scale covers at least this part of the highest value, so that small changes look flat.
const LEAST_RANGE: f64 = 0.05;

/// Values as bars, the lowest at the bottom.
pub fn sparkline(values: impl Iterator<Item = f64> + Clone) -> String {
    let high = values.clone().fold(f64::MIN, f64::max);
    let low = values.clone().fold(f64::MAX, f64::min);
    let range = (high - low).max(high * LEAST_RANGE).max(f64::MIN_POSITIVE);
    values
        .map(|value| {
            let bar = ((value - low) / range * (BARS.len() - 1) as f64).round() as usize;
            BARS.get(bar).copied().unwrap_or('█')
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_become_bars() {
        assert_eq!(sparkline([0.0, 1.0, 2.0, 7.0, 3.5].into_iter()), "▁▂▃█▅");
        assert_eq!(sparkline([1000.0, 1001.0, 1000.0].into_iter()), "▁▁▁");
        assert_eq!(sparkline([].into_iter()), "");
    }
}
