//! The guardian: a small process that does everything which traces a target or arms a breakpoint, so that
//! the target survives even if leakspy is killed.
//!
//! leakspy [starts](spawn) it and reads its reports ([`client`]); inside, a [`server`] holds the target's
//! [Python threads](traced_threads) and sends its reports through the [`outbox`]. When the pipe to its
//! parent breaks, the guardian disarms and detaches.
//!
//! | | |
//! |---|---|
//! | [`spawn`] | starting the process, and what it does first |
//! | [`client`] | leakspy's side: reads the reports |
//! | [`server`] | the guardian's side: the loop that waits for stops and hits |
//! | [`outbox`] | the pipe to the parent |
//! | [`traced_threads`] | the Python threads that are traced, new ones included |
//! | [`budget`] | how long threads may stand still |
//! | [`trouble`] | why work cannot go on |

pub mod budget;
pub mod client;
pub mod outbox;
pub mod server;
pub mod spawn;
pub mod traced_threads;
pub mod trouble;
