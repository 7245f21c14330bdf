//! The links between the objects of a heap: read in the capture, or kept in a snapshot file.

pub(crate) mod kept;

use self::kept::Kept;
use super::capture::copy::Capture;
use crate::python::objects::{Disclosure, EdgeNames, Link, Reader, Role};

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

    fn most_disclosed(&self) -> Disclosure {
        self.source().most_disclosed()
    }
}
