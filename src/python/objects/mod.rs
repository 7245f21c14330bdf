//! Objects in the target's memory: their types, sizes and references.
//!
//! A [`Reader`] [describes](Reader::describe) any object by its address. Sizes are those of `sys.getsizeof`,
//! references those of `gc.get_referents`, plus those that are not shown to the collector. How to read an
//! object is decided once per type ([`TypeInfo`], kept in a [`TypeTable`]), from its nearest built-in base,
//! so that subclasses are read as well. In objects of unknown types, those of extension modules, every word
//! is a candidate for a reference. How one object holds another can be described in Python's terms, as a
//! [`Link`] or for a whole [path](Reader::path).
//!
//! Everything reads through [`Memory`](crate::memory::Memory) and allocates nothing per object. Lengths are
//! bounded by the extent of all memory, and chains of pointers by guards against rings.

mod ancestry;
mod attributes;
mod bounds;
mod buffer_views;
mod buffers;
mod bytecode;
mod callables;
mod classes;
mod contents;
mod context;
mod disclosure;
mod edge_names;
mod edges;
mod fingerprints;
mod frames;
mod growth;
mod identity;
mod instances;
pub(crate) mod keys;
mod links;
mod mappings;
mod native_data;
mod number_text;
mod numbers;
mod own_buffers;
mod owned_blocks;
mod pickles;
mod previews;
mod quoting;
mod reader;
mod reference_count;
mod room;
mod sequences;
mod stack_frames;
mod states;
mod steps;
mod subclasses;
pub(crate) mod type_flags;
mod type_info;
mod type_table;
mod values;
mod view;
mod visit;

pub use bounds::Bound;
pub use buffer_views::BufferView;
pub use bytecode::{Action, Instruction};
pub use callables::can_be_defined;
pub use contents::{Contents, Span};
pub use context::type_dicts;
pub use disclosure::Disclosure;
pub use edge_names::EdgeNames;
pub use edges::{Edges, Role};
pub use fingerprints::ValueForm;
pub use growth::Growth;
pub use identity::Identity;
pub use instances::Storage;
pub use links::Link;
pub use numbers::{Boxed, Narrow};
pub use owned_blocks::OwnedBlock;
pub use reader::{Reader, Shape};
pub use reference_count::{BLOCK_HEADERS, ReferenceCount, can_be_reference_count, is_built_in};
pub use room::{Room, RoomKind};
pub use steps::Step;
pub use type_info::{Finalizer, TypeFacts, TypeId, TypeInfo};
pub use type_table::{TypeCache, TypeTable};
pub use values::{
    LONGEST_BYTES, LONGEST_STRING, bytes, is_text, small_int, string, type_name, type_of,
};
