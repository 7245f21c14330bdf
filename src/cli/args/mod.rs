//! Arguments that several commands share, and what they open.
//!
//! | | |
//! |---|---|
//! | [`source`] | which heap: opens a [`Source`](crate::source::Source) |
//! | [`subject`] | which heap, and which objects in it |
//! | [`mod@core`] | a core file: `--core`, `--sysroot` |
//! | [`process`] | a process, by its PID or by its command line |
//! | [`target`] | a process, or a command to start: observed for a while |
//! | [`flags`] | single options: `--subprocesses`, `--nonblocking`, `--max-memory`, `--json`, … |
//! | [`form`] | the form of a file, by its name |
//! | [`disclosure`] | how much of keys and values is shown |
//! | [`size`] | sizes of memory |
//! | [`time`] | lengths of time |

pub mod core;
pub mod disclosure;
pub mod flags;
pub mod form;
pub mod process;
pub mod size;
pub mod source;
pub mod subject;
pub mod target;
pub mod time;
