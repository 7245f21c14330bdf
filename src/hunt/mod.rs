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
//! | [`compare`] | which new objects stay, where they accumulate, and how steadily |
//! | [`suspects`] | which of that growth is a leak |
//! | [`library`] | what is known of the standard library and of packages: which mistake it is |
//! | [`inserts`] | which code adds to it: the word that counts its items is watched for writes |
//! | [`accounts`] | where the resident set grows, and what of that no object explains |
//! | [`mallocs`] | which code allocates native memory that stays |
//! | [`causes`] | what one call causes in several places, as one finding |
//! | [`ranking`] | which finding to look at first |
//! | [`finding`], [`verdict`] | the result |
//! | [`fingerprint`] | what makes a finding the same in another run, and lists of known leaks |
//! | [`files`] | the verdict that snapshot files allow |
//! | [`together`] | the verdict on several processes: what they leak in the same way, as one finding |

pub mod accounts;
pub(crate) mod causes;
pub mod compare;
pub mod files;
pub mod finding;
pub mod fingerprint;
pub mod hunter;
pub mod inserts;
pub mod library;
pub mod mallocs;
pub(crate) mod ranking;
pub mod suspects;
pub mod together;
pub mod verdict;
