//! The hunt: which objects pile up, what retains them, and which line of code adds them.
//!
//! The [`hunter`] takes several captures of the heap, some seconds apart:
//!
//! ```text
//! captures ──▶ compare ──▶ suspects ──▶ inserts, mallocs ──▶ verdict
//! ```
//!
//! | | |
//! |---|---|
//! | [`compare`] | what is new and stays, where it accumulates, and how steadily |
//! | [`suspects`] | which of that is a leak |
//! | [`inserts`] | who adds to it: writes to the word that counts it are watched |
//! | [`mallocs`] | who allocates native memory that stays |
//! | [`finding`], [`verdict`] | the result |

pub mod compare;
pub mod finding;
pub mod hunter;
pub mod inserts;
pub mod mallocs;
pub mod suspects;
pub mod verdict;
