//! Which object of a heap was there before: since which capture each has existed.
//!
//! An address and a type are not enough. What dies leaves its place to the next object of its size, often of
//! its type, so that under churn a new list lies where another was. What tells them apart, the surest first:
//!
//! - **The collector's lists.** A list that is not collected gets new objects at its end only, and a
//!   collection moves what survives it to the next list. So what stands behind something new, or in a younger
//!   list than before, is new; and what stands where it must is the same.
//! - **Values** that never change: strings, bytes and numbers. A tuple is as new as its newest item, and so is
//!   likely any container of which nothing is left that it alone refers to.
//! - **Holders.** What has the holder that it had is the same. What has another was either moved there, and then
//!   it is as it was, or has taken an address.
//!
//! [`Clues`] weighs what the objects themselves tell, [`Descent`] their holders.

use std::collections::VecDeque;

use crate::heap::{Analysis, Flow, NodeId, Precedence, RootKind};
use crate::memory::Memory;
use crate::python::Python;
use crate::python::gc::Generation;
use crate::python::objects::{TypeInfo, ValueForm};

/// No object.
pub(super) const NONE: u32 = u32::MAX;
/// In place of a holder: a root.
const ROOT: u32 = u32::MAX - 1;
/// In place of a holder: a frame or a thread.
const FRAME: u32 = u32::MAX - 2;
/// What has no more references than this belongs to the container that refers to it.
const OWNED: u32 = 2;
/// So many references of a container, from all over it, are looked at to see whether it is what it was, and so
/// many objects below it.
const LOOKED_AT: usize = 32;
const MOST_BELOW: usize = 60;
/// So few objects are of one container's making, and may come again as they were.
const FEW: usize = 8;
/// So often it is looked for containers of which nothing is left: what is inside each other shows one by one.
const PASSES: usize = 12;
/// Types whose objects refer to the same as long as they live.
const FIXED: [&str; 2] = ["tuple", "frozenset"];
/// Only this type's objects leave the collector's lists while they live and come back.
const DICT: &str = "dict";

/// What tells the objects of a heap apart from others that lie at their addresses later. Objects are called by
/// their index, containers first.
#[derive(Debug, Default)]
pub(super) struct Traits {
    /// Of each object its place in the collector's lists.
    places: Vec<Place>,
    /// Of each object that which holds it, on a shortest path through what is old, or [`ROOT`] or [`FRAME`].
    holders: Vec<u32>,
    /// Of each object whether only frames of threads lead to it: most of that is soon gone.
    in_hand: Vec<bool>,
    /// Of each container how many references it has.
    references: Vec<u32>,
    /// Of each leaf its value, 0 where there is none that is known and never changes.
    values: Vec<u32>,
    /// How many collections of each generation there have been, if the lists keep their order.
    collections: Option<[u64; 3]>,
}

/// Where an object stands in the collector's lists: the list in the two highest bits, then the place in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place(u32);

impl Place {
    const NOWHERE: Place = Place(u32::MAX);

    fn new(generation: Generation, position: usize) -> Place {
        const MOST: usize = (1 << 30) - 2;
        Place((generation as u32) << 30 | position.min(MOST) as u32)
    }

    fn generation(self) -> Option<Generation> {
        let is_somewhere = self != Place::NOWHERE;
        is_somewhere.then(|| Generation::ALL.get((self.0 >> 30) as usize).copied()).flatten()
    }
}

impl Traits {
    /// Those of all objects of a heap; who holds them is not known yet.
    fn of(heap: &Analysis<'_>, python: &Python) -> Traits {
        let graph = &heap.graph;
        let mut places = vec![Place::NOWHERE; graph.objects().len()];
        for (generation, nodes) in Generation::ALL.into_iter().zip(graph.tracked()) {
            for (position, &node) in nodes.iter().enumerate() {
                let index = graph.object_index(node);
                if let Some(place) = index.and_then(|index| places.get_mut(index)) {
                    *place = Place::new(generation, position);
                }
            }
        }
        let capture = heap.capture().filter(|capture| {
            graph.inconsistencies().open_lists == 0 && python.gc_lists_keep_order(*capture)
        });
        let collections = capture.and_then(|capture| python.collections(capture).ok());
        let containers = graph.first_object().up_to(graph.first_leaf());
        let references = containers.map(|node| graph.successors(node).len() as u32).collect();
        Traits { places, references, values: values(heap), collections, ..Traits::default() }
    }

    fn place(&self, index: usize) -> Place {
        self.places.get(index).copied().unwrap_or(Place::NOWHERE)
    }
}

