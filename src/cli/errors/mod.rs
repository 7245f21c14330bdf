//! Errors for a person.
//!
//! | | |
//! |---|---|
//! | [`command_error`] | what a command fails with: any error that says its [obstacle](crate::obstacle), and words |
//! | [`facts`] | what about this machine explains it: users, capabilities, Yama, containers |
//! | [`advice`] | the sentences: a pure function of an obstacle and the facts |

pub mod advice;
pub mod command_error;
pub mod facts;

pub use command_error::{CommandError, Context};
