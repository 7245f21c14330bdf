//! Memory that a capture leaves out, because nothing in it is needed to find and describe Python's objects: the
//! bodies of arrays, strings and byte strings, and the blocks of native code.
//!
//! Every word of a page outside pymalloc's arenas is examined before the pause. A page is *needed* if a word is
//! an address in memory that surely is Python's: an arena, or the data of a program's file. Every object with
//! a built-in type has one in its header, and nearly every table or list of objects has one among its items.
//! Pages that only lead to other blocks are needed if they lead to a large object, which has been found by its
//! header. Numbers, text and the nodes of native data structures are none of these.
//!
//! This is a prediction, made while the target runs. A capture notes what was needed all the same
//! ([`Capture::missed`](super::copy::Capture::missed)), and is then taken again with that memory.

use std::mem;
use std::ops::Range;
use std::panic::resume_unwind;
use std::sync::{Mutex, PoisonError};
use std::thread;

use rustc_hash::{FxHashMap, FxHashSet};

use super::regions::{Region, without};
use crate::memory::{PAGE, ReadError, u64_at};
use crate::process::{Bulk, PageMap, Piece};
use crate::python::objects::can_be_reference_count;

/// The fewest occupied bytes outside Python's own memory that are worth an examination.
const LEAST: u64 = 512 << 10;
/// The fewest pages in a row that are left out: copying a page costs no more than going round it.
const FEWEST_PAGES: u64 = 4;
/// Pages that were never touched are left out like others from this many in a row on.
const UNTOUCHED_PAGES: u64 = 1024;
/// Bytes that are examined at a time.
const PART: u64 = 1 << 20;
/// Addresses are looked up without this many low bits: one entry per megabyte.
const GRANULE_BITS: u32 = 20;
/// The most large objects that are remembered.
const MOST_OBJECTS: usize = 2 << 20;
/// Some references have flags in their lowest bits.
const MARKS: u64 = 7;
/// Where the addresses of user space end.
const HIGHEST: u64 = 1 << 47;
/// Blocks of malloc are aligned to this many bytes.
const ALIGNMENT: usize = 16;

/// What is in the memory of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// An arena of Python's allocator, or the data of a program.
    Python,
    /// Anonymous memory of other use.
    Anonymous,
    /// More than one of these.
    Mixed,
}

/// Which memory is surely Python's, and which is to be examined.
#[derive(Debug)]
pub(super) struct Places {
    granules: FxHashMap<u64, Kind>,
    /// In order of address.
    python: Vec<Range<u64>>,
    others: Vec<Region>,
    /// Whether Python's small objects are in arenas; otherwise they can be anywhere.
    has_arenas: bool,
}

/// What an examination shows of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Page {
    /// It has not been examined.
    Unknown,
    Needed,
    /// It leads to anonymous memory only.
    Leading,
    /// It leads nowhere.
    Plain,
}

impl Places {
    /// Sorts the regions of a process by use. `python` are arenas and programs' data, in order of address.
    pub fn new(regions: &[Region], arenas: &[Range<u64>], mut python: Vec<Range<u64>>) -> Places {
        python.extend_from_slice(arenas);
        python.extend(regions.iter().filter(|it| !it.anonymous).map(|it| it.range.clone()));
        python.sort_unstable_by_key(|range| range.start);
        python.dedup_by(|next, last| {
            let overlaps = next.start <= last.end;
            if overlaps {
                last.end = last.end.max(next.end);
            }
            overlaps
        });
        let anonymous = regions.iter().filter(|region| region.anonymous).cloned().collect();
        let others = without(anonymous, &python);
        let mut granules = FxHashMap::default();
        let mut add = |range: &Range<u64>, kind: Kind| {
            let first = range.start >> GRANULE_BITS;
            let last = range.end.saturating_sub(1) >> GRANULE_BITS;
            for granule in first..=last {
                let old = granules.entry(granule).or_insert(kind);
                if *old != kind {
                    *old = Kind::Mixed;
                }
            }
        };
        python.iter().for_each(|range| add(range, Kind::Python));
        others.iter().for_each(|region| add(&region.range, Kind::Anonymous));
        Places { granules, python, others, has_arenas: !arenas.is_empty() }
    }

