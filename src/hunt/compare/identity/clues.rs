//! What the objects themselves tell of their identity: their places in the collector's lists, their values and
//! their contents.

use rustc_hash::FxHashSet;

use super::gc_order::{List, Mark};
use super::traits::{Distinct, Traits};
use super::{Claim, Earlier, NONE};
use crate::heap::{Analysis, Flow, NodeId, RootKind};
use crate::hunt::compare::accumulation_points::namespaces;
use crate::hunt::compare::heap_columns::is_resizable;
use crate::python::gc::Generation;
use crate::python::objects::{EdgeNames, ReferenceCount, TypeInfo};

/// An object with no more references to it belongs to the container that refers to it.
const OWNED: u64 = 2;
/// How many references of a container, spread over all, are compared with those that it had.
const MOST_COMPARED: usize = 32;
/// How many objects below a container are searched for a value that it had.
const MOST_BELOW: usize = 60;
/// A container with so many references, or with so many to it, is hardly replaced by one like it.
const LEAST_OF_LARGE: u32 = 64;
const KNOWN_BY: u64 = 8;
/// So few objects of one container may have the values of others by chance.
const FEW: usize = 8;
/// A larger object is perhaps a buffer that was moved for more room, in bytes.
const LARGEST_IN_POOLS: u64 = 512;
/// How often containers are searched for those that have lost all: nested ones show one by one.
const MOST_PASSES: usize = 12;
/// Types whose objects refer to the same as long as they live.
const FIXED: [&str; 2] = ["tuple", "frozenset"];
/// Only this type's objects leave the collector's lists while they live, and come back.
const DICT: &str = "dict";

/// What the objects themselves tell.
pub(super) struct Clues<'a> {
    pub(super) heap: &'a Analysis<'a>,
    traits: &'a Traits,
    pub(super) before: &'a Earlier<'a>,
    pub(super) matches: &'a [u32],
    /// The index of the first leaf.
    pub(super) first_leaf: usize,
    distinct: Distinct,
    /// Which types have objects that refer to the same as long as they live.
    fixed_types: Vec<bool>,
    /// Which types have objects that change their size.
    resizable_types: Vec<bool>,
    /// Variables of modules: they are given new contents rather than replaced.
    variables: FxHashSet<NodeId>,
    /// If the heap is from a file: the number of references to each object.
    found: Vec<u32>,
    claims: Vec<Claim>,
}

/// Whether an object is of one of these types.
fn is_of(types: &[bool], heap: &Analysis<'_>, node: NodeId) -> bool {
    heap.graph.type_id(node).and_then(|id| types.get(id.0 as usize)) == Some(&true)
}

/// The number of references to each object, in objects and in frames.
fn references_to(heap: &Analysis<'_>) -> Vec<u32> {
    let graph = &heap.graph;
    let mut found = vec![0_u32; graph.objects().len()];
    let mut count = |node| {
        if let Some(found) = graph.object_index(node).and_then(|index| found.get_mut(index)) {
            *found = found.saturating_add(1);
        }
    };
    let containers = graph.first_object().up_to(graph.first_leaf());
    containers.flat_map(|node| graph.successors(node)).for_each(|&next| count(next));
    let mut roles = Vec::new();
    for (node, root) in graph.root_nodes() {
        let RootKind::Frame { frame, .. } = root.kind else { continue };
        roles.clear();
        heap.names().frame_roles(frame, &mut roles);
        let held = graph.successors(node);
        let known = roles.iter().filter_map(|&(object, _)| graph.node(object));
        known.filter(|node| held.contains(node)).for_each(&mut count);
    }
    found
}

impl<'a> Clues<'a> {
    /// What the objects of a heap tell; `matches` as for [`births`](super::births).
    pub(super) fn of(
        heap: &'a Analysis<'a>,
        traits: &'a Traits,
        before: &'a Earlier<'a>,
        matches: &'a [u32],
    ) -> Clues<'a> {
        let is_fixed = |info: &TypeInfo| FIXED.contains(&&*info.name);
        let mut clues = Clues {
            heap,
            traits,
            before,
            matches,
            first_leaf: traits.references.len(),
            distinct: Distinct::of(&traits.values),
            fixed_types: heap.graph.types().iter().map(is_fixed).collect(),
            resizable_types: heap.graph.types().iter().map(is_resizable).collect(),
            variables: namespaces(heap)
                .into_iter()
                .filter(|&it| it < heap.graph.first_leaf())
                .flat_map(|namespace| heap.graph.successors(namespace).iter().copied())
                .collect(),
            found: if heap.reader().is_none() { references_to(heap) } else { Vec::new() },
            claims: Vec::new(),
        };
        clues.claims = clues.claims_by_value();
        clues.ask_the_collector();
        clues.ask_the_contents();
        clues
    }
}

