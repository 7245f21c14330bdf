//! DOT, for Graphviz and other programs that read it.

use std::io::Write;

use super::{fill, lines, link, stroke};
use crate::inspect::subgraph::{NodeRole, Picture};
use crate::render::RenderError;

/// Writes a picture as a directed graph.
pub fn write(picture: &Picture, out: &mut impl Write) -> Result<(), RenderError> {
    writeln!(out, "digraph objects {{")?;
    writeln!(out, "  node [shape=box, style=\"filled,rounded\", fontname=\"monospace\"];")?;
    writeln!(out, "  edge [fontname=\"monospace\", fontsize=10];")?;
    for (number, node) in picture.nodes.iter().enumerate() {
        let shape = if node.role == NodeRole::Root { ", shape=ellipse" } else { "" };
        writeln!(
            out,
            "  n{number} [label=\"{}\", fillcolor=\"{}\", color=\"{}\"{shape}];",
            quoted(&lines(node).join("\n")),
            fill(node.role),
            stroke(node.in_cycle),
        )?;
    }
    for edge in &picture.edges {
        writeln!(
            out,
            "  n{} -> n{} [label=\"{}\", color=\"{}\"];",
            edge.from,
            edge.to,
            quoted(&link(edge)),
            stroke(edge.in_cycle),
        )?;
    }
    writeln!(out, "}}")?;
    Ok(())
}

/// Text in double quotes.
fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::inspect::subgraph::{Edge, Node};

    /// The words of a line, with text in double quotes as one word, as the language defines it: a quote
    /// within has a backslash before it. In labels Graphviz then takes `\\n` for a line break and `\\\\` for
    /// a backslash.
    fn words(line: &str) -> Vec<String> {
        let (mut words, mut rest) = (Vec::new(), line);
        while let Some(start) = rest.find('"') {
            let (before, quoted) = rest.split_at(start);
            words.extend(before.split_whitespace().map(str::to_owned));
            let mut characters = quoted.char_indices().skip(1);
            let (mut text, mut end) = (String::new(), quoted.len());
            while let Some((at, character)) = characters.next() {
                match character {
                    '"' => {
                        end = at + 1;
                        break;
                    }
                    '\\' => match characters.next() {
                        Some((_, 'n')) => text.push('\n'),
                        Some((_, escaped)) => text.push(escaped),
                        None => panic!("a quote that does not end"),
                    },
                    _ => text.push(character),
                }
            }
            words.push(text);
            rest = quoted.get(end..).expect("a quote is one byte");
        }
        words.extend(rest.split_whitespace().map(str::to_owned));
        words
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Whatever the names: a parser finds all nodes and edges, with their texts.
        #[test]
        fn any_graph_can_be_read(
            names in prop::collection::vec(any::<String>(), 1..20),
            ends in prop::collection::vec((0..20_usize, 0..20_usize, any::<String>()), 0..20),
        ) {
            let node = |name: &String| Node {
                name: name.clone(),
                function: None,
                address: Some(1),
                size: 64,
                retained: 640,
                more: 1,
                value: Some(name.clone()),
                role: NodeRole::Plain,
                in_cycle: false,
            };
            let nodes: Vec<Node> = names.iter().map(node).collect();
            let count = nodes.len();
            let edge = |(from, to, label): (usize, usize, String)| Edge {
                from: from % count,
                to: to % count,
                label,
                in_cycle: true,
            };
            let picture = Picture { nodes, edges: ends.into_iter().map(edge).collect() };
            let mut out = Vec::new();
            write(&picture, &mut out).expect("a vector takes all");
            let text = String::from_utf8(out).expect("UTF-8");
            let (mut nodes, mut edges) = (Vec::new(), Vec::new());
            for line in text.lines() {
                match &words(line)[..] {
                    [name, mark, label, ..] if mark == "[label=" => {
                        nodes.push((name.clone(), label.clone()));
                    }
                    [from, arrow, to, mark, label, ..] if arrow == "->" && mark == "[label=" => {
                        edges.push((from.clone(), to.clone(), label.clone()));
                    }
                    _ => {}
                }
            }
            let name = |index: usize| format!("n{index}");
            let expected = picture.nodes.iter().map(|node| lines(node).join("\n"));
            prop_assert_eq!(nodes, (0..).map(name).zip(expected).collect::<Vec<_>>());
            let expected = picture.edges.iter().map(|edge| (name(edge.from), name(edge.to), link(edge)));
            prop_assert_eq!(edges, expected.collect::<Vec<_>>());
        }
    }
}
