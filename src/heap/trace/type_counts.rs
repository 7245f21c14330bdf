//! Objects counted by type, without numbering and without a graph.

use super::notes::{Inconsistencies, Notes};
use super::tracer::{Traced, trace};
use crate::heap::capture::copy::Capture;
use crate::heap::ids::Slot;
use crate::python::Python;
use crate::python::gc::{GcError, Generation};
use crate::python::objects::{Shape, TypeId, TypeInfo, TypeTable};

/// The objects of a heap by type.
#[derive(Debug)]
pub struct TypeCounts {
    counts: Vec<Count>,
    types: TypeTable,
    /// The number of objects that the collector tracks in each generation, youngest first.
    pub tracked: [u64; Generation::ALL.len()],
    /// Inconsistencies met. Objects that could not be read completely are counted only here.
    pub inconsistencies: Inconsistencies,
}

/// The objects of a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Count {
    /// The number of objects.
    pub objects: u64,
    /// Their sizes as `sys.getsizeof` says, in bytes: [`Shape::shallow`] and [`Shape::header`].
    pub shallow: u64,
    /// Bytes that they own elsewhere: [`Shape::external`].
    pub external: u64,
}

impl TypeCounts {
    /// Counts all objects of a capture, on this many threads. If `strict`, as for a capture taken in a pause,
    /// a list of the collector that does not close is an error.
    pub fn of(
        capture: &Capture<'_>,
        python: &Python,
        threads: usize,
        strict: bool,
    ) -> Result<TypeCounts, GcError> {
        let counts = (0..threads.max(1)).map(|_| Counts::default()).collect();
        let traced: Traced<Counts> = trace(capture, python, counts, strict)?;
        let mut sums = vec![Count::default(); traced.types.count()];
        for Counts(counts) in &traced.notes {
            for (sum, count) in sums.iter_mut().zip(counts) {
                sum.add(count);
            }
        }
        Ok(TypeCounts {
            counts: sums,
            types: traced.types,
            tracked: traced.tracked.map(|slots| slots.len() as u64),
            inconsistencies: traced.inconsistencies,
        })
    }

    /// All types, each with its objects.
    pub fn by_type(&self) -> impl Iterator<Item = (&TypeInfo, Count)> {
        self.types.iter().zip(self.counts.iter().copied())
    }
}

impl Count {
    /// The full size of all objects.
    pub fn bytes(&self) -> u64 {
        self.shallow.saturating_add(self.external)
    }

    fn add(&mut self, other: &Count) {
        self.objects += other.objects;
        self.shallow = self.shallow.saturating_add(other.shallow);
        self.external = self.external.saturating_add(other.external);
    }
}

/// Counts, indexed by the number of the type.
#[derive(Debug, Default)]
struct Counts(Vec<Count>);

impl Notes for Counts {
    #[inline]
    fn edge(&mut self, _slot: Slot) {}

    fn object(&mut self, _slot: Slot, shape: Option<&Shape>, _is_container: bool) {
        if let Some(shape) = shape {
            let shallow = shape.shallow.saturating_add(shape.header);
            let count = Count { objects: 1, shallow, external: shape.external };
            self.add(shape.type_id, &count);
        }
    }
}

impl Counts {
    fn add(&mut self, id: TypeId, count: &Count) {
        // Types are numbered consecutively.
        let index = id.0 as usize;
        if self.0.len() <= index {
            self.0.resize(index + 1, Count::default());
        }
        if let Some(sum) = self.0.get_mut(index) {
            sum.add(count);
        }
    }
}