impl Clues<'_> {
    /// The index of what lay at an object's place, if it was of its type.
    pub(super) fn then(&self, index: usize) -> Option<usize> {
        self.matches.get(index).filter(|then| **then != NONE).map(|&then| then as usize)
    }

    pub(super) fn claim(&self, index: usize) -> Claim {
        self.claims.get(index).copied().unwrap_or(Claim::New)
    }

    fn node(&self, index: usize) -> NodeId {
        NodeId(self.heap.graph.first_object().0.saturating_add(index as u32))
    }

    pub(super) fn index(&self, node: NodeId) -> Option<usize> {
        self.heap.graph.object_index(node)
    }

    /// Some of what a container refers to.
    fn below(&self, index: usize) -> impl Iterator<Item = usize> {
        let references = match index < self.first_leaf {
            true => self.heap.graph.successors(self.node(index)),
            false => &[],
        };
        // Keys and values of a dict take turns.
        let step = references.len().div_ceil(MOST_COMPARED) | 1;
        references.iter().step_by(step).filter_map(|&next| self.index(next))
    }

    /// The value of an object now and then, if both had one.
    fn values(&self, index: usize) -> Option<[u32; 2]> {
        let value = |traits: &Traits, leaf: Option<usize>| traits.values.get(leaf?).copied();
        let then = self.then(index)?.checked_sub(self.before.traits.references.len());
        let now = value(self.traits, index.checked_sub(self.first_leaf))?;
        Some([now, value(self.before.traits, then)?]).filter(|values| !values.contains(&0))
    }

    /// Whether it means something that an object is as it was: it is a container, or has a value of its own.
    fn tells(&self, index: usize) -> bool {
        let value = |leaf: usize| self.traits.values.get(leaf).copied().unwrap_or_default();
        index.checked_sub(self.first_leaf).is_none_or(|leaf| self.distinct.has(value(leaf)))
    }

    /// Whether no more than one container is likely to refer to an object.
    fn is_owned(&self, index: usize) -> bool {
        self.reference_count(index).is_some_and(|count| count <= OWNED)
    }

    /// Whether a container is too large, or referred to too often, to have taken the place of one like it in the
    /// time between two captures.
    fn is_well_known(&self, index: usize) -> bool {
        if index >= self.first_leaf || self.then(index).is_none() {
            return false;
        }
        let references = |traits: &Traits, index: usize| traits.references.get(index).copied();
        let now = references(self.traits, index).unwrap_or_default();
        let then = self.then(index).and_then(|then| references(self.before.traits, then));
        let is_large = now >= LEAST_OF_LARGE && then.is_some_and(|then| 2 * then >= now);
        is_large || self.reference_count(index).is_some_and(|count| count > KNOWN_BY)
    }

    /// How often an object is referred to, if that is counted.
    fn reference_count(&self, index: usize) -> Option<u64> {
        let address = self.heap.graph.address(self.node(index))?;
        let Some(reader) = self.heap.reader() else {
            let found = self.found.get(index).copied().unwrap_or_default();
            return self.heap.names().counted(address, found.into());
        };
        match reader.reference_count(address).ok()? {
            ReferenceCount::Counted(count) => Some(count),
            ReferenceCount::Immortal => None,
        }
    }

    /// Whether a container has as many references as what lay at its place.
    fn has_as_many(&self, index: usize) -> bool {
        let then = self.then(index).and_then(|then| self.before.traits.references.get(then));
        then.is_some() && then == self.traits.references.get(index)
    }

    /// New is what has no match, or has another value.
    fn claims_by_value(&self) -> Vec<Claim> {
        let claim = |index| {
            let differs = || self.values(index).is_some_and(|[now, then]| now != then);
            if self.then(index).is_none() || differs() { Claim::New } else { Claim::Open }
        };
        (0..self.matches.len()).map(claim).collect()
    }

    /// Says what the collector's lists tell.
    fn ask_the_collector(&mut self) {
        let graph = &self.heap.graph;
        let [Some(now), Some(then)] = [self.traits, self.before.traits].map(|it| it.collections)
        else {
            return;
        };
        let collected = (0..3).rev().find(|&it| now.get(it) != then.get(it));
        let is_dict: Vec<bool> = graph.types().iter().map(|info| info.name == DICT).collect();
        for (generation, nodes) in Generation::ALL.into_iter().zip(graph.tracked()) {
            let mut list = List { generation, collected, last: None };
            let marks: Vec<(usize, Mark)> = nodes
                .iter()
                .filter_map(|&node| {
                    let index = self.index(node)?;
                    let place = self.then(index).map(|then| self.before.traits.place(then));
                    let is_dict = graph.type_id(node).and_then(|id| is_dict.get(id.0 as usize));
                    Some((index, list.mark(place, is_dict == Some(&true))))
                })
                .collect();
            for ((index, _), claim) in marks.iter().zip(List::claims(&marks)) {
                let claim = match claim {
                    Claim::New if self.is_well_known(*index) => Claim::Open,
                    claim => claim,
                };
                if let Some(own) = self.claims.get_mut(*index).filter(|own| **own == Claim::Open) {
                    *own = claim;
                }
            }
        }
    }

    /// Says which containers are new because what they hold is.
    fn ask_the_contents(&mut self) {
        let mut open: Vec<usize> =
            (0..self.first_leaf).filter(|&index| self.claim(index) == Claim::Open).collect();
        for _ in 0..MOST_PASSES {
            let before = open.len();
            open.retain(|&index| {
                let is_new = self.has_new_contents(index);
                if let Some(claim) = self.claims.get_mut(index).filter(|_| is_new) {
                    *claim = Claim::New;
                }
                !is_new
            });
            if open.len() == before {
                break;
            }
        }
    }

    /// Whether a container is new because its contents are. One that cannot change is if anything in it is new. One
    /// that can has as many references as before, but nothing is left of the small objects that it alone refers to,
    /// and not merely because it got a new container. This tells nothing of a container that grows, nor of one whose
    /// memory is an object: a buffer that grows is another one.
    fn has_new_contents(&self, index: usize) -> bool {
        if !self.below(index).any(|next| self.is_new(next)) {
            return false;
        }
        if self.is_fixed(index) {
            return true;
        }
        let node = self.node(index);
        if !self.has_as_many(index)
            || self.variables.contains(&node)
            || is_of(&self.resizable_types, self.heap, node)
        {
            return false;
        }
        let owned: Vec<usize> = self.below(index).filter(|&next| self.is_owned(next)).collect();
        let is_leaf = |next: &usize| *next >= self.first_leaf;
        let has_another_value = owned.iter().any(|next| is_leaf(next) && self.is_new(*next));
        // That one of a few has the value that another had by chance tells nothing, of many it does.
        let is_small = owned.len() <= FEW;
        !owned.is_empty()
            && (has_another_value || !owned.iter().any(is_leaf))
            && owned.iter().all(|&next| {
                self.heap.graph.shallow(self.node(next)) <= LARGEST_IN_POOLS
                    && (self.is_new(next) || is_small && !self.tells(next))
            })
    }

    fn is_new(&self, index: usize) -> bool {
        self.claim(index) == Claim::New
    }

    /// Whether a container refers to the same as long as it lives.
    pub(super) fn is_fixed(&self, index: usize) -> bool {
        is_of(&self.fixed_types, self.heap, self.node(index))
    }

    /// Whether an object that has another holder than before was moved there: it is as it was.
    pub(super) fn is_moved(&self, index: usize) -> bool {
        let Some(then) = self.then(index) else { return false };
        match self.claim(index) {
            Claim::New => return false,
            Claim::Same => return true,
            Claim::Open if index >= self.first_leaf => {
                return self.values(index).is_some() && self.tells(index);
            }
            Claim::Open => {}
        }
        if self.is_well_known(index) {
            return true;
        }
        if self.is_lasting(then)
            && self.has_as_many(index)
            && !self.below(index).any(|next| self.is_new(next))
        {
            return true;
        }
        // It is enough that a value is left of all that it alone leads to.
        let mut rest = vec![index];
        let mut seen = 0;
        while let Some(index) = rest.pop() {
            if index >= self.first_leaf && self.values(index).is_some() && self.tells(index) {
                return true;
            }
            for next in self.below(index) {
                if seen < MOST_BELOW && !self.is_new(next) && self.is_owned(next) {
                    seen += 1;
                    rest.push(next);
                }
            }
        }
        false
    }

    /// Whether an object of the capture before was there for longer than a function needs it: it had been there
    /// for a while, or more than a frame held it.
    fn is_lasting(&self, then: usize) -> bool {
        let Earlier { number, births, traits } = self.before;
        births.get(then).is_some_and(|birth| birth < number)
            || traits.in_hand.get(then) == Some(&false)
    }
}
