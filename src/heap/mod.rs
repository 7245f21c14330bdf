//! The heap of a process: a capture of its memory, and what is to be learnt from it.

pub mod buffers;
pub mod capture;
pub mod census;
pub mod dominators;
pub mod regions;
pub mod taking;

pub use capture::{Capture, Segments};
pub use taking::{CaptureError, CaptureFacts, CaptureOptions};