/// The values of leaves.
fn values(heap: &Analysis<'_>) -> Vec<u32> {
    let graph = &heap.graph;
    let forms: Vec<Option<ValueForm>> = graph.types().iter().map(ValueForm::of).collect();
    let Some(reader) = heap.reader() else {
        return vec![0; graph.first_leaf().up_to(graph.end()).len()];
    };
    let value = |leaf| {
        let form = forms.get(graph.type_id(leaf)?.0 as usize).copied().flatten()?;
        let print = reader.fingerprint(graph.address(leaf)?, form)?;
        Some(((print >> 32) as u32).max(1))
    };
    graph.first_leaf().up_to(graph.end()).map(|leaf| value(leaf).unwrap_or_default()).collect()
}

/// Which values only one object has, as far as a table of bits can tell.
#[derive(Default)]
struct Distinct {
    /// Two bits of a value: it has been seen, and more than once.
    seen: Vec<[u64; 2]>,
}

impl Distinct {
    fn of(values: &[u32]) -> Distinct {
        let mut distinct =
            Distinct { seen: vec![[0; 2]; values.len().next_power_of_two() / 8 + 1] };
        for &value in values {
            let (index, bit) = distinct.place(value);
            if let Some([once, twice]) = distinct.seen.get_mut(index) {
                *twice |= *once & bit;
                *once |= bit;
            }
        }
        distinct
    }

    fn has(&self, value: u32) -> bool {
        let (index, bit) = self.place(value);
        value != 0 && self.seen.get(index).is_some_and(|[_, twice]| twice & bit == 0)
    }

    fn place(&self, value: u32) -> (usize, u64) {
        let bits = self.seen.len() * 64;
        let place = value as usize % bits.max(1);
        (place / 64, 1 << (place % 64))
    }
}

/// An earlier heap.
pub(super) struct Earlier<'a> {
    /// Which of the captures it was.
    pub number: u8,
    /// Since which capture each of its objects has existed.
    pub births: &'a [u8],
    /// What tells its objects.
    pub traits: &'a Traits,
}

/// Since which capture each object of a heap has existed, containers first, and what tells them. `matches` are
/// the objects of the capture before, by their index, that lay at the same addresses and were of the same types,
/// or [`NONE`].
pub(super) fn births(
    heap: &Analysis<'_>,
    python: &Python,
    before: &Earlier<'_>,
    now: u8,
    matches: &[u32],
) -> (Vec<u8>, Traits) {
    let traits = Traits::of(heap, python);
    let first_leaf = traits.references.len();
    let distinct = Distinct::of(&traits.values);
    let is_fixed = |info: &TypeInfo| FIXED.contains(&&*info.name);
    let mut clues = Clues {
        heap,
        traits: &traits,
        before,
        matches,
        first_leaf,
        distinct,
        fixed_types: heap.graph.types().iter().map(is_fixed).collect(),
        claims: Vec::new(),
    };
    clues.claims = clues.claims_by_value();
    clues.ask_the_collector();
    clues.ask_the_contents();
    let mut descent = Descent::new(&clues, now);
    descent.run();
    let Descent { births, holders, in_hand, .. } = descent;
    (births, Traits { holders, in_hand, ..traits })
}

/// What is known of an object that may have been there before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Claim {
    /// It is new.
    New,
    /// Its address and its type say that it was there.
    Open,
    /// It was there.
    Same,
}

/// What the objects themselves tell.
struct Clues<'a> {
    heap: &'a Analysis<'a>,
    traits: &'a Traits,
    before: &'a Earlier<'a>,
    matches: &'a [u32],
    /// The index of the first leaf.
    first_leaf: usize,
    distinct: Distinct,
    /// Which types have objects that refer to the same as long as they live.
    fixed_types: Vec<bool>,
    claims: Vec<Claim>,
}

