//! Comparing captures: what was born and survived, which older object holds it, and at what pace that grows.
//!
//! Of each capture only [columns](heap_columns) of a few bytes an object are kept. [`growth`] finds
//! survivors and their holders, [`accumulation_points`] the place in the object graph where the growth is,
//! [`steadiness`] whether it goes on evenly.

pub mod accumulation_points;
pub mod growth;
pub mod heap_columns;
pub mod steadiness;
