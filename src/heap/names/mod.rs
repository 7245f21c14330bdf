//! The links between the objects of a heap: read in the capture, or kept in a snapshot file.

pub(crate) mod kept;

use self::kept::Kept;
use super::capture::copy::Capture;
use super::graph::object_graph::Graph;
use super::ids::NodeId;
use crate::python::Frame;
use crate::python::objects::{Disclosure, EdgeNames, Link, Reader, Role, TypeInfo};

/// Finds the links between the objects of a heap. It is a few references, and cheap to copy.
#[derive(Debug, Clone, Copy)]
pub enum Names<'a> {
    /// The memory is available.
    Captured(Reader<'a, Capture<'a>>),
    /// Only the answers are.
    Kept(Kept<'a>),
}

impl Names<'_> {
    fn source(&self) -> &dyn EdgeNames {
        match self {
            Names::Captured(reader) => reader,
            Names::Kept(kept) => kept,
        }
    }
}

impl EdgeNames for Names<'_> {
    fn roles(&self, object: u64, found: &mut Vec<(u64, Role)>) {
        self.source().roles(object, found);
    }

    fn role(&self, parent: u64, child: u64) -> Option<Role> {
        self.source().role(parent, child)
    }

    fn roles_of(&self, parent: u64, children: &[u64]) -> Vec<Option<Role>> {
        self.source().roles_of(parent, children)
    }

    fn frame_roles(&self, frame: u64, found: &mut Vec<(u64, Role)>) {
        self.source().frame_roles(frame, found);
    }

    fn words(&self, role: Role) -> Option<Link> {
        self.source().words(role)
    }

    fn closure_variable(&self, function: u64, index: u64) -> Option<Link> {
        self.source().closure_variable(function, index)
    }

    fn default_argument(&self, function: u64, index: u64) -> Option<Link> {
        self.source().default_argument(function, index)
    }

    fn preview(&self, object: u64) -> Option<String> {
        self.source().preview(object)
    }

    fn counted(&self, object: u64, found: u64) -> Option<u64> {
        self.source().counted(object, found)
    }

    fn defined(&self, object: u64) -> Option<Frame> {
        self.source().defined(object)
    }

    fn may_be_defined(&self, info: &TypeInfo) -> bool {
        self.source().may_be_defined(info)
    }

    fn most_disclosed(&self) -> Disclosure {
        self.source().most_disclosed()
    }
}

/// Finds the role of each reference: a repeated target gets its roles in their order.
pub(crate) fn assign(
    graph: &Graph,
    targets: &[NodeId],
    found: &[(u64, Role)],
    roles: &mut Vec<Option<Role>>,
) {
    roles.clear();
    let mut known: Vec<(NodeId, Role)> =
        found.iter().filter_map(|&(object, role)| Some((graph.node(object)?, role))).collect();
    // Usually they are in the same order.
    if known.len() == targets.len() && known.iter().zip(targets).all(|(known, to)| known.0 == *to) {
        roles.extend(known.into_iter().map(|(_, role)| Some(role)));
        return;
    }
    roles.resize(targets.len(), None);
    known.sort_by_key(|&(node, _)| node);
    let mut places: Vec<(NodeId, usize)> =
        targets.iter().enumerate().map(|(place, &target)| (target, place)).collect();
    places.sort_unstable();
    let mut rest = known.into_iter().peekable();
    for (target, place) in places {
        while rest.next_if(|(node, _)| *node < target).is_some() {}
        if let Some((_, role)) = rest.next_if(|(node, _)| *node == target)
            && let Some(slot) = roles.get_mut(place)
        {
            *slot = Some(role);
        }
    }
}
