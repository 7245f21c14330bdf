//! The cycle collector's own lists of objects.
//!
//! Every container that the collector tracks is linked into one of its lists: three generations, and the
//! permanent one of `gc.freeze()`. Each list is a ring through a head in the interpreter (up to 3.8 in
//! `_PyRuntime`); a link (`PyGC_Head`: `_gc_next`, `_gc_prev`) is 16 bytes before its object. (3.14.0 to
//! 3.14.4 collect incrementally: a young and two old lists, at the same places.)
//!
//! Lists are followed forwards only. During a collection the backward links hold counts, and the lowest
//! two bits of both are marks.

use super::layout::GcPlace;
use super::links::RingGuard;
use super::version::Version;
use super::{Python, at};
use crate::memory::{Memory, ReadError, u64_at};
use crate::obstacle::{Obstructed, Obstruction};

/// Bytes of `PyGC_Head`, which an object has before it if the collector may track it.
pub const HEAD_SIZE: u64 = 16;

/// Bytes from one generation's list head to the next (`struct gc_generation`).
const GENERATION_SIZE: usize = 24;

/// How far ahead of a link memory is prefetched, in bytes.
const AHEAD: u64 = 256;
/// The low bits of links, which are marks.
const MARKS: u64 = 3;

/// One of the collector's lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Generation {
    /// Objects that no collection has seen yet.
    Young,
    /// Objects that survived one young collection.
    Middle,
    /// Objects that survived more.
    Old,
    /// Objects that `gc.freeze()` moved out of the collector's sight.
    Permanent,
}

impl Generation {
    /// All of them, the youngest first.
    pub const ALL: [Generation; 4] =
        [Generation::Young, Generation::Middle, Generation::Old, Generation::Permanent];
}

/// The head of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GcList {
    /// Which of the collector's lists.
    pub generation: Generation,
    /// The address of its head.
    pub head: u64,
}

/// Why a list of the collector cannot be followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GcError {
    /// Memory of the list cannot be read.
    #[error("the collector's lists cannot be followed: {0}")]
    Read(#[from] ReadError),
    /// A list does not return to its head.
    #[error("a list of the collector that begins at {head:#x} does not come back to its head")]
    Open {
        /// The address of its head.
        head: u64,
    },
    /// Python's own allocator serves the objects, but none of its arenas is found.
    #[error(
        "its objects lie in memory of Python's own allocator whose arenas were not found: this build is not \
         understood"
    )]
    NoArenas,
}

impl Obstructed for GcError {
    fn obstacle(&self) -> Option<Obstruction> {
        match self {
            GcError::Read(error) => error.obstacle(),
            GcError::Open { .. } | GcError::NoArenas => None,
        }
    }
}

/// Whether the lists of a version's collector keep their order: not in 3.14.0 to 3.14.4, which move objects between the
/// two old lists.
pub fn lists_keep_order(version: Version) -> bool {
    let incremental = (3, 14, 0)..=(3, 14, 4);
    let Version { major, minor, micro } = version;
    !incremental.contains(&(major, minor, micro))
}

impl Python {
    /// The collector's lists of all interpreters, or the only ones where the process has one collector.
    pub fn gc_lists<M: Memory>(&self, memory: &M) -> Result<Vec<GcList>, ReadError> {
        let layout = &self.layout.gc;
        let states = self.gc_states(memory)?;
        let places = [0, 1, 2].map(|index| layout.generations + index * GENERATION_SIZE);
        let places = places.into_iter().chain([layout.permanent]);
        let of_state = |state: u64| {
            let heads = places.clone().map(move |place| at(state, place));
            Generation::ALL.into_iter().zip(heads)
        };
        let lists = states.into_iter().flat_map(of_state);
        Ok(lists.map(|(generation, head)| GcList { generation, head }).collect())
    }

    /// Whether a list of the collector keeps its order until it is collected: new objects are appended. Not with
    /// several interpreters, whose lists are not told apart, and [not in all versions](lists_keep_order).
    pub fn gc_lists_keep_order<M: Memory>(&self, memory: &M) -> bool {
        let is_one = self.gc_states(memory).is_ok_and(|states| states.len() == 1);
        is_one && lists_keep_order(self.version)
    }

