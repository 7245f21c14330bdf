//! Pictures of a part of the object graph: as SVG, and as DOT for Graphviz.
//!
//! Both show the same: a box for each object with its type and size, arrows from referrers to referents with
//! the names of the references, and cycles in a colour of their own.
//!
//! | file | |
//! |---|---|
//! | [`dot`] | writes DOT and leaves the layout to Graphviz |
//! | [`svg`] | measures text, runs the layout, and draws |
//! | [`legend`] | what a picture is of, and what its colours mean |
//! | [`layout`] | places boxes, arrows and labels by their sizes |

pub mod dot;
pub mod json;
pub mod layout;
mod legend;
pub mod svg;

use indicatif::HumanBytes;

use super::labels::{printable, printable_code, short_places};
use crate::inspect::subgraph::{Edge, Node, NodeRole};
use crate::python::{Frame, short_path};

/// The maximum length of a name or a value, in characters.
const LONGEST: usize = 36;
/// The maximum length of a reference's name.
const LONGEST_LINK: usize = 24;
/// The colours of arrows and frames in a cycle, and of the rest.
const IN_CYCLE: &str = "#c0392b";
const OUTSIDE: &str = "#5d6d7e";

/// The text in a box, line by line.
fn lines(node: &Node) -> Vec<String> {
    let mut lines = vec![shortened(&short_places(&printable(&node.name)), LONGEST)];
    if let Some(function) = &node.function {
        lines.push(shortened(&printable(&function.function), LONGEST));
        lines.push(shortened(&place(function), LONGEST));
    }
    if node.address.is_some() {
        let retained = match node.retained {
            bytes if bytes == node.size => String::new(),
            bytes => format!(", retains {}", HumanBytes(bytes)),
        };
        lines.push(format!("{}{retained}", HumanBytes(node.size)));
    }
    if let Some(value) = &node.value {
        lines.push(shortened(&printable_code(value), LONGEST));
    }
    if node.more > 0 {
        lines.push(format!("({} more)", node.more));
    }
    lines
}

/// The file and the line of a function.
fn place(function: &Frame) -> String {
    let file = printable(short_path(&function.file));
    function.line.map_or_else(|| file.clone(), |line| format!("{file}:{line}"))
}

/// The name of a reference.
fn link(edge: &Edge) -> String {
    shortened(&printable_code(&edge.label), LONGEST_LINK)
}

/// A text, cut at its end if too long; a dotted name is cut at its beginning, because its end says more.
fn shortened(text: &str, longest: usize) -> String {
    let count = text.chars().count();
    if count <= longest {
        return text.to_owned();
    }
    let keep = longest - 1;
    match text.contains(' ') || text.contains('\'') || !text.contains('.') {
        true => text.chars().take(keep).chain(['…']).collect(),
        false => ['…'].into_iter().chain(text.chars().skip(count - keep)).collect(),
    }
}

/// The fill colour of a box.
fn fill(role: NodeRole) -> &'static str {
    match role {
        NodeRole::Root => "#d5f5e3",
        NodeRole::Asked => "#f9e79f",
        NodeRole::Highlighted => "#f5cba7",
        NodeRole::Plain => "#eaf2f8",
    }
}

/// The colour of an arrow or a frame.
fn stroke(in_cycle: bool) -> &'static str {
    if in_cycle { IN_CYCLE } else { OUTSIDE }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_keeps_what_says_most() {
        assert_eq!(shortened("short", 10), "short");
        assert_eq!(shortened("package.module.Class", 10), "…ule.Class");
        assert_eq!(shortened("a text of many words", 10), "a text of…");
    }
}
