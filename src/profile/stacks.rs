//! A profile: equal stacks merged, each with the sum of its weights.
//!
//! Weights are estimated totals, so they are fractions: a sample that stands for 1,200.4 allocations adds
//! exactly that. The result is sorted, so equal profiles give equal output, whatever the order in which they
//! were collected.

use std::cmp::Ordering;
use std::ops::{Add, AddAssign, Mul};
use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::python::Frame;

/// Where memory was allocated, or is held, from the widest scope to the narrowest: the process and thread,
/// the Python frames, and the kind of allocation or the path to the held objects.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Stack {
    /// The entries below the first frame, widest first: `process 12: python app.py`, `thread MainThread`.
    /// Empty where there is one process and threads are not kept apart.
    pub roots: Vec<Arc<str>>,
    /// The Python frames, innermost first.
    pub frames: Vec<Frame>,
    /// The path from there to live objects, outermost first: `local rows`, `list`, `[…] dict`.
    pub path: Vec<Arc<str>>,
    /// The kind of allocation, where it is known: `64 bytes · PyList_New`.
    pub leaf: Option<Arc<str>>,
}

/// The root of all stacks of a process, where there are several processes.
pub fn process_root(pid: i32, command: &str) -> Arc<str> {
    format!("process {pid}: {command}").into()
}

/// An estimated or exact total.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Weight {
    /// Bytes requested.
    pub bytes: f64,
    /// Allocations.
    pub objects: f64,
}

impl Weight {
    /// Its bytes or its objects.
    pub fn by(self, by: By) -> f64 {
        match by {
            By::Bytes => self.bytes,
            By::Objects => self.objects,
        }
    }
}

impl Add for Weight {
    type Output = Weight;

    fn add(self, other: Weight) -> Weight {
        Weight { bytes: self.bytes + other.bytes, objects: self.objects + other.objects }
    }
}

impl AddAssign for Weight {
    fn add_assign(&mut self, other: Weight) {
        *self = *self + other;
    }
}

impl Mul<f64> for Weight {
    type Output = Weight;

    fn mul(self, factor: f64) -> Weight {
        Weight { bytes: self.bytes * factor, objects: self.objects * factor }
    }
}

/// The weight that decides widths and ranks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum By {
    /// Bytes requested.
    #[default]
    Bytes,
    /// Allocations, however large.
    Objects,
}

impl By {
    /// The unit as a word: `bytes` or `objects`.
    pub fn unit(self) -> &'static str {
        match self {
            By::Bytes => "bytes",
            By::Objects => "objects",
        }
    }
}

/// Stacks with weights.
#[derive(Clone, Debug, Default)]
pub struct Profile {
    stacks: FxHashMap<Stack, Weight>,
}

impl Profile {
    /// An empty profile.
    pub fn new() -> Profile {
        Profile::default()
    }

    /// Adds `weight` to the weight of `stack`. A weight that is negative or not finite counts as nothing: one
    /// such sample must not spoil every share.
    pub fn add(&mut self, stack: Stack, weight: Weight) {
        let sound = |value: f64| if value.is_finite() { value.max(0.0) } else { 0.0 };
        let weight = Weight { bytes: sound(weight.bytes), objects: sound(weight.objects) };
        *self.stacks.entry(stack).or_default() += weight;
    }

    /// Adds all stacks of `other`, for instance of another process.
    pub fn merge(&mut self, other: Profile) {
        for (stack, weight) in other.stacks {
            self.add(stack, weight);
        }
    }

    /// Puts every stack below this root.
    pub fn on_root(self, root: &Arc<str>) -> Profile {
        let mut rooted = Profile::new();
        for (mut stack, weight) in self.stacks {
            stack.roots.insert(0, Arc::clone(root));
            rooted.add(stack, weight);
        }
        rooted
    }

    /// Multiplies every weight: shares stay, totals become estimates for a larger whole.
    pub fn scale(&mut self, factor: f64) {
        for weight in self.stacks.values_mut() {
            *weight = *weight * factor;
        }
    }

    /// Whether it has no stacks.
    pub fn is_empty(&self) -> bool {
        self.stacks.is_empty()
    }

    /// How many different stacks it has.
    pub fn len(&self) -> usize {
        self.stacks.len()
    }

    /// The weight of a stack; zero if it is not in the profile.
    pub fn weight(&self, stack: &Stack) -> Weight {
        self.stacks.get(stack).copied().unwrap_or_default()
    }

    /// The sum of all weights.
    pub fn total(&self) -> Weight {
        self.sorted().into_iter().fold(Weight::default(), |sum, (_, weight)| sum + weight)
    }

