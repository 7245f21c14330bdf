//! The types of a target, each read once: an object is read according to its type.
//!
//! A [`TypeTable`] only ever grows, and its types never move. So all threads share one, without `&mut`: the
//! first thread that meets a type adds it. A thread that reads millions of objects puts a [`TypeCache`] of
//! its own in front, and then finds known types without a lock.

use std::sync::{PoisonError, RwLock};

use rustc_hash::FxHashMap;

use super::context::Context;
use super::type_info::{TypeId, TypeInfo};
use crate::memory::{Memory, ReadError};
use crate::python::Python;

/// The most types in a table.
const MOST_TYPES: usize = 1 << 20;
/// The number of cache slots for the latest types. A power of two.
const RECENT: usize = 256;

/// All types of a target that have been seen.
///
/// It is meant for memory that does not change: a type is never read again.
#[derive(Debug)]
pub struct TypeTable {
    pub(super) context: Context,
    types: boxcar::Vec<TypeInfo>,
    /// The number of each type by its address. Locked for writing while a type is added, so that numbers have
    /// no gaps.
    ids: RwLock<FxHashMap<u64, TypeId>>,
}

impl TypeTable {
    /// An empty table for the interpreter in this memory. `extent` is the number of bytes of memory that the
    /// process has: an object that claims to be larger is rejected.
    pub fn new<M: Memory>(memory: &M, python: &Python, extent: u64) -> TypeTable {
        TypeTable {
            context: Context::new(memory, python, extent),
            types: boxcar::Vec::new(),
            ids: RwLock::default(),
        }
    }

    /// The type with this number.
    #[inline]
    pub fn get(&self, id: TypeId) -> Option<&TypeInfo> {
        self.types.get(id.0 as usize)
    }

    /// The number of types. Their ids are the numbers below it.
    pub fn count(&self) -> usize {
        self.types.count()
    }

    /// All types, in the order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = &TypeInfo> {
        self.types.iter().map(|(_, info)| info)
    }

    /// The type at this address, if it has been seen.
    pub fn known(&self, address: u64) -> Option<&TypeInfo> {
        let ids = self.ids.read().unwrap_or_else(PoisonError::into_inner);
        self.get(*ids.get(&address)?)
    }

    /// The type at this address, read if it has not been seen.
    ///
    /// # Errors
    /// There is no type, or there are too many.
    pub fn at<M: Memory>(&self, memory: &M, address: u64) -> Result<&TypeInfo, ReadError> {
        if let Some(known) = self.known(address) {
            return Ok(known);
        }
        let info = TypeInfo::read(memory, &self.context, address)?;
        self.add(info)
    }

    /// Adds a type, unless another thread was faster.
    fn add(&self, info: TypeInfo) -> Result<&TypeInfo, ReadError> {
        let address = info.address;
        let mut ids = self.ids.write().unwrap_or_else(PoisonError::into_inner);
        let number = self.types.count();
        let id = match ids.get(&address) {
            Some(id) => *id,
            None if number >= MOST_TYPES => {
                return Err(ReadError::Implausible { address, length: number as u64 });
            }
            None => {
                let numbered = |number| TypeInfo { id: TypeId(number as u32), ..info };
                let id = TypeId(self.types.push_with(numbered) as u32);
                ids.insert(address, id);
                id
            }
        };
        self.get(id).ok_or(ReadError::Implausible { address, length: 0 })
    }
}

/// The types that one thread has met, in front of the shared table.
#[derive(Debug)]
pub struct TypeCache<'t> {
    table: &'t TypeTable,
    /// By address; `None` where there is no type.
    met: FxHashMap<u64, Option<&'t TypeInfo>>,
    /// The latest ones, each in the slot determined by its address.
    recent: [(u64, Option<&'t TypeInfo>); RECENT],
}

impl<'t> TypeCache<'t> {
    /// An empty cache.
    pub fn new(table: &'t TypeTable) -> TypeCache<'t> {
        // There is no type at address 0, so this initial entry is correct.
        TypeCache { table, met: FxHashMap::default(), recent: [(0, None); RECENT] }
    }

    /// The type at this address, read if no thread has seen it; `None` if there is none.
    #[inline]
    pub fn at<M: Memory>(&mut self, memory: &M, address: u64) -> Option<&'t TypeInfo> {
        let slot = ((address / 16) ^ (address / 4096)) as usize % RECENT;
        if let Some(&(recent, info)) = self.recent.get(slot)
            && recent == address
        {
            return info;
        }
        let info = match self.met.get(&address) {
            Some(info) => *info,
            None => self.ask(memory, address),
        };
        if let Some(recent) = self.recent.get_mut(slot) {
            *recent = (address, info);
        }
        info
    }

    fn ask<M: Memory>(&mut self, memory: &M, address: u64) -> Option<&'t TypeInfo> {
        let info = self.table.at(memory, address).ok();
        if self.met.len() < 2 * MOST_TYPES {
            self.met.insert(address, info);
        }
        info
    }

    /// The type at this address, if it has been met or [taken over](Self::take_over).
    #[inline]
    pub fn known(&self, address: u64) -> Option<&'t TypeInfo> {
        self.met.get(&address).copied().flatten()
    }

    /// Takes over all types of the table.
    pub fn take_over(&mut self) {
        self.met.extend(self.table.iter().map(|info| (info.address, Some(info))));
    }
}
