//! The input for finding suspects: the last heap, the columns of the earlier ones, and the growth in between.

use super::collector::Collector;
use super::names;
use crate::heap::{Analysis, NodeId, RootKind, RootNames, ShortestPaths};
use crate::hunt::compare::growth::Growth;
use crate::hunt::compare::heap_columns::{HeapColumns, Held};
use crate::hunt::compare::interpreter::Interpreter;
use crate::hunt::finding::Holder;

/// How many more steps a lasting path may have than a shortest one.
const LONGEST_WAY_ROUND: usize = 3;

/// A heap and the columns of the earlier ones, with everything used to find suspects.
pub(crate) struct Comparison<'a> {
    pub heap: &'a Analysis<'a>,
    pub interpreter: Interpreter<'a>,
    pub snapshots: &'a [HeapColumns],
    pub paths: ShortestPaths,
    /// Paths that lead through no thread's frames: a function's references last only for a while.
    lasting_paths: ShortestPaths,
    pub names: RootNames,
    pub growth: Growth,
    pub collector: Collector,
}

impl<'a> Comparison<'a> {
    /// Compares a heap with its own columns and those of the earlier ones.
    pub fn of(
        heap: &'a Analysis<'a>,
        interpreter: Interpreter<'a>,
        snapshots: &'a [HeapColumns],
    ) -> Comparison<'a> {
        let paths = ShortestPaths::of(&heap.graph);
        let is_for_a_while = |node| {
            let root = heap.graph.root(node).map(|root| &root.kind);
            matches!(root, Some(RootKind::Thread { .. } | RootKind::Frame { .. }))
        };
        let lasting_paths = ShortestPaths::through(&heap.graph, |node| !is_for_a_while(node));
        let births = snapshots.last().map(HeapColumns::births).unwrap_or_default();
        let growth = Growth::of(heap, &paths, births, snapshots.len());
        Comparison {
            heap,
            interpreter,
            snapshots,
            names: interpreter.names(heap),
            collector: Collector::of(heap, interpreter, &growth),
            growth,
            paths,
            lasting_paths,
        }
    }

    /// The addresses of an object and of its type.
    pub fn identity(&self, node: NodeId) -> Option<(u64, u64)> {
        let address = self.heap.graph.address(node)?;
        Some((address, self.heap.graph.type_info(node)?.address))
    }

    /// Whether an object existed at an earlier moment.
    pub fn is_as_old_as(&self, node: NodeId, snapshot: &HeapColumns) -> bool {
        let births = self.snapshots.last().map(HeapColumns::births).unwrap_or_default();
        let birth = self.heap.graph.object_index(node).and_then(|index| births.get(index));
        birth.is_some_and(|&birth| birth <= snapshot.number())
    }

    /// How much an object held at an earlier moment, if it existed.
    pub fn held(&self, node: NodeId, snapshot: &HeapColumns) -> Option<Held> {
        let (address, kind) = self.identity(node)?;
        self.is_as_old_as(node, snapshot).then(|| snapshot.held(address, kind)).flatten()
    }

    /// The path by which a node is reported: a lasting one, unless it is a long detour.
    pub fn told_path(&self, node: NodeId) -> Vec<NodeId> {
        let shortest = self.paths.between(NodeId::ROOT, node);
        let lasting = match self.lasting_paths.reaches(node) {
            true => self.lasting_paths.between(NodeId::ROOT, node),
            false => Vec::new(),
        };
        let is_near = lasting.len() <= shortest.len() + LONGEST_WAY_ROUND;
        if lasting.is_empty() || !is_near { shortest } else { lasting }
    }

    /// A node described as a holder.
    pub fn holder(&self, node: NodeId) -> Holder {
        names::holder(self.heap, &self.names, &self.told_path(node), &[])
    }
}
