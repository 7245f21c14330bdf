//! Errors for a person: which [`obstacle`] an error stands for, which [`facts`] about the machine explain
//! it, and the [`advice`] that follows from both.

pub mod advice;
pub mod facts;
pub mod obstacle;