    /// Whether the collector's lists must not be read now: a collection is running, or an object is just
    /// being linked in. In a running target the answer may be out of date at once.
    pub fn gc_is_busy<M: Memory>(&self, memory: &M) -> Result<bool, ReadError> {
        Ok(self.gc_is_collecting(memory)? || !self.gc_lists_are_whole(memory)?)
    }

    /// Whether a collection is running. It is until its last finalizer has returned.
    pub fn gc_is_collecting<M: Memory>(&self, memory: &M) -> Result<bool, ReadError> {
        for state in self.gc_states(memory)? {
            if memory.i32(at(state, self.layout.gc.collecting))? != 0 {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The interpreters in which a collection is running; `None` stands for all of them, up to 3.8.
    pub(super) fn collecting_interpreters<M: Memory>(
        &self,
        memory: &M,
    ) -> Result<Vec<Option<u64>>, ReadError> {
        let places: Vec<(Option<u64>, u64)> = match self.layout.gc.place {
            GcPlace::Runtime(offset) => vec![(None, at(self.runtime, offset))],
            GcPlace::Interpreter(offset) => {
                let interpreters = self.interpreters(memory)?.into_iter();
                interpreters.map(|address| (Some(address), at(address, offset))).collect()
            }
        };
        let mut found = Vec::new();
        for (interpreter, state) in places {
            if memory.i32(at(state, self.layout.gc.collecting))? != 0 {
                found.push(interpreter);
            }
        }
        Ok(found)
    }

    /// Whether the collector's lists can be followed. While a collection counts references, the backward link
    /// of the last object holds a count; before it calls a finalizer, all links are restored, because Python
    /// code may create objects.
    pub fn gc_lists_are_whole<M: Memory>(&self, memory: &M) -> Result<bool, ReadError> {
        for list in self.gc_lists(memory)? {
            if !ends_meet(memory, list.head)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The addresses of the collectors' states.
    pub(super) fn gc_states<M: Memory>(&self, memory: &M) -> Result<Vec<u64>, ReadError> {
        match self.layout.gc.place {
            GcPlace::Runtime(offset) => Ok(vec![at(self.runtime, offset)]),
            GcPlace::Interpreter(offset) => {
                let interpreters = self.interpreters(memory)?;
                Ok(interpreters.into_iter().map(|interpreter| at(interpreter, offset)).collect())
            }
        }
    }
}

impl GcList {
    /// Calls `each` with the address of every object in the list, in order, and returns their number. It
    /// terminates on any memory; the objects seen before an error may be used with care.
    pub fn for_each<M: Memory>(
        &self,
        memory: &M,
        mut each: impl FnMut(u64),
    ) -> Result<u64, GcError> {
        let mut guard = RingGuard::default();
        let mut count = 0;
        let mut link = next(memory, self.head)?;
        while link != self.head {
            if link == 0 || guard.closes_at(link) {
                return Err(GcError::Open { head: self.head });
            }
            // The next objects of the same size are often close behind.
            memory.prefetch(link.wrapping_add(AHEAD), 16);
            each(link.wrapping_add(HEAD_SIZE));
            count += 1;
            link = next(memory, link)?;
        }
        Ok(count)
    }
}

/// The links of an object that the collector can track (`PyGC_Head`), without their marks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Links {
    head: u64,
    next: u64,
    previous: u64,
}

impl Links {
    /// Those of the object at this address; none if they cannot be read.
    pub fn of<M: Memory>(memory: &M, object: u64) -> Links {
        let head = object.wrapping_sub(HEAD_SIZE);
        let word = |place| memory.u64(place).unwrap_or_default() & !MARKS;
        Links { head, next: word(head), previous: word(head.wrapping_add(8)) }
    }

    /// Whether they are what an object has: none while it is not tracked, and else a neighbour that leads back. (In a
    /// collection a backward link may be a count.)
    pub fn lead_back<M: Memory>(self, memory: &M) -> bool {
        let word = |place| memory.u64(place).unwrap_or_default() & !MARKS;
        match self.next {
            0 => self.previous == 0,
            next => word(next.wrapping_add(8)) == self.head || word(self.previous) == self.head,
        }
    }
}

/// Where a link leads.
fn next<M: Memory>(memory: &M, link: u64) -> Result<u64, ReadError> {
    let word = match memory.lend(link, 8) {
        Some(bytes) => u64_at(bytes, 0).unwrap_or_default(),
        None => memory.u64(link)?,
    };
    Ok(word & !MARKS)
}

/// Whether the first and the last link of a list agree with its head. New objects are linked in at the end by
/// four writes; if the GIL holder was stopped between them, they do not agree.
fn ends_meet<M: Memory>(memory: &M, head: u64) -> Result<bool, ReadError> {
    let links = |at: u64| -> Result<(u64, u64), ReadError> {
        let bytes: [u8; 16] = memory.array(at)?;
        let word = |offset| u64_at(&bytes, offset).unwrap_or_default() & !MARKS;
        Ok((word(0), word(8)))
    };
    let (first, last) = links(head)?;
    if first == 0 || last == 0 {
        return Ok(false);
    }
    let (after_last, before_last) = links(last)?;
    let (_, before_first) = links(first)?;
    Ok(after_last == head && before_first == head && links(before_last)?.0 == last)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Links at the addresses 0x1000 + 16 n, each {next, previous}.
    struct Words(Vec<[u64; 2]>);

    const BASE: u64 = 0x1000;

    impl Memory for Words {
        fn read(&self, address: u64, buffer: &mut [u8]) -> Result<(), ReadError> {
            let error = ReadError::Unmapped { address, length: buffer.len() };
            let bytes: Vec<u8> =
                self.0.iter().flatten().flat_map(|word| word.to_le_bytes()).collect();
            let start = address.checked_sub(BASE).ok_or(error)? as usize;
            let end = start.checked_add(buffer.len()).ok_or(error)?;
            buffer.copy_from_slice(bytes.get(start..end).ok_or(error)?);
            Ok(())
        }
    }

    fn link(index: u64) -> u64 {
        BASE + 16 * index
    }

    fn objects(links: &Words) -> (Vec<u64>, Result<u64, GcError>) {
        let mut found = Vec::new();
        let list = GcList { generation: Generation::Young, head: BASE };
        let outcome = list.for_each(links, |object| found.push(object));
        (found, outcome)
    }

    #[test]
    fn a_ring_is_followed_to_its_head_whatever_the_marks() {
        let links = Words(vec![[link(1), link(2)], [link(2) | 1, 7], [link(0) | 2, 6]]);
        assert_eq!(objects(&links), (vec![link(2), link(3)], Ok(2)));
        assert_eq!(objects(&Words(vec![[BASE, BASE]])), (vec![], Ok(0)));
    }

    #[test]
    fn a_ring_that_misses_its_head_ends() {
        let open = Err(GcError::Open { head: BASE });
        assert_eq!(objects(&Words(vec![[link(1), 0], [link(2), 0], [link(1), 0]])).1, open);
        assert_eq!(objects(&Words(vec![[link(1), 0], [0, 0]])).1, open);
        let unmapped = Err(GcError::Read(ReadError::Unmapped { address: 0x9000, length: 8 }));
        assert_eq!(objects(&Words(vec![[0x9000, 0]])).1, unmapped);
    }

    #[test]
    fn links_of_an_object_lead_back_or_are_none() {
        let lead_back =
            |links: &Words, index| Links::of(links, link(index) + HEAD_SIZE).lead_back(links);
        let ring = Words(vec![[link(1), link(2)], [link(2) | 1, link(0) | 2], [link(0), 7 << 2]]);
        assert!(lead_back(&ring, 1) && lead_back(&ring, 2));
        let none = Words(vec![[0, 1], [0, link(0)], [0x7272, 0x7272]]);
        assert!(lead_back(&none, 0) && !lead_back(&none, 1) && !lead_back(&none, 2));
    }

    #[test]
    fn a_link_half_made_is_noticed() {
        let whole = [[link(1), link(2)], [link(2), link(0)], [link(0), link(1)]];
        assert_eq!(ends_meet(&Words(whole.to_vec()), BASE), Ok(true));
        assert_eq!(ends_meet(&Words(vec![[BASE, BASE]]), BASE), Ok(true));
        // The new last link is reachable, but does not point to the next one yet.
        let mut half = whole;
        half[2][0] = 0;
        assert_eq!(ends_meet(&Words(half.to_vec()), BASE), Ok(false));
        // The head already points to the new last link, but no other link does yet.
        let mut half = whole;
        half[1][0] = link(0);
        assert_eq!(ends_meet(&Words(half.to_vec()), BASE), Ok(false));
    }
}
