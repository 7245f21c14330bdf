//! CPython in memory: what its bytes mean.

pub mod frame;

pub use frame::Frame;
