//! A process under observation: its mappings, memory and threads, and how to hold it still.
//!
//! Nothing here knows about Python. A [`Process`] is opened by PID; the layers above ask it for bytes
//! (through [`memory`](crate::memory)), for a [`Pause`], or for [`breakpoint`]s, which report when an
//! instruction or a word of memory is reached.
//!
//! | | |
//! |---|---|
//! | [`target`] | what a live process and a core file have in common |
//! | [`mod@core`] | a core file |
//! | [`handle`] | the live process itself: identity, ownership, address space |
//! | [`bulk`] | reading large parts of its memory |
//! | [`maps`], [`pagemap`], [`usage`], [`cgroup`] | what `/proc` says about its memory |
//! | [`files`] | the files that it sees |
//! | [`text`] | words and names that are any bytes, as they are shown |
//! | [`image`], [`symbols`], [`references`] | the ELF files mapped into it |
//! | [`glibc`] | the headers of malloc blocks, and the descriptors of threads |
//! | [`thread_ids`], [`waits`] | its threads, and how long they wait |
//! | [`descendants`], [`newcomers`] | its children, and processes that may yet become Pythons |
//! | [`by_command`] | processes by their command lines |
//! | [`ptrace`], [`pause`], [`pauses`] | stopping threads for a moment, and how long they were stopped |
//! | [`watchdog`] | the end of a pause while leakspy itself stands still |
//! | [`tracees`], [`reaper`] | tracing threads for longer, and releasing them cleanly |
//! | [`breakpoint`], [`lookahead`] | hardware breakpoints, and what a stopped thread is about to call |

pub mod blocked;
pub mod breakpoint;
pub mod bulk;
pub mod by_command;
pub mod cgroup;
pub mod core;
pub mod descendants;
pub mod files;
pub mod glibc;
pub mod handle;
pub mod image;
pub mod lookahead;
pub mod maps;
pub mod newcomers;
pub mod pagemap;
pub mod pause;
pub mod pauses;
pub mod ptrace;
pub mod reaper;
pub mod references;
pub mod symbols;
pub mod target;
pub mod text;
pub mod thread_ids;
pub mod tracees;
pub mod usage;
pub mod waits;
pub mod watchdog;

pub use self::core::{Core, CoreError};
pub use bulk::Bulk;
pub use handle::{AddressSpace, Piece, Process, ProcessError};
pub use image::{Image, ImageError, Symbol};
pub use maps::Mapping;
pub use pagemap::{PageMap, PageState};
pub use pause::{Pause, PauseError};
pub use pauses::Pauses;
pub use target::Target;
pub use thread_ids::ThreadIds;
pub use usage::{Share, Usage};
