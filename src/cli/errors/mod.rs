//! Errors as the user sees them.
//!
//! | | |
//! |---|---|
//! | [`command_error`] | the error a command fails with: any error that names its [obstacle](crate::obstacle), or a sentence |
//! | [`facts`] | the facts of this machine that explain it: users, capabilities, Yama, containers |
//! | [`advice`] | the sentences: a pure function of an obstacle and the facts |

pub mod advice;
pub mod command_error;
pub mod facts;

pub use command_error::{CommandError, Context};
