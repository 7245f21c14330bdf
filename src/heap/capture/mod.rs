//! A capture: all memory of a process that can hold Python objects, copied in one pause.
//!
//! Before the pause, [`regions`] finds the memory that can hold objects and [`left_out`] the parts of it that
//! need not be copied; from these the [`plan`] is made. [`take`] then pauses the target, at a [`moment`] when the
//! collector's lists can be followed, and lets [`readers`] copy. A core file needs none of that ([`of_core`]): its
//! bytes are used where they are. The result is a [`Capture`] ([`copy`]), which answers reads as the process itself
//! would have at that moment.

pub mod copy;
mod left_out;
mod moment;
pub mod of_core;
pub mod options;
pub(crate) mod plan;
pub(crate) mod readers;
pub mod regions;
pub mod take;
mod whole;
pub(crate) mod window;

pub use copy::{Capture, Segments};
pub use options::{CaptureError, CaptureFacts, CaptureOptions, Delay};
pub use whole::Whole;
