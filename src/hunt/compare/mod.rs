//! Comparing captures: which new objects survive, which older object holds them, and how fast that grows.
//!
//! Of each capture only [columns](heap_columns) of a few bytes per object are kept. [`identity`] tells an object
//! from others that had its address before, [`growth`] finds survivors and their holders,
//! [`accumulation_points`] the places in the object graph where they accumulate, [`steadiness`] whether the
//! growth is even.

pub mod accumulation_points;
pub mod growth;
pub mod heap_columns;
mod identity;
pub mod interpreter;
pub mod steadiness;
