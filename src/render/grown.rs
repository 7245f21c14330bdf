//! Two moments as the lines of a differential flamegraph, in which each box is coloured and counted by the growth of
//! all that it retains.
//!
//! inferno takes a box's growth from the line that ends with it, and shows none for a box without such a line. So each
//! box has a line here: its width is that of its own objects, its growth that of the whole subtree.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::whole;

/// Between the labels of a stack.
const SEPARATOR: char = ';';

/// A box, and what is known of it so far.
struct Frame<'a> {
    /// Its stack.
    stack: &'a str,
    /// The weight of its own objects.
    own: i64,
    /// The growth of all that is inside it.
    growth: i64,
}

/// The lines for stacks with their weights before and after, in units of `unit`. Each box directly precedes those
/// inside it: inferno must not sort them.
pub fn lines(
    before: &BTreeMap<String, f64>,
    after: &BTreeMap<String, f64>,
    unit: f64,
) -> Vec<String> {
    let mut stacks: Vec<&str> = before.keys().chain(after.keys()).map(String::as_str).collect();
    stacks.sort_unstable_by(|one, other| order(one, other));
    stacks.dedup();
    let mut frames: Vec<Frame<'_>> = Vec::new();
    // The boxes around the present one, outermost first.
    let mut open: Vec<usize> = Vec::new();
    for stack in stacks {
        let weight = |of: &BTreeMap<String, f64>| {
            whole(of.get(stack).copied().unwrap_or_default() / unit) as i64
        };
        let (old, new) = (weight(before), weight(after));
        let is_around =
            |&index: &usize| frames.get(index).is_some_and(|frame| contains(frame.stack, stack));
        open.truncate(open.iter().take_while(|index| is_around(index)).count());
        let ends = stack.match_indices(SEPARATOR).map(|(at, _)| at).chain([stack.len()]);
        for end in ends.skip(open.len()) {
            open.push(frames.len());
            let stack = stack.get(..end).unwrap_or_default();
            frames.push(Frame { stack, own: 0, growth: 0 });
        }
        for &index in &open {
            if let Some(frame) = frames.get_mut(index) {
                frame.growth = frame.growth.saturating_add(new.saturating_sub(old));
            }
        }
        if let Some(frame) = open.last().and_then(|&index| frames.get_mut(index)) {
            frame.own = new;
        }
    }
    frames.iter().map(Frame::line).collect()
}

impl Frame<'_> {
    fn line(&self) -> String {
        // inferno subtracts the first number from the second with its sign, however large it is without one.
        let before = self.own.wrapping_sub(self.growth) as u64;
        format!("{} {before} {}", self.stack, self.own)
    }
}

/// Whether a stack is another one or inside it.
fn contains(outer: &str, stack: &str) -> bool {
    stack.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with(SEPARATOR))
}

/// The order of a tree: each box before those inside it, and these together.
fn order(one: &str, other: &str) -> Ordering {
    one.split(SEPARATOR).cmp(other.split(SEPARATOR))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(stacks: &[(&str, f64)]) -> BTreeMap<String, f64> {
        stacks.iter().map(|&(stack, weight)| (stack.to_owned(), weight)).collect()
    }

    #[test]
    fn a_box_grows_by_all_that_is_inside_it() {
        let before =
            moment(&[("m;C dict", 10.0), ("m;C;x", 5.0), ("m;C dict;s;t", 7.0), ("gone", 4.0)]);
        let after = moment(&[("m;C dict", 12.0), ("m;C;x", 4.0), ("m;C dict;s;t", 107.0)]);
        // Growth is the second number minus the first.
        let found: Vec<(String, i64, i64)> = lines(&before, &after, 1.0)
            .iter()
            .map(|line| {
                let mut parts = line.rsplitn(3, ' ');
                let own: i64 = parts.next().and_then(|it| it.parse().ok()).expect("a number");
                let first: u64 = parts.next().and_then(|it| it.parse().ok()).expect("a number");
                let stack = parts.next().expect("a stack").to_owned();
                (stack, own, own.wrapping_sub(first as i64))
            })
            .collect();
        let found: Vec<(&str, i64, i64)> =
            found.iter().map(|(stack, own, growth)| (&**stack, *own, *growth)).collect();
        assert_eq!(
            found,
            [
                ("gone", 0, -4),
                ("m", 0, 101),
                ("m;C", 0, -1),
                ("m;C;x", 4, -1),
                ("m;C dict", 12, 102),
                ("m;C dict;s", 0, 100),
                ("m;C dict;s;t", 107, 100),
            ]
        );
    }
}