    /// What is at this address.
    #[inline]
    fn at(&self, address: u64) -> Option<Kind> {
        // Zero and small numbers are frequent.
        if !(PAGE..HIGHEST).contains(&address) {
            return None;
        }
        match self.granules.get(&(address >> GRANULE_BITS))? {
            Kind::Mixed => {
                let after = self.python.partition_point(|range| range.end <= address);
                let is_python = self.python.get(after).is_some_and(|it| it.contains(&address));
                Some(if is_python { Kind::Python } else { Kind::Anonymous })
            }
            kind => Some(*kind),
        }
    }

    #[inline]
    fn is_python(&self, address: u64) -> bool {
        self.at(address) == Some(Kind::Python)
    }

    /// What a page leads to.
    fn examine(&self, page: &[u8]) -> Page {
        let mut result = Page::Plain;
        for word in words(page) {
            match self.at(word & !MARKS) {
                Some(Kind::Python) => return Page::Needed,
                Some(_) => result = Page::Leading,
                None => {}
            }
        }
        match result {
            Page::Leading if !self.has_arenas => Page::Needed,
            result => result,
        }
    }

    /// Calls `each` with the addresses at which an object seems to begin: a reference count, and a type.
    fn objects(&self, start: u64, page: &[u8], mut each: impl FnMut(u64)) {
        for (place, head) in (start..).step_by(ALIGNMENT).zip(page.as_chunks::<ALIGNMENT>().0) {
            let [count, kind] = [0, 8].map(|at| u64_at(head, at).unwrap_or_default());
            if can_be_reference_count(count) && self.is_python(kind) {
                each(place);
            }
        }
    }
}

fn words(page: &[u8]) -> impl Iterator<Item = u64> {
    page.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word))
}

/// The occupied pages of a region, and what they are found to be.
#[derive(Debug)]
struct Examined {
    region: Range<u64>,
    /// In order of address.
    pages: Vec<(u64, Page)>,
}

/// All memory outside Python's own, as far as it has been examined.
#[derive(Debug, Default)]
pub(super) struct Examination {
    /// In order of address.
    regions: Vec<Examined>,
    /// Where large objects seem to begin, and the pages of these addresses.
    objects: FxHashSet<u64>,
    with_objects: FxHashSet<u64>,
}

impl Examination {
    /// Examines the pages that have not been yet. A second time this takes much less, so that hardly any memory
    /// is new when the target is paused.
    pub fn update(
        &mut self,
        memory: &Bulk<'_>,
        map: &PageMap,
        places: &Places,
    ) -> Result<(), ReadError> {
        let before = mem::take(&mut self.regions);
        let mut known = before.iter().flat_map(|region| &region.pages).peekable();
        let mut occupied = 0;
        for Region { range, .. } in &places.others {
            let mut runs = Vec::new();
            if map.occupied(range.clone(), &mut runs).is_err() {
                // It has been unmapped.
                continue;
            }
            occupied += runs.iter().map(|run| run.end - run.start).sum::<u64>();
            let pages = runs.into_iter().flat_map(|run| run.step_by(PAGE as usize));
            let pages = pages.map(|page| {
                while known.next_if(|known| known.0 < page).is_some() {}
                let known = known.next_if(|known| known.0 == page);
                (page, known.map_or(Page::Unknown, |known| known.1))
            });
            let pages = pages.collect();
            self.regions.push(Examined { region: range.clone(), pages });
        }
        if occupied < LEAST {
            self.regions.clear();
            return Ok(());
        }
        let is_new = |page: Page| page == Page::Unknown;
        let objects = in_parts(memory, &mut self.regions, is_new, &|at, bytes, page, objects| {
            *page = places.examine(bytes);
            if *page == Page::Needed && objects.len() < MOST_OBJECTS {
                places.objects(at, bytes, |object| objects.push(object));
            }
        })?;
        self.with_objects.extend(objects.iter().map(|object| object / PAGE));
        self.objects.extend(objects);
        let (objects, with_objects) = (&self.objects, &self.with_objects);
        let leads_to_object = |word: u64| {
            let address = word & !MARKS;
            with_objects.contains(&(address / PAGE)) && objects.contains(&address)
        };
        let is_leading = |page: Page| page == Page::Leading;
        in_parts(memory, &mut self.regions, is_leading, &|_, bytes, page, _| {
            let leads = words(bytes).any(leads_to_object);
            *page = if leads { Page::Needed } else { Page::Plain };
        })?;
        Ok(())
    }

