//! One file per subcommand: its arguments, and `run`.

pub mod completions;
pub mod cycles;
pub mod diff;
pub mod dump;
pub mod export;
pub mod graph;
pub mod heap;
pub mod hunt;
pub mod info;
pub mod man;
pub mod mem;
pub mod peak;
pub mod plot;
pub mod ps;
pub mod record;
pub mod report;
pub mod show;
pub mod snapshot;
pub mod timeline;
pub mod top;
pub mod tree;
pub mod waste;
pub mod watch;
pub mod why;
