//! Which sizes of native blocks become more: those of the blocks that leak.

use rustc_hash::FxHashMap;

/// How many native blocks there are of each chunk size in bytes.
pub type Sizes = FxHashMap<u64, u64>;

/// The most sizes that are told apart.
const MOST: usize = 32;
/// The least share of the growth that a size must have, and that they must have together: the blocks may also be of
/// any size.
const LEAST_SHARE: f64 = 0.02;
const TOGETHER: f64 = 0.5;

/// The sizes that make most of the growth, in bytes, the one with the largest part first; none if no few sizes do.
pub fn growing_sizes(first: &Sizes, last: &Sizes) -> Vec<u64> {
    let gained = |(&size, &count): (&u64, &u64)| {
        let new = count.saturating_sub(first.get(&size).copied().unwrap_or_default());
        (size, size as f64 * new as f64)
    };
    let mut gains: Vec<(u64, f64)> = last.iter().map(gained).collect();
    let all: f64 = gains.iter().map(|(_, bytes)| bytes).sum();
    gains.retain(|&(_, bytes)| bytes > 0.0 && bytes >= LEAST_SHARE * all);
    gains.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    gains.truncate(MOST);
    let together: f64 = gains.iter().map(|(_, bytes)| bytes).sum();
    match together >= TOGETHER * all {
        true => gains.into_iter().map(|(size, _)| size).collect(),
        false => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_that_are_many_but_do_not_become_more_are_left_out() {
        let first = Sizes::from_iter([(64, 10_000), (4112, 10), (96, 5)]);
        let last = Sizes::from_iter([(64, 9_000), (4112, 30), (32_784, 20), (96, 9)]);
        assert_eq!(growing_sizes(&first, &last), [32_784, 4112]);
        let all_kinds = Sizes::from_iter((1..1000).map(|it| (16 * it, 1)));
        assert!(growing_sizes(&Sizes::default(), &all_kinds).is_empty());
        assert!(growing_sizes(&last, &last).is_empty());
    }
}
