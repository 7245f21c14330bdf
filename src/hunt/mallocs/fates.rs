//! What has become of the blocks of each stack, which decides how its next calls are followed.
//!
//! A step of a program may make hundreds of blocks that live until it ends, and one that stays. Watching a block
//! takes as long as it lives, so watching them all would leave no time for the one. The more blocks of a stack have
//! been seen freed, the more of its calls pass; what is followed then stands for those. A stack whose blocks have
//! always stayed is not watched any more: the calls after it would be missed, and those that come first in a step
//! would seem to be the most.

use std::collections::VecDeque;
use std::hash::{Hash, Hasher};

use rustc_hash::{FxHashMap, FxHasher};

use crate::python::RawFrame;

/// The most calls of which one is followed.
const THINNEST: u32 = 50;
/// A stack is known to keep its blocks after so many.
const KEPT: u32 = 3;
/// The most stacks that are known, and blocks that are checked again.
const MOST_STACKS: usize = 10_000;
const MOST_BLOCKS: usize = 64;

/// A stack together with the size that it asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Site(u64);

impl Site {
    /// That of a call.
    pub fn of(frames: &[RawFrame], bytes: u64) -> Site {
        let mut hasher = FxHasher::default();
        for frame in frames {
            (frame.code, frame.instruction).hash(&mut hasher);
        }
        bytes.hash(&mut hasher);
        Site(hasher.finish())
    }
}

/// What has become of the blocks of one site.
#[derive(Debug, Clone, Copy, Default)]
struct Fate {
    freed: u32,
    kept: u32,
}

/// What has become of the blocks of each site.
#[derive(Debug, Default)]
pub(crate) struct Fates {
    sites: FxHashMap<Site, Fate>,
    /// Blocks that had not been freed for as long as they were watched: site, block and the size of its chunk.
    kept: VecDeque<(Site, u64, u64)>,
}

impl Fates {
    /// How many calls of a site one that is followed stands for.
    pub fn stands_for(&self, site: Site) -> u32 {
        self.sites.get(&site).map_or(1, |fate| fate.freed.clamp(1, THINNEST))
    }

    /// Whether all blocks of this site that were watched have stayed, and they were enough.
    pub fn stay(&self, site: Site) -> bool {
        self.sites.get(&site).is_some_and(|fate| fate.freed == 0 && fate.kept >= KEPT)
    }

    /// A block of this site was freed.
    pub fn freed(&mut self, site: Site) {
        if let Some(fate) = self.fate(site) {
            fate.freed = fate.freed.saturating_add(1);
        }
    }

    /// A block of this site has not been freed so far.
    pub fn kept(&mut self, site: Site, block: u64, chunk: u64) {
        if let Some(fate) = self.fate(site) {
            fate.kept = fate.kept.saturating_add(1);
        }
        if self.kept.len() >= MOST_BLOCKS {
            self.kept.pop_front();
        }
        self.kept.push_back((site, block, chunk));
    }

    /// Checks blocks that had been kept. `is_in_use` says whether such a block is there.
    pub fn check(&mut self, is_in_use: impl Fn(u64, u64) -> bool) {
        for (site, block, chunk) in std::mem::take(&mut self.kept) {
            match is_in_use(block, chunk) {
                true => self.kept.push_back((site, block, chunk)),
                false => self.freed(site),
            }
        }
    }

    fn fate(&mut self, site: Site) -> Option<&mut Fate> {
        if self.sites.len() >= MOST_STACKS && !self.sites.contains_key(&site) {
            return None;
        }
        Some(self.sites.entry(site).or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sites_whose_blocks_are_freed_are_followed_less_often() {
        let frame = |instruction| RawFrame { code: 1, instruction, generator: false };
        let (temporary, leak) = (Site::of(&[frame(2)], 8), Site::of(&[frame(4)], 8));
        assert_ne!(temporary, Site::of(&[frame(2)], 16));
        let mut fates = Fates::default();
        for _ in 0..5 {
            fates.freed(temporary);
        }
        (0..KEPT).for_each(|_| fates.kept(leak, 100, 32));
        fates.kept(temporary, 200, 32);
        fates.check(|block, _| block == 100);
        assert_eq!([temporary, leak].map(|site| fates.stands_for(site)), [6, 1]);
        assert_eq!([temporary, leak].map(|site| fates.stay(site)), [false, true]);
        for _ in 0..100 {
            fates.freed(temporary);
        }
        assert_eq!(fates.stands_for(temporary), THINNEST);
        assert_eq!(fates.kept.len(), KEPT as usize);
    }
}
