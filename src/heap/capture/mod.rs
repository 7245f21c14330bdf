//! A capture: all memory of a process that can hold Python objects, copied in one pause.
//!
//! Before the pause, [`regions`] tells which memory can hold objects and [`buffers`] which large blocks
//! cannot; with these the [`plan`] is made. [`take`] then pauses the target and lets [`readers`] copy. What it gives is a [`Capture`] ([`copy`]), which
//! answers reads like the process itself would have at that moment.

pub mod buffers;
pub mod copy;
pub mod options;
pub(crate) mod plan;
pub(crate) mod readers;
pub mod regions;
pub mod take;

pub use copy::{Capture, Segments};
pub use options::{CaptureError, CaptureFacts, CaptureOptions};
