//! A part of the object graph as JSON (docs/json.md).

use serde::Serialize;

use crate::inspect::subgraph::{Edge, Node, NodeRole, Picture};
use crate::python::Frame;
use crate::render::RenderError;
use crate::render::preamble::Head;
use crate::render::sheet::Sheet;
use crate::source::Provenance;

#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    head: Head<'a>,
    nodes: Vec<JsonNode<'a>>,
    edges: Vec<JsonEdge<'a>>,
}

#[derive(Serialize)]
struct JsonNode<'a> {
    root: Option<&'a str>,
    r#type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    function: Option<&'a Frame>,
    address: Option<u64>,
    size: u64,
    retained: u64,
    selected: bool,
    highlighted: bool,
    in_cycle: bool,
    more: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<&'a str>,
}

#[derive(Serialize)]
struct JsonEdge<'a> {
    from: usize,
    to: usize,
    link: Option<&'a str>,
    in_cycle: bool,
}

impl<'a> From<&'a Node> for JsonNode<'a> {
    fn from(node: &'a Node) -> JsonNode<'a> {
        let (root, kind) = match node.role {
            NodeRole::Root => (Some(&*node.name), None),
            NodeRole::Asked | NodeRole::Highlighted | NodeRole::Plain => (None, Some(&*node.name)),
        };
        JsonNode {
            root,
            r#type: kind,
            function: node.function.as_ref(),
            address: node.address,
            size: node.size,
            retained: node.retained,
            selected: node.role == NodeRole::Asked,
            highlighted: node.role == NodeRole::Highlighted,
            in_cycle: node.in_cycle,
            more: node.more,
            value: node.value.as_deref(),
        }
    }
}

impl<'a> From<&'a Edge> for JsonEdge<'a> {
    fn from(edge: &'a Edge) -> JsonEdge<'a> {
        let link = Some(&*edge.label).filter(|label| !label.is_empty());
        JsonEdge { from: edge.from, to: edge.to, link, in_cycle: edge.in_cycle }
    }
}

/// Writes a part of the object graph.
pub fn write_json(
    picture: &Picture,
    provenance: &Provenance,
    out: &mut impl Sheet,
) -> Result<(), RenderError> {
    let document = Document {
        head: provenance.head(),
        nodes: picture.nodes.iter().map(JsonNode::from).collect(),
        edges: picture.edges.iter().map(JsonEdge::from).collect(),
    };
    serde_json::to_writer(&mut *out, &document)?;
    Ok(writeln!(out)?)
}
