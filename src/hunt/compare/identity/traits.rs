//! The traits of the objects of a heap, by which they are told from others that take their addresses later.
//! Objects go by their index, containers first.

use crate::heap::{Analysis, Flow};
use crate::hunt::compare::interpreter::Interpreter;
use crate::python::gc::Generation;
use crate::python::objects::ValueForm;

/// In place of a holder: a root.
pub(super) const ROOT: u32 = u32::MAX - 1;
/// In place of a holder: a frame or a thread.
pub(super) const FRAME: u32 = u32::MAX - 2;

/// The traits of all objects of a heap.
#[derive(Debug, Default)]
pub(in crate::hunt::compare) struct Traits {
    /// The place of each object in the collector's lists.
    pub(super) places: Vec<Place>,
    /// The holder of each object on a shortest path through old objects, or [`ROOT`] or [`FRAME`].
    pub(super) holders: Vec<u32>,
    /// Whether only frames of threads lead to the object: most such objects are soon gone.
    pub(super) in_hand: Vec<bool>,
    /// The number of references of each container.
    pub(super) references: Vec<u32>,
    /// The value of each leaf, as a hash; 0 where there is none that is known and never changes.
    pub(super) values: Vec<u32>,
    /// The number of collections of each generation, if the lists keep their order.
    pub(super) collections: Option<[u64; 3]>,
}

/// The place of an object in the collector's lists: the list in the two highest bits, then the position in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place(u32);

impl Place {
    const NOWHERE: Place = Place(u32::MAX);

    fn new(generation: Generation, position: usize) -> Place {
        const MOST: usize = (1 << 30) - 2;
        Place((generation as u32) << 30 | position.min(MOST) as u32)
    }

    pub(super) fn generation(self) -> Option<Generation> {
        let is_somewhere = self != Place::NOWHERE;
        is_somewhere.then(|| Generation::ALL.get((self.0 >> 30) as usize).copied()).flatten()
    }
}

impl Traits {
    /// The traits of all objects of a heap, without their holders.
    pub(super) fn of(heap: &Analysis<'_>, interpreter: Interpreter<'_>) -> Traits {
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
        let collections = interpreter.collections(heap);
        let containers = graph.first_object().up_to(graph.first_leaf());
        let references = containers.map(|node| graph.successors(node).len() as u32).collect();
        Traits { places, references, values: values(heap), collections, ..Traits::default() }
    }

    /// The place of an object in the collector's lists.
    pub(super) fn place(&self, index: usize) -> Place {
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

/// The values that only one object has, as far as a table of bits can tell.
#[derive(Default)]
pub(super) struct Distinct {
    /// Two bits of a value: it has been seen, and more than once.
    seen: Vec<[u64; 2]>,
}

impl Distinct {
    pub(super) fn of(values: &[u32]) -> Distinct {
        let mut distinct =
            Distinct { seen: vec![[0; 2]; values.len().next_power_of_two() / 8 + 1] };
        for &value in values {
            let (index, bit) = distinct.bit(value);
            if let Some([once, twice]) = distinct.seen.get_mut(index) {
                *twice |= *once & bit;
                *once |= bit;
            }
        }
        distinct
    }

    pub(super) fn has(&self, value: u32) -> bool {
        let (index, bit) = self.bit(value);
        value != 0 && self.seen.get(index).is_some_and(|[_, twice]| twice & bit == 0)
    }

    fn bit(&self, value: u32) -> (usize, u64) {
        let bits = self.seen.len() * 64;
        let place = value as usize % bits.max(1);
        (place / 64, 1 << (place % 64))
    }
}
