//! Where a process's memory grows: the resident set of each capture divided up, and what of its growth no
//! finding about objects explains.
//!
//! [`account`] is the division at one capture, by [`place`]; [`growth`] compares several of them; [`leaks`] are
//! the findings that follow; [`sizes`] tells which blocks become more. The parts of an account add up to the resident set, so their rates add up to its
//! growth, and nothing grows without a place.

pub mod account;
pub mod growth;
pub mod leaks;
pub mod place;
pub mod sizes;

pub use account::Account;
pub use growth::{Growing, Rates, Unexplained};
pub use leaks::{Outside, SUSPICIOUS};
pub use place::Place;
pub use sizes::{Sizes, growing_sizes};
