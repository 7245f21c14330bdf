//! The guardian: a small process that does all the tracing and arms all breakpoints, so that the target
//! survives even if leakspy is killed.
//!
//! leakspy starts it and sends it a request ([`client`]). Inside, a [`server`] traces the target's [Python
//! threads](traced_threads), does one duty, and sends reports through the [`outbox`]. When the pipe to
//! leakspy breaks, it disarms and detaches. All of this is the same for every duty; a duty defines only its
//! request and what it sees. There are three: sampling allocations ([`sampler`](crate::profile::sampler)),
//! watching inserts ([`watch`](crate::hunt::inserts::watch)) and following malloc
//! ([`follow`](crate::hunt::mallocs::follow)).
//!
//! ```text
//! client ──Request<Work>──▶ entry ──▶ server ──▶ duty
//!    ◀───────Report<Seen>─── outbox ◀────┘
//! ```
//!
//! | | |
//! |---|---|
//! | [`report`] | the protocol: requests and reports |
//! | [`client`] | leakspy's side: starts a guardian and receives its reports |
//! | [`spawn`] | which program is started, how, and what it does first |
//! | [`entry`] | the guardian's side: recognizes its command line and reads the request |
//! | [`server`] | the main loop of every duty, and what duties have in common |
//! | [`outbox`] | the pipe to leakspy |
//! | [`traced_threads`] | the Python threads that are traced, new ones included |
//! | [`budget`] | how much the work may cost the target, and what it has cost |
//! | [`trouble`] | why the work cannot continue |

pub mod budget;
pub mod client;
pub(crate) mod entry;
pub(crate) mod outbox;
pub mod report;
pub(crate) mod server;
pub(crate) mod spawn;
pub(crate) mod traced_threads;
pub(crate) mod trouble;

pub use budget::Limits;
pub use client::GuardianError;
pub use spawn::Program;
