//! Arguments that several commands share, and what they open.
//!
//! | | |
//! |---|---|
//! | [`source`] | which heap: opens a [`Source`](crate::source::Source) |
//! | [`mod@core`] | a core file: `--core`, `--sysroot` |
//! | [`target`] | a process, or a command to start: observed for a while |
//! | [`flags`] | single options: `--pid`, `--subprocesses`, `--nonblocking`, `--max-memory`, `--json`, … |
//! | [`disclosure`] | how much of keys and values is shown |
//! | [`time`] | lengths of time |

pub mod core;
pub mod disclosure;
pub mod flags;
pub mod source;
pub mod target;
pub mod time;