impl Clues<'_> {
    /// The index of what lay at an object's place, if it was of its type.
    fn then(&self, index: usize) -> Option<usize> {
        self.matches.get(index).filter(|then| **then != NONE).map(|&then| then as usize)
    }

    fn claim(&self, index: usize) -> Claim {
        self.claims.get(index).copied().unwrap_or(Claim::New)
    }

    fn node(&self, index: usize) -> NodeId {
        NodeId(self.heap.graph.first_object().0.saturating_add(index as u32))
    }

    fn index(&self, node: NodeId) -> Option<usize> {
        self.heap.graph.object_index(node)
    }

    /// Some of what a container refers to.
    fn below(&self, index: usize) -> impl Iterator<Item = usize> {
        let references = match index < self.first_leaf {
            true => self.heap.graph.successors(self.node(index)),
            false => &[],
        };
        // Keys and values of a dict take turns.
        let step = references.len().div_ceil(LOOKED_AT) | 1;
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
        let Some(memory) = self.heap.capture() else { return false };
        let address = self.heap.graph.address(self.node(index));
        address.and_then(|address| memory.u32(address).ok()).is_some_and(|count| count <= OWNED)
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
            let mut list = List { generation, collected, is_past: false, last: 0 };
            for &node in nodes {
                let Some(index) = self.index(node) else { continue };
                let place = self.then(index).map(|then| self.before.traits.place(then));
                let is_dict = graph.type_id(node).and_then(|id| is_dict.get(id.0 as usize));
                let claim = list.claim(place, is_dict == Some(&true));
                if let Some(own) = self.claims.get_mut(index).filter(|own| **own == Claim::Open) {
                    *own = claim;
                }
            }
        }
    }

    /// Says which containers are new because what they hold is.
    fn ask_the_contents(&mut self) {
        let mut open: Vec<usize> =
            (0..self.first_leaf).filter(|&index| self.claim(index) == Claim::Open).collect();
        for _ in 0..PASSES {
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

    /// Whether a container refers to something new though it cannot change, or nothing is left of what it alone
    /// refers to. What was empty tells nothing.
    fn has_new_contents(&self, index: usize) -> bool {
        if !self.below(index).any(|next| self.is_new(next)) {
            return false;
        }
        let then = self.then(index).and_then(|then| self.before.traits.references.get(then));
        if self.is_fixed(index) {
            return true;
        }
        let owned: Vec<usize> = self.below(index).filter(|&next| self.is_owned(next)).collect();
        // That one of a few has the value that another had by chance tells nothing, of many it does.
        let is_small = owned.len() <= FEW;
        then.is_some()
            && !owned.is_empty()
            && owned.iter().all(|&next| self.is_new(next) || is_small && !self.tells(next))
    }

    fn is_new(&self, index: usize) -> bool {
        self.claim(index) == Claim::New
    }

    /// Whether a container refers to the same as long as it lives.
    fn is_fixed(&self, index: usize) -> bool {
        let id = self.heap.graph.type_id(self.node(index));
        id.and_then(|id| self.fixed_types.get(id.0 as usize)) == Some(&true)
    }

    /// Whether an object that has another holder than before was moved there: it is as it was.
    fn is_moved(&self, index: usize) -> bool {
        let Some(then) = self.then(index) else { return false };
        match self.claim(index) {
            Claim::New => return false,
            Claim::Same => return true,
            Claim::Open if index >= self.first_leaf => {
                return self.values(index).is_some() && self.tells(index);
            }
            Claim::Open => {}
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

/// A list of the collector that is gone through from its oldest object to its newest.
struct List {
    generation: Generation,
    /// The oldest generation that has been collected since the capture before.
    collected: Option<usize>,
    /// Whether something that was not in this list has been passed: all behind it came later.
    is_past: bool,
    /// The last place, in the list as it was, that was passed.
    last: u32,
}

impl List {
    /// What the list says of its next object. `then` is the place of what lay at its address, if it was of its
    /// type.
    fn claim(&mut self, then: Option<Place>, is_dict: bool) -> Claim {
        let Some(place) = then else {
            self.is_past = true;
            return Claim::New;
        };
        let Some(generation) = place.generation() else {
            // It was not tracked. A dict is when it gets its first container.
            self.is_past = true;
            return Claim::Open;
        };
        let [was, is] = [generation as usize, self.generation as usize];
        let [old, permanent] = [Generation::Old as usize, Generation::Permanent as usize];
        let is_thawed = was != is && (was == permanent || is == permanent);
        // What was collected must have gone to the next list, where it stands anywhere.
        if is_thawed || self.collected.is_some_and(|collected| was <= collected) {
            let at_least = self.collected.map_or(0, |collected| (collected + 1).min(old));
            let came_back = is_dict && self.collected == Some(old);
            self.is_past |= is != was;
            let is_new = !is_thawed && !came_back && is < at_least;
            return if is_new { Claim::New } else { Claim::Open };
        }
        self.is_past |= was != is || place.0 < self.last;
        self.last = place.0;
        if self.is_past { Claim::New } else { Claim::Same }
    }
}

/// A walk through a heap from its roots, shortest paths through what is old first, that asks each object that may
/// be old whether it has the holder that it had.
struct Descent<'a> {
    clues: &'a Clues<'a>,
    now: u8,
    births: Vec<u8>,
    /// Of each object whose birth is settled, who holds it.
    holders: Vec<u32>,
    in_hand: Vec<bool>,
    /// Roots that are threads and frames.
    frames: Vec<NodeId>,
    /// Whether those are being followed.
    is_in_hand: bool,
    /// Containers and roots whose references are to be followed, by their birth.
    ready: Vec<VecDeque<NodeId>>,
    /// Roots that give way to others.
    later: Vec<NodeId>,
    /// Objects that have another holder than they had, with it.
    doubtful: VecDeque<(NodeId, u32)>,
    /// Those of them that are not as they were.
    refuted: VecDeque<(NodeId, u32)>,
}

impl Descent<'_> {
    fn new<'a>(clues: &'a Clues<'a>, now: u8) -> Descent<'a> {
        let before = clues.before;
        let birth = |index| match clues.claim(index) {
            Claim::New => Some(now),
            _ => before.births.get(clues.then(index)?).copied(),
        };
        let count = clues.matches.len();
        Descent {
            clues,
            now,
            births: (0..count).map(|index| birth(index).unwrap_or(now)).collect(),
            holders: vec![NONE; count],
            in_hand: vec![false; count],
            frames: Vec::new(),
            is_in_hand: false,
            ready: vec![VecDeque::new(); 1 + usize::from(now)],
            later: Vec::new(),
            doubtful: VecDeque::new(),
            refuted: VecDeque::new(),
        }
    }

    fn run(&mut self) {
        self.follow(NodeId::ROOT);
        loop {
            if let Some(node) = self.ready.iter_mut().find_map(VecDeque::pop_front) {
                self.follow(node);
            } else if let Some((node, holder)) = self.doubtful.pop_front() {
                match self.clues.index(node) {
                    Some(index) if self.clues.is_moved(index) => self.settle(node, holder),
                    _ => self.refuted.push_back((node, holder)),
                }
            } else if let Some(root) = self.frames.pop() {
                self.is_in_hand = true;
                self.follow(root);
            } else if let Some(root) = self.later.pop() {
                self.is_in_hand = false;
                self.follow(root);
            } else if let Some((node, holder)) = self.refuted.pop_front() {
                self.refute(node, holder);
            } else {
                return;
            }
        }
    }

    /// An object is new if nobody has settled its birth meanwhile; and so is a holder of it that cannot change.
    fn refute(&mut self, node: NodeId, holder: u32) {
        let clues = self.clues;
        let Some(index) = clues.index(node).filter(|&index| !self.is_settled(index)) else {
            return;
        };
        let above = Some(holder as usize).filter(|&above| clues.is_fixed(above));
        for index in [Some(index), above].into_iter().flatten() {
            if let Some(birth) = self.births.get_mut(index) {
                *birth = self.now;
            }
        }
        self.is_in_hand = self.in_hand.get(holder as usize) == Some(&true) || holder == FRAME;
        self.settle(node, holder);
    }

    /// Looks at all that a node leads to.
    fn follow(&mut self, node: NodeId) {
        let (clues, graph) = (self.clues, &self.clues.heap.graph);
        let is_frame = |node| {
            let root = graph.root(node).map(|root| &root.kind);
            matches!(root, Some(RootKind::Thread { .. } | RootKind::Frame { .. }))
        };
        let holder = match clues.index(node) {
            Some(index) => index as u32,
            None if is_frame(node) => FRAME,
            None => ROOT,
        };
        for &next in graph.successors(node) {
            match clues.index(next) {
                None if is_frame(next) => self.frames.push(next),
                None if graph.precedence(next) == Precedence::Known => {
                    self.ready.first_mut().into_iter().for_each(|it| it.push_back(next));
                }
                None => self.later.push(next),
                Some(index) if self.is_settled(index) => {}
                Some(index) if self.is_settled_by(index, holder) => self.settle(next, holder),
                Some(_) => self.doubtful.push_back((next, holder)),
            }
        }
    }

    fn is_settled(&self, index: usize) -> bool {
        self.holders.get(index).is_none_or(|&holder| holder != NONE)
    }

    /// Whether it settles an object's birth that this holds it.
    fn is_settled_by(&self, index: usize, holder: u32) -> bool {
        let clues = self.clues;
        if clues.claim(index) != Claim::Open {
            return true;
        }
        let before = clues.before.traits;
        let then = clues.then(index).and_then(|then| before.holders.get(then)).copied();
        let same_holder = match holder {
            ROOT | FRAME => Some(holder),
            // One that is new now is not the one that was at its place.
            _ if self.births.get(holder as usize) == Some(&self.now) => None,
            _ => clues.then(holder as usize).map(|then| then as u32),
        };
        then.is_some() && then == same_holder
    }

    /// Takes an object's birth for settled.
    fn settle(&mut self, node: NodeId, holder: u32) {
        let Some(index) = self.clues.index(node).filter(|&index| !self.is_settled(index)) else {
            return;
        };
        if let (Some(own), Some(in_hand)) =
            (self.holders.get_mut(index), self.in_hand.get_mut(index))
        {
            *own = holder;
            *in_hand = self.is_in_hand;
        }
        let birth = self.births.get(index).copied().map_or(0, usize::from);
        if index < self.clues.first_leaf
            && let Some(ready) = self.ready.get_mut(birth)
        {
            ready.push_back(node);
        }
    }
}
