//! What a picture is of, and what its colours mean.

use std::collections::BTreeSet;

use super::{LONGEST, OUTSIDE, fill, shortened, stroke};
use crate::inspect::subgraph::{NodeRole, Picture};
use crate::render::labels::printable;

/// An entry: the fill and the frame of a box, and what such a box is.
pub(super) type Entry = (&'static str, &'static str, &'static str);

/// What a picture is of.
pub(super) fn title(picture: &Picture) -> String {
    let selected = || picture.nodes.iter().filter(|node| node.role == NodeRole::Asked);
    let names: BTreeSet<&str> = selected().map(|node| &*node.name).collect();
    let what = match names.iter().collect::<Vec<_>>().as_slice() {
        [name] => shortened(&printable(name), LONGEST),
        _ => "objects".to_owned(),
    };
    let count = selected().count();
    format!("{what}: {count} selected, {} around", picture.nodes.len() - count)
}

/// The kinds of boxes that a picture has.
pub(super) fn legend(picture: &Picture) -> Vec<Entry> {
    let kinds = [
        (NodeRole::Asked, "selected"),
        (NodeRole::Highlighted, "highlighted"),
        (NodeRole::Root, "GC root"),
        (NodeRole::Plain, "other object"),
    ];
    let has = |role: NodeRole| picture.nodes.iter().any(|node| node.role == role);
    let mut legend: Vec<Entry> = kinds
        .into_iter()
        .filter(|&(role, _)| has(role))
        .map(|(role, words)| (fill(role), OUTSIDE, words))
        .collect();
    if picture.nodes.iter().any(|node| node.in_cycle) {
        legend.push(("white", stroke(true), "in a cycle"));
    }
    legend
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspect::subgraph::Node;

    fn node(name: &str, role: NodeRole, in_cycle: bool) -> Node {
        Node {
            name: name.to_owned(),
            function: None,
            address: Some(1),
            size: 64,
            retained: 64,
            more: 0,
            value: None,
            role,
            in_cycle,
        }
    }

    #[test]
    fn it_says_what_is_drawn_and_nothing_else() {
        let mut nodes =
            vec![node("app.Session", NodeRole::Asked, false), node("dict", NodeRole::Plain, false)];
        let words = |nodes: &[Node]| -> (String, Vec<&'static str>) {
            let picture = Picture { nodes: nodes.to_vec(), edges: Vec::new() };
            (title(&picture), legend(&picture).into_iter().map(|(.., words)| words).collect())
        };
        let one = "app.Session: 1 selected, 1 around";
        assert_eq!(words(&nodes), (one.to_owned(), vec!["selected", "other object"]));
        nodes.push(node("app.Cart", NodeRole::Asked, true));
        let two = "objects: 2 selected, 1 around";
        assert_eq!(words(&nodes), (two.to_owned(), vec!["selected", "other object", "in a cycle"]));
    }
}