    /// All stacks, ordered by their text from the outermost frame inwards.
    pub fn sorted(&self) -> Vec<(&Stack, Weight)> {
        let mut stacks: Vec<_> =
            self.stacks.iter().map(|(stack, &weight)| (stack, weight)).collect();
        stacks.sort_unstable_by(|(a, _), (b, _)| outermost_first(a, b));
        stacks
    }

    /// All stacks, heaviest first; ties in the order of [`sorted`](Profile::sorted).
    pub fn heaviest(&self, by: By) -> Vec<(&Stack, Weight)> {
        let mut stacks = self.sorted();
        stacks.sort_by(|(_, a), (_, b)| b.by(by).total_cmp(&a.by(by)));
        stacks
    }
}

fn outermost_first(a: &Stack, b: &Stack) -> Ordering {
    fn key(frame: &Frame) -> (&str, &str, Option<u32>) {
        (&frame.function, &frame.file, frame.line)
    }
    a.roots
        .cmp(&b.roots)
        .then_with(|| a.frames.iter().rev().map(key).cmp(b.frames.iter().rev().map(key)))
        .then_with(|| a.path.cmp(&b.path))
        .then_with(|| a.leaf.cmp(&b.leaf))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stack of functions, innermost first.
    fn stack(functions: &[&str]) -> Stack {
        let frame = |&function: &&str| Frame::new(function, "app.py", Some(1));
        Stack { frames: functions.iter().map(frame).collect(), ..Stack::default() }
    }

    fn weight(bytes: f64, objects: f64) -> Weight {
        Weight { bytes, objects }
    }

    #[test]
    fn equal_stacks_are_one() {
        let mut profile = Profile::new();
        profile.add(stack(&["load", "main"]), weight(64.0, 1.0));
        profile.add(stack(&["load", "main"]), weight(36.0, 2.0));
        profile.add(stack(&["main"]), weight(1.0, 1.0));
        assert_eq!(profile.len(), 2);
        assert_eq!(profile.total(), weight(101.0, 4.0));
        assert_eq!(profile.heaviest(By::Bytes)[0], (&stack(&["load", "main"]), weight(100.0, 3.0)));
    }

    #[test]
    fn the_heaviest_depends_on_what_is_weighed() {
        let mut profile = Profile::new();
        profile.add(stack(&["few_large"]), weight(1e6, 1.0));
        profile.add(stack(&["many_small"]), weight(1e3, 10.0));
        assert_eq!(profile.heaviest(By::Bytes)[0].0, &stack(&["few_large"]));
        assert_eq!(profile.heaviest(By::Objects)[0].0, &stack(&["many_small"]));
    }

    #[test]
    fn the_order_is_by_outermost_frame_and_never_by_arrival() {
        let stacks = [stack(&["a", "z"]), stack(&["b", "a"]), stack(&["a"]), stack(&["a", "a"])];
        let mut forwards = Profile::new();
        let mut backwards = Profile::new();
        for index in 0..stacks.len() {
            forwards.add(stacks[index].clone(), weight(1.0, 1.0));
            backwards.add(stacks[stacks.len() - 1 - index].clone(), weight(1.0, 1.0));
        }
        let expected = [stack(&["a"]), stack(&["a", "a"]), stack(&["b", "a"]), stack(&["a", "z"])];
        for profile in [forwards, backwards] {
            let order: Vec<_> =
                profile.sorted().into_iter().map(|(stack, _)| stack.clone()).collect();
            assert_eq!(order, expected);
            let ties: Vec<_> =
                profile.heaviest(By::Bytes).into_iter().map(|(s, _)| s.clone()).collect();
            assert_eq!(ties, expected);
        }
    }

    #[test]
    fn merging_and_scaling_keep_shares() {
        let mut first = Profile::new();
        first.add(stack(&["a"]), weight(10.0, 1.0));
        let mut second = Profile::new();
        second.add(stack(&["a"]), weight(20.0, 1.0));
        second.add(stack(&["b"]), weight(30.0, 3.0));
        first.merge(second);
        first.scale(2.0);
        assert_eq!(first.total(), weight(120.0, 10.0));
        assert_eq!(first.sorted()[1], (&stack(&["b"]), weight(60.0, 6.0)));
    }

    #[test]
    fn a_weight_that_is_no_number_counts_as_nothing() {
        let mut profile = Profile::new();
        profile.add(stack(&["a"]), weight(f64::NAN, f64::INFINITY));
        profile.add(stack(&["a"]), weight(-5.0, 2.0));
        assert_eq!(profile.total(), weight(0.0, 2.0));
    }
}