    /// The memory that a capture can leave out: ranges of whole pages, in order of address.
    pub fn left_out(&self) -> Vec<Range<u64>> {
        self.regions.iter().flat_map(Examined::left_out).collect()
    }
}

/// What is done with a page: its address, its bytes, the verdict on it, and what is collected.
type Each<'a> = dyn Fn(u64, &[u8], &mut Page, &mut Vec<u64>) + Sync + 'a;

/// Reads the wanted pages and calls `each` with the address, the bytes and the verdict of each, in two threads.
/// Returns what was collected.
fn in_parts(
    memory: &Bulk<'_>,
    examined: &mut [Examined],
    is_wanted: impl Fn(Page) -> bool,
    each: &Each<'_>,
) -> Result<Vec<u64>, ReadError> {
    let pages = examined.iter_mut().flat_map(|region| &mut region.pages);
    let mut pages: Vec<&mut (u64, Page)> = pages.filter(|page| is_wanted(page.1)).collect();
    let parts = Mutex::new(pages.chunks_mut((PART / PAGE) as usize));
    let work = || -> Result<Vec<u64>, ReadError> {
        let mut collected = Vec::new();
        let mut buffer = vec![0; PART as usize];
        let next = || parts.lock().unwrap_or_else(PoisonError::into_inner).next();
        while let Some(part) = next() {
            let mut pieces: Vec<Piece<'_>> = Vec::new();
            let mut rest = buffer.as_mut_slice();
            for run in part.chunk_by(|page, next| page.0 + PAGE == next.0) {
                let (buffer, behind) = rest.split_at_mut(run.len() * PAGE as usize);
                pieces.extend(run.first().map(|page| Piece { address: page.0, buffer }));
                rest = behind;
            }
            memory.read_pieces(&mut pieces)?;
            for (page, bytes) in part.iter_mut().zip(buffer.chunks_exact(PAGE as usize)) {
                each(page.0, bytes, &mut page.1, &mut collected);
            }
        }
        Ok(collected)
    };
    thread::scope(|scope| {
        let other = scope.spawn(work);
        let mut all = work()?;
        all.extend(other.join().unwrap_or_else(|panic| resume_unwind(panic))?);
        Ok(all)
    })
}

impl Examined {
    /// The runs of pages that are not needed. Untouched pages belong to them where they are between such
    /// pages, or very many.
    fn left_out(&self) -> Vec<Range<u64>> {
        let mut found: Vec<Range<u64>> = Vec::new();
        let mut add = |run: Range<u64>| match found.last_mut() {
            Some(last) if last.end == run.start => last.end = run.end,
            _ => found.push(run),
        };
        let mut end = self.region.start;
        let mut was_left_out = false;
        for &(page, verdict) in &self.pages {
            let is_left_out = verdict == Page::Plain;
            let untouched = end..page;
            let is_between = is_left_out && was_left_out;
            if page > end && (is_between || (page - end) / PAGE >= UNTOUCHED_PAGES) {
                add(untouched);
            }
            if is_left_out {
                add(page..page + PAGE);
            }
            end = page + PAGE;
            was_left_out = is_left_out;
        }
        if self.region.end.saturating_sub(end) / PAGE >= UNTOUCHED_PAGES {
            add(end..self.region.end);
        }
        found.retain(|run| (run.end - run.start) / PAGE >= FEWEST_PAGES);
        found
    }
}
