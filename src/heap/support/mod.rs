//! Tools that a fast analysis needs and the standard library lacks: large arrays in huge pages
//! ([`huge_vec`]), a [`work_queue`] for tracing, and threads that yield to the target ([`nice`]).

pub(crate) mod huge_vec;
pub(crate) mod nice;
pub(crate) mod work_queue;

pub use huge_vec::give_memory_back;
