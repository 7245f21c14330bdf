//! A reference chain in Python's words: the GC root, the frame, and how each object refers to the next.

use serde::{Deserialize, Serialize};

use super::root_names::{RootName, RootNames};
use crate::heap::analysis::Analysis;
use crate::heap::ids::NodeId;
use crate::heap::trace::roots::{Root, RootKind};
use crate::python::Frame;
use crate::python::objects::{Disclosure, EdgeNames, Link};

/// A path in Python's words.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ReferenceChain {
    /// Where it begins: `thread MainThread`, `module app.cache`, `native code`.
    pub root: String,
    /// The frame that holds the first object, if one does.
    pub frame: Option<Frame>,
    /// How each object holds the next: `local rows`, `CACHE`, `['key']`, `.name`.
    pub path: Vec<String>,
}

impl ReferenceChain {
    /// Finds the words for a path from a root, as [`crate::heap::ShortestPaths::between`] gives it.
    /// `disclosure` says how much of keys may be shown.
    pub fn of(
        heap: &Analysis<'_>,
        names: &RootNames,
        nodes: &[NodeId],
        disclosure: Disclosure,
    ) -> ReferenceChain {
        let graph = &heap.graph;
        let first = graph.first_object();
        let split = nodes.iter().position(|&node| node >= first).unwrap_or(nodes.len());
        let (above, objects) = nodes.split_at(split);
        let mut lineage = ReferenceChain::default();
        for name in above.iter().filter_map(|&node| names.get(graph.root_of_node(node)?)) {
            match name {
                RootName::Words(words) => lineage.root.clone_from(words),
                RootName::Frame { frame, .. } => lineage.frame.clone_from(frame),
            }
        }
        let objects: Vec<u64> = objects.iter().filter_map(|&node| graph.address(node)).collect();
        let root = above.last().and_then(|&node| graph.root(node));
        lineage.path = links(heap, root, objects, disclosure);
        lineage
    }
}

/// The links from a root along the objects of a path.
fn links(
    heap: &Analysis<'_>,
    root: Option<&Root>,
    mut objects: Vec<u64>,
    disclosure: Disclosure,
) -> Vec<String> {
    let names = heap.names();
    let mut links = Vec::new();
    let mut is_module = false;
    match root.map(|root| (&root.kind, root.objects.first())) {
        // Its globals are reached through its dict.
        Some((RootKind::Module { .. }, Some(&module))) => {
            is_module = true;
            if !objects.contains(&module) {
                objects.insert(0, module);
            }
        }
        Some((RootKind::Frame { frame, .. }, _)) => {
            let link = objects.first().and_then(|&first| names.frame_link(*frame, first));
            links.extend(link);
        }
        _ => {}
    }
    links.extend(names.path(&objects).into_iter().map(|step| step.link));
    // Variables shared by functions are in cells.
    if let [Link::Local(_), Link::Attribute(field), ..] = &*links
        && field == "cell_contents"
    {
        links.remove(1);
    }
    if disclosure == Disclosure::Names {
        links = links.into_iter().map(Link::redacted).collect();
    }
    let mut words: Vec<String> = links.iter().map(Link::to_string).collect();
    if let Some(Root { kind: RootKind::Interpreter { .. }, objects: fields, .. }) = root
        && objects.first().is_some_and(|first| fields.first() == Some(first))
    {
        words.insert(0, "sys.modules".to_owned());
    }
    if let (true, Some(Link::Attribute(name)), Some(first)) =
        (is_module, links.first(), words.first_mut())
    {
        first.clone_from(name);
    }
    words
}
