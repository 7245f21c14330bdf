//! The live view as a tree: the objects at each node of the dominator tree, and everything below.
//!
//! It takes names and folding from the [live](super::live) view, and only adds up.

use std::cmp::Reverse;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::profile::Profile;
use crate::python::Frame;

/// What a line of the tree stands for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Part {
    /// A root other than a frame.
    Root(Arc<str>),
    /// A frame.
    Frame(Frame),
    /// Objects: how they are held, and their type.
    Objects(Arc<str>),
}

/// A line of the tree.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// The number of lines above it.
    pub depth: u32,
    /// What it stands for.
    pub part: Part,
    /// Bytes of its own objects and of all below: their retained size.
    pub bytes: u64,
    /// The number of these objects.
    pub objects: u64,
    /// The number of its own objects.
    pub own: u64,
}

#[derive(Debug, Default)]
struct Node {
    part: Option<Part>,
    before: usize,
    bytes: f64,
    objects: f64,
    own: f64,
}

/// Makes a tree of a live view: each line precedes those below it, and those with the most bytes come first.
pub fn tree(profile: &Profile) -> Vec<Line> {
    let mut nodes = vec![Node::default()];
    let mut numbers: FxHashMap<(usize, Part), usize> = FxHashMap::default();
    for (stack, weight) in profile.sorted() {
        let roots = stack.roots.iter().map(|root| Part::Root(Arc::clone(root)));
        let frames = stack.frames.iter().rev().map(|frame| Part::Frame(frame.clone()));
        let path = stack.path.iter().map(|part| Part::Objects(Arc::clone(part)));
        let mut at = 0;
        for part in roots.chain(frames).chain(path) {
            at = *numbers.entry((at, part.clone())).or_insert_with(|| {
                nodes.push(Node { part: Some(part), before: at, ..Node::default() });
                nodes.len() - 1
            });
        }
        if let Some(node) = nodes.get_mut(at) {
            node.bytes += weight.bytes;
            node.objects += weight.objects;
            node.own += weight.objects;
        }
    }
    drop(numbers);
    let mut below: Vec<Vec<usize>> = vec![Vec::new(); nodes.len()];
    for number in (1..nodes.len()).rev() {
        let Some((before, bytes, objects)) =
            nodes.get(number).map(|node| (node.before, node.bytes, node.objects))
        else {
            continue;
        };
        if let (Some(above), Some(below)) = (nodes.get_mut(before), below.get_mut(before)) {
            above.bytes += bytes;
            above.objects += objects;
            below.push(number);
        }
    }
    let bytes = |number: &usize| nodes.get(*number).map_or(0, |node| node.bytes as u64);
    for numbers in &mut below {
        // Keeps the order of equals.
        numbers.reverse();
        numbers.sort_by_key(|number| Reverse(bytes(number)));
    }
    let mut lines = Vec::with_capacity(nodes.len());
    let first = below.first().into_iter().flatten();
    let mut rest: Vec<(usize, u32)> = first.rev().map(|&number| (number, 0)).collect();
    while let Some((number, depth)) = rest.pop() {
        let Some(node) = nodes.get_mut(number) else { continue };
        let (bytes, objects, own) = (node.bytes as u64, node.objects as u64, node.own as u64);
        let Some(part) = node.part.take() else { continue };
        lines.push(Line { depth, part, bytes, objects, own });
        let next = below.get(number).into_iter().flatten().rev();
        rest.extend(next.map(|&number| (number, depth + 1)));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::{Stack, Weight};

    #[test]
    fn every_line_has_what_is_below_it() {
        let mut profile = Profile::new();
        for (path, bytes) in
            [(&["a"][..], 1.0), (&["a", "b"], 2.0), (&["c"], 5.0), (&["a", "d"], 4.0)]
        {
            let path = path.iter().map(|part| Arc::from(*part)).collect();
            let stack = Stack { roots: vec!["root".into()], path, ..Stack::default() };
            profile.add(stack, Weight { bytes, objects: 1.0 });
        }
        let objects = |name: &str| Part::Objects(name.into());
        let found: Vec<_> = tree(&profile)
            .into_iter()
            .map(|line| (line.depth, line.part, line.bytes, line.objects, line.own))
            .collect();
        let expected = [
            (0, Part::Root("root".into()), 12, 4, 0),
            (1, objects("a"), 7, 3, 1),
            (2, objects("d"), 4, 1, 1),
            (2, objects("b"), 2, 1, 1),
            (1, objects("c"), 5, 1, 1),
        ];
        assert_eq!(found, expected);
    }
}
