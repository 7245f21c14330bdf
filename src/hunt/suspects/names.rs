//! The names of holders: by path, and as a Python programmer would write them.

use crate::heap::{Analysis, NodeId, ReferenceChain, RootNames};
use crate::hunt::finding::Holder;
use crate::python::objects::Disclosure;

/// Between the parts of a path.
pub const STEP: &str = " › ";
/// Stands for one of many items.
const EACH: &str = "[…]";
/// A path with more steps than this is shortened in the middle.
const MOST_STEPS: usize = 24;

/// Names the last of the `nodes` of a path from the root. If the growth is spread over objects below it,
/// `pattern` is the way from it to one of them, and the path continues to them.
pub fn holder(
    heap: &Analysis<'_>,
    names: &RootNames,
    nodes: &[NodeId],
    pattern: &[NodeId],
) -> Holder {
    let lineage = ReferenceChain::of(heap, names, nodes, Disclosure::default());
    let mut steps = lineage.path.clone();
    if let [_, below @ ..] = pattern {
        let all: Vec<NodeId> = nodes.iter().chain(below).copied().collect();
        let whole = ReferenceChain::of(heap, names, &all, Disclosure::default()).path;
        steps.extend(whole.into_iter().skip(lineage.path.len()).map(each));
    }
    let last = nodes.last().copied().unwrap_or_default();
    let object = heap.graph.type_info(last).map(|kind| kind.name.clone());
    let name = name(&lineage, &steps);
    let frame = lineage.frame.as_ref().map(|frame| frame.to_string());
    let parts = [lineage.root.clone()].into_iter().chain(frame).chain(shortened(steps));
    Holder {
        path: parts.filter(|part| !part.is_empty()).collect::<Vec<_>>().join(STEP),
        name,
        kind: object.unwrap_or_default(),
        address: heap.graph.address(last),
    }
}

/// Replaces a key or index by a sign for all of them.
fn each(step: String) -> String {
    if step.starts_with('[') { EACH.to_owned() } else { step }
}

/// Leaves out repeated steps, as in a linked list, and the middle of very long paths.
fn shortened(steps: Vec<String>) -> Vec<String> {
    let mut short: Vec<(String, usize)> = Vec::new();
    for step in steps {
        match short.last_mut() {
            Some((last, count)) if *last == step => *count += 1,
            _ => short.push((step, 1)),
        }
    }
    let many = |(step, count)| if count > 1 { format!("{step} × {count}") } else { step };
    let mut short: Vec<String> = short.into_iter().map(many).collect();
    if short.len() > MOST_STEPS {
        let middle = MOST_STEPS / 2..short.len() - MOST_STEPS / 2;
        let left_out = format!("({} more)", middle.len());
        short.splice(middle, [left_out]);
    }
    short
}

/// A path as an expression, as far as it can be written as one: `app.CACHE`, `local rows of handle`.
fn name(lineage: &ReferenceChain, steps: &[String]) -> String {
    let rest = |steps: &[String]| shortened(steps.to_vec()).concat();
    match (lineage.root.strip_prefix("module "), steps) {
        (Some(module), []) => module.to_owned(),
        (Some(module), [first, others @ ..]) => {
            let dot = if first.starts_with(['.', '[']) { "" } else { "." };
            format!("{module}{dot}{first}{}", rest(others))
        }
        (None, []) => lineage.root.clone(),
        (None, [first, others @ ..]) => match &lineage.frame {
            Some(frame) => format!("{first}{} of {}", rest(others), frame.function),
            None if lineage.root == "interpreter" => format!("{first}{}", rest(others)),
            None => format!("{} {first}{}", lineage.root, rest(others)),
        },
    }
}
