//! Figures about a heap, as tables show them, and the selection of objects by what the user types.
//!
//! | | |
//! |---|---|
//! | [`summary`] | a heap in figures: what `leakspy heap` prints and saves |
//! | [`mod@groups`], [`group_sets`] | objects by type, module, size or generation, with retained sizes |
//! | [`mod@largest`] | the objects that retain the most |
//! | [`changes`] | the difference of two summaries |
//! | [`selector`], [`type_names`] | objects by type, address or name |
//! | [`reference_chain`] | a path in Python's words |
//! | [`root_names`] | GC roots in words |

pub mod changes;
pub(crate) mod group_sets;
pub mod groups;
pub mod largest;
pub mod reference_chain;
pub mod root_names;
pub mod selector;
pub mod summary;
pub mod type_names;
pub mod uncollectable;

pub use groups::{Group, Grouping, groups};
pub use largest::{LargeObject, largest};
pub use reference_chain::ReferenceChain;
pub use root_names::{RootName, RootNames, UNNAMED_FRAME};
pub use selector::{Selector, SelectorError};
pub use summary::{Owner, Summary};
pub use uncollectable::Uncollectable;
