//! Blocks of memory that objects of undescribed types point to: a table, a node, an array. What such an object holds
//! is as often there as in itself, so each word of them is a candidate, like its own words.
//!
//! Whoever knows the blocks in use tells them once, when all objects have been found.

use super::edge_names::EdgeNames;
use super::edges::{Role, Sink};
use super::reader::Reader;
use super::type_info::Body;
use super::view::each;
use super::visit::Visit;
use crate::memory::{Memory, ReadError};

/// A block that an object points to, and no other before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwnedBlock {
    /// The object.
    pub object: u64,
    /// The offset of the pointer in it.
    pub place: u64,
    /// The address of the block.
    pub block: u64,
    /// How many words it has.
    pub words: u64,
}

impl<M: Memory> Reader<'_, M> {
    /// The words of an object that may be references, with their offsets.
    pub fn candidates(&self, object: u64) -> Vec<(u64, u64)> {
        let mut all = Vec::new();
        self.roles(object, &mut all);
        let candidate = |(word, role)| match role {
            Role::Unknown(place) => Some((word, place)),
            _ => None,
        };
        all.into_iter().filter_map(candidate).collect()
    }

    /// From now on the words of these blocks count as words of their objects. Only the first call has an effect.
    pub fn tell_owned_blocks(&self, mut blocks: Vec<OwnedBlock>) {
        blocks.sort_unstable_by_key(|owned| (owned.object, owned.place));
        let _ = self.types.context.owned_blocks.set(blocks);
    }

    /// Whether they have been told.
    #[inline]
    pub fn knows_owned_blocks(&self) -> bool {
        self.types.context.owned_blocks.get().is_some()
    }
}

impl<M: Memory, S: Sink> Visit<'_, M, S> {
    /// The words in the blocks that this object points to.
    pub fn owned_blocks(&mut self) -> Result<(), ReadError> {
        if self.info.unknown.is_none() && self.info.body != Body::Module {
            return Ok(());
        }
        let Some(all) = self.context.owned_blocks.get() else { return Ok(()) };
        let object = self.view.address();
        let first = all.partition_point(|owned| owned.object < object);
        let own = all.iter().skip(first).take_while(|owned| owned.object == object);
        let sink = &mut *self.sink;
        for owned in own {
            each(self.memory, owned.block, owned.words, self.context.extent, |_, [word]| {
                if word != 0 && word % 8 == 0 {
                    sink.candidate(word, Role::Unknown(owned.place));
                }
            })?;
        }
        Ok(())
    }
}
