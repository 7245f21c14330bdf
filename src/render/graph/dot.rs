//! DOT, for Graphviz and what else reads it.

use std::io::Write;

use super::{fill, lines, link, stroke};
use crate::profile::picture::{NodeRole, Picture};
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

/// Text inside of double quotes.
fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
