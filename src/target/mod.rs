//! A process under observation: what it maps, its memory, its threads, and how to hold it still.
//!
//! Nothing here knows about Python. The layers above ask for bytes ([`memory`](crate::memory)),
//! for a pause, or for the moments at which an instruction is reached.

pub mod breakpoint;
pub mod cgroup;
pub mod family;
pub mod guardian;
pub mod image;
pub mod lookahead;
pub mod maps;
pub mod pagemap;
pub mod pause;
pub mod process;
pub mod ptrace;
pub mod reaper;
pub mod references;
pub mod symbols;
pub mod thread_ids;
pub mod tracees;
pub mod usage;
pub mod waits;

pub use image::{Image, ImageError, Symbol};
pub use maps::Mapping;
pub use pagemap::{PageMap, PageState};
pub use pause::{Pause, PauseError};
pub use process::{AddressSpace, Piece, Process, ProcessError};
pub use thread_ids::ThreadIds;
pub use usage::{Share, Usage};
