//! What is known of the standard library and of well-known packages: which mistake it is when objects of this
//! type pile up in that place, in this state.
//!
//! | | |
//! |---|---|
//! | [`table`] | the knowledge, a row for each mistake: begin here to add one |
//! | [`row`] | what a row can say |
//! | [`explain`] | the row for a suspect, and its words |
//! | [`scene`] | what a row is compared with: the objects that pile up, their state, the way to them |
//! | [`cardinality`] | which label of a metric has too many values |

mod cardinality;
pub(crate) mod explain;
pub mod row;
mod scene;
pub mod table;
