//! Which object of a heap existed before: since which capture each has existed.
//!
//! An address and a type do not identify an object. An object that dies leaves its place to the next one of its
//! size, often of its type, so under churn a new list takes the address of a dead one. The evidence, the surest
//! first:
//!
//! - **The collector's lists** ([`gc_order`]). A list that is not collected gets new objects at its end only, and a
//!   collection moves the survivors to the next list. So an object behind new ones, or in a younger list than
//!   before, is new, and one that kept its place is the same.
//! - **Values** that never change: strings, bytes and numbers. A tuple is as new as its newest item. A container
//!   that has as many references as before, but none of the small objects that it alone refers to, is likely new.
//! - **Size.** A container with many references, or with many references to it, is hardly replaced by one like it.
//! - **Holders** ([`holders`]). An object that has the same holder is the same. One that has another was either
//!   moved there, and then it is as it was, or has taken an address.
//!
//! [`traits`] is what is kept of each object for this, [`clues`] weighs the evidence of the objects themselves.

mod clues;
mod gc_order;
mod holders;
mod traits;

use clues::Clues;
use holders::Descent;
pub(super) use traits::Traits;

use super::interpreter::Interpreter;
use crate::heap::Analysis;

/// No object.
pub(super) const NONE: u32 = u32::MAX;

/// An earlier heap.
pub(super) struct Earlier<'a> {
    /// The number of the capture.
    pub number: u8,
    /// Since which capture each of its objects has existed.
    pub births: &'a [u8],
    /// The traits of its objects.
    pub traits: &'a Traits,
}

/// Since which capture each object of a heap has existed, containers first, and its traits. `matches` are the
/// objects of the capture before, by index, that had the same addresses and types, or [`NONE`].
pub(super) fn births(
    heap: &Analysis<'_>,
    interpreter: Interpreter<'_>,
    before: &Earlier<'_>,
    now: u8,
    matches: &[u32],
) -> (Vec<u8>, Traits) {
    let traits = Traits::of(heap, interpreter);
    let clues = Clues::of(heap, &traits, before, matches);
    let mut descent = Descent::new(&clues, now);
    descent.run();
    let Descent { births, holders, in_hand, .. } = descent;
    (births, Traits { holders, in_hand, ..traits })
}

/// Whether an object that may have existed before is the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Claim {
    /// It is new.
    New,
    /// Its address and its type say that it is the same.
    Open,
    /// It is the same.
    Same,
}
