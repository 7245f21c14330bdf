//! Medians, and their confidence intervals.

/// The `part`-quantile (0 … 1) of the values, interpolated between neighbours; NaN for no values.
pub fn quantile(values: &[f64], part: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let position = part * last as f64;
    let below = position.floor() as usize;
    let above = (below + 1).min(last);
    sorted[below] + (sorted[above] - sorted[below]) * (position - below as f64)
}

/// The middle value.
pub fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

/// The interval that holds the middle 95 % of the values of `statistic` for resamples of `items`.
pub fn bootstrap<T: Copy>(items: &[T], statistic: impl Fn(&[T]) -> f64) -> (f64, f64) {
    const RESAMPLES: usize = 4000;
    let mut random = fastrand::Rng::with_seed(1);
    let estimates: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            let resample: Vec<T> =
                items.iter().filter_map(|_| random.choice(items)).copied().collect();
            statistic(&resample)
        })
        .collect();
    (quantile(&estimates, 0.025), quantile(&estimates, 0.975))
}
