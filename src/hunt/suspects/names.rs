//! The names of holders: by path, and as a Python programmer would write them.
//!
//! A coroutine has local variables like a function on a thread's stack, so a path that leads into one names it
//! like a frame: `local hub › .on_close` of `main (chat.py:44)`, and not of the event loop that runs it.

use crate::heap::{Analysis, NodeId, ReferenceChain, RootNames};
use crate::hunt::finding::Holder;
use crate::python::Frame;
use crate::python::objects::{Disclosure, EdgeNames, Link};

/// Between the parts of a path.
pub const STEP: &str = " › ";
/// Stands for one of many items.
const EACH: &str = "[…]";
/// A path with more steps than this is shortened in the middle.
const MOST_STEPS: usize = 24;
/// How many functions with variables on a path are named, the outermost first.
const MOST_FUNCTIONS: usize = 16;
/// How many objects a step from a function to a variable can cover.
const NEAR: usize = 6;

/// Names the last of the `nodes` of a path from the root. If the growth is spread over objects below it,
/// `pattern` is the way from it to one of them, and the path continues to them.
pub fn holder(
    heap: &Analysis<'_>,
    names: &RootNames,
    nodes: &[NodeId],
    pattern: &[NodeId],
) -> Holder {
    let mut way = Way::of(heap, names, nodes);
    if let [_, below @ ..] = pattern {
        let all: Vec<NodeId> = nodes.iter().chain(below).copied().collect();
        let whole = Way::of(heap, names, &all);
        way.steps.extend(whole.steps.into_iter().skip(way.steps.len()).map(each));
    }
    let last = nodes.last().copied().unwrap_or_default();
    let object = heap.graph.type_info(last).map(|kind| kind.name.clone());
    let name = way.name();
    let frame = way.frame.as_ref().map(Frame::to_string);
    let parts = [way.root].into_iter().chain(frame).chain(shortened(way.steps));
    Holder {
        path: parts.filter(|part| !part.is_empty()).collect::<Vec<_>>().join(STEP),
        name,
        kind: object.unwrap_or_default(),
        address: heap.graph.address(last),
    }
}

/// A path in words.
struct Way {
    root: String,
    frame: Option<Frame>,
    /// The steps; before the local variable of a suspended function, that function.
    steps: Vec<String>,
    /// The innermost function whose variable is on the path, and its number of steps up to there.
    function: Option<(Frame, usize)>,
}

impl Way {
    fn of(heap: &Analysis<'_>, names: &RootNames, nodes: &[NodeId]) -> Way {
        let chain =
            |nodes: &[NodeId]| ReferenceChain::of(heap, names, nodes, Disclosure::default());
        let lineage = chain(nodes);
        let mut way =
            Way { root: lineage.root, frame: lineage.frame, steps: Vec::new(), function: None };
        // The words of a part are those of the whole up to there, minus those up to its start.
        let mut said = 0;
        let function = |(number, node)| {
            Some((number, node, variables_of(heap, nodes.get(number..).unwrap_or_default())?))
        };
        let functions = nodes.iter().enumerate().filter_map(function);
        for (number, &node, function) in functions.take(MOST_FUNCTIONS) {
            let before = chain(nodes.get(..=number).unwrap_or_default()).path.len();
            let words = lineage.path.get(said..before).unwrap_or_default();
            way.steps.extend_from_slice(words);
            said = before.max(said);
            if waits(heap, node) {
                way.steps.push(function.to_string());
            }
            way.function = Some((function, way.steps.len()));
        }
        way.steps.extend_from_slice(lineage.path.get(said..).unwrap_or_default());
        way
    }

    /// The path as an expression, as far as it can be written as one: `app.CACHE`, `local rows of handle
    /// (app.py:12)`.
    fn name(&self) -> String {
        let words = |steps: &[String]| expression(&shortened(steps.to_vec()));
        if let Some((function, start)) = &self.function {
            let rest = self.steps.get(*start..).unwrap_or_default();
            return format!("{} of {}", words(rest), function.in_short());
        }
        match (self.root.strip_prefix("module "), &*self.steps) {
            (Some(module), []) => module.to_owned(),
            (Some(module), [first, ..]) => {
                let dot = if first.starts_with(['.', '[']) { "" } else { "." };
                format!("{module}{dot}{}", words(&self.steps))
            }
            (None, []) => self.root.clone(),
            (None, steps) => match &self.frame {
                Some(frame) => format!("{} of {}", words(steps), frame.in_short()),
                None if self.root == "interpreter" => words(steps),
                None => format!("{} {}", self.root, words(steps)),
            },
        }
    }
}

/// If a path begins with a function and one of its variables: that function, where it is suspended or else at
/// its definition.
fn variables_of(heap: &Analysis<'_>, nodes: &[NodeId]) -> Option<Frame> {
    let &[node, _, ..] = nodes else { return None };
    let reader = heap.reader()?;
    let kind = heap.graph.type_info(node)?;
    if kind.name != "function" && !waits(heap, node) {
        return None;
    }
    let near = nodes.iter().take(NEAR);
    let objects: Vec<u64> = near.filter_map(|&node| heap.graph.address(node)).collect();
    let is_variable =
        |link: &Link| matches!(link, Link::Local(_) | Link::Closure(_) | Link::Default(_));
    reader.path(&objects).first().filter(|step| is_variable(&step.link))?;
    let object = heap.graph.address(node)?;
    reader.suspension(object).or_else(|| reader.definition(object))
}

/// Whether an object is a suspended function.
fn waits(heap: &Analysis<'_>, node: NodeId) -> bool {
    heap.graph.type_info(node).is_some_and(|kind| super::leak_kinds::waits(&kind.name))
}

/// Steps as they follow each other in Python; where they cannot, with a separator.
fn expression(steps: &[String]) -> String {
    let mut words = String::new();
    for step in steps {
        if !words.is_empty() && !step.starts_with(['.', '[']) {
            words.push_str(STEP);
        }
        words.push_str(step);
    }
    words
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

#[cfg(test)]
mod tests {
    use super::expression;

    #[test]
    fn steps_that_do_not_follow_in_python_are_separated() {
        let words =
            |steps: &[&str]| expression(&steps.iter().map(|it| it.to_string()).collect::<Vec<_>>());
        assert_eq!(words(&["local hub", ".on_close", "[3]"]), "local hub.on_close[3]");
        assert_eq!(words(&["local coro", "local hub"]), "local coro › local hub");
        assert_eq!(
            words(&["ValueClass", ".__init__", "closure values"]),
            "ValueClass.__init__ › closure values"
        );
        assert_eq!(words(&[".x × 3"]), ".x × 3");
    }
}
