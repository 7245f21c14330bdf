//! A trie of paths from the super-root.

use rustc_hash::FxHashMap;

use crate::heap::{NodeId, ShortestPaths};

/// A step that one or many paths take.
#[derive(Debug)]
struct Step {
    node: NodeId,
    /// The step before; for the super-root, its own number.
    before: u32,
    depth: u32,
    /// Paths that end here.
    ends: u64,
    /// Paths that pass here or end here.
    passing: u64,
}

/// Paths that share their beginnings. Step 0 is the super-root; a step has a larger number than the one
/// before it.
#[derive(Debug)]
pub struct Trails {
    steps: Vec<Step>,
    /// The number of the step to a node after another step.
    numbers: FxHashMap<(u32, NodeId), u32>,
    /// All steps but the first, sorted by the step before; filled in by `close`.
    order: Vec<u32>,
}

impl Default for Trails {
    fn default() -> Trails {
        let root = Step { node: NodeId::ROOT, before: 0, depth: 0, ends: 0, passing: 0 };
        Trails { steps: vec![root], numbers: FxHashMap::default(), order: Vec::new() }
    }
}

impl Trails {
    /// Adds a path, which begins with the super-root.
    pub fn add_path(&mut self, path: &[NodeId]) {
        let mut step = 0;
        for &node in path.iter().skip(1) {
            step = self.after(step, node);
        }
        self.end(step);
    }

    /// Adds the shortest paths to these nodes; nodes without one are left out.
    pub fn add_shortest(&mut self, shortest: &ShortestPaths, nodes: &[NodeId]) {
        // Shortest paths form a tree: each node has one way to it.
        let mut known: FxHashMap<NodeId, u32> = FxHashMap::from_iter([(NodeId::ROOT, 0)]);
        let mut way = Vec::new();
        for &node in nodes.iter().filter(|&&node| shortest.reaches(node)) {
            way.clear();
            let mut next = node;
            let mut step = loop {
                if let Some(&step) = known.get(&next) {
                    break step;
                }
                way.push(next);
                match shortest.before(next) {
                    Some(before) => next = before,
                    None => break 0,
                }
            };
            for &node in way.iter().rev() {
                step = self.push(step, node);
                known.insert(node, step);
            }
            self.end(step);
        }
    }

    /// The step to a node after another step.
    fn after(&mut self, step: u32, node: NodeId) -> u32 {
        if let Some(&known) = self.numbers.get(&(step, node)) {
            return known;
        }
        let number = self.push(step, node);
        self.numbers.insert((step, node), number);
        number
    }

    fn push(&mut self, before: u32, node: NodeId) -> u32 {
        let number = self.steps.len() as u32;
        let depth = self.depth(before).saturating_add(1);
        self.steps.push(Step { node, before, depth, ends: 0, passing: 0 });
        number
    }

    fn end(&mut self, step: u32) {
        if let Some(step) = self.steps.get_mut(step as usize) {
            step.ends += 1;
        }
    }

    /// Ends the adding of paths.
    pub fn close(&mut self) {
        for number in (0..self.steps.len()).rev() {
            let Some(step) = self.steps.get_mut(number) else { continue };
            step.passing += step.ends;
            let (before, passing) = (step.before as usize, step.passing);
            if let Some(before) = self.steps.get_mut(before).filter(|_| number > 0) {
                before.passing += passing;
            }
        }
        self.order = (1..self.steps.len() as u32).collect();
        self.order.sort_by_key(|&number| self.steps.get(number as usize).map(|step| step.before));
    }

    /// The steps after one.
    pub fn children(&self, step: u32) -> &[u32] {
        let before = |number: u32| self.step(number).map_or(0, |step| step.before);
        let start = self.order.partition_point(|&number| before(number) < step);
        let rest = self.order.get(start..).unwrap_or_default();
        let count = rest.partition_point(|&number| before(number) == step);
        rest.get(..count).unwrap_or_default()
    }

    /// The node that a step leads to.
    pub fn node(&self, step: u32) -> NodeId {
        self.step(step).map_or(NodeId::ROOT, |step| step.node)
    }

    /// The number of steps up to this one.
    pub fn depth(&self, step: u32) -> u32 {
        self.step(step).map_or(0, |step| step.depth)
    }

    /// How many paths end with a step.
    pub fn ends(&self, step: u32) -> u64 {
        self.step(step).map_or(0, |step| step.ends)
    }

    /// How many paths take a step.
    pub fn passing(&self, step: u32) -> u64 {
        self.step(step).map_or(0, |step| step.passing)
    }

    /// How many paths there are.
    pub fn paths(&self) -> u64 {
        self.passing(0)
    }

    fn step(&self, number: u32) -> Option<&Step> {
        self.steps.get(number as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_share_their_beginnings_only() {
        let mut trails = Trails::default();
        for path in [&[0, 1, 5][..], &[0, 1, 6], &[0, 2, 5], &[0, 1, 5], &[0, 1]] {
            trails.add_path(&path.iter().copied().map(NodeId).collect::<Vec<_>>());
        }
        trails.close();
        assert_eq!(trails.paths(), 5);
        let nodes = |step: u32| -> Vec<u32> {
            trails.children(step).iter().map(|&child| trails.node(child).0).collect()
        };
        let [one, two] = trails.children(0) else { panic!("two steps") };
        assert_eq!(nodes(0), [1, 2]);
        assert_eq!(nodes(*one), [5, 6]);
        assert_eq!(nodes(*two), [5]);
        assert_eq!([trails.passing(*one), trails.ends(*one), trails.passing(*two)], [4, 1, 1]);
        let five = trails.children(*one)[0];
        assert_eq!([trails.ends(five), u64::from(trails.depth(five))], [2, 2]);
    }
}
