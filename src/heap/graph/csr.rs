//! Rows of different lengths in two arrays (*compressed sparse rows*): all items, row after row, and where
//! each row starts.
//!
//! Rows are appended one by one, or built from pairs of row and item in two passes: the first
//! [counts](Counts), the second [fills](Filling).

use crate::heap::capture::copy::fetch;
use crate::heap::support::huge_vec::filled;

/// Lists of items, one for each row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Csr<T> {
    /// Where each row starts among the items; one more for the end, and perhaps others after it.
    starts: Vec<u32>,
    items: Vec<T>,
}

impl<T> Csr<T> {
    /// No rows, to append some.
    pub fn new() -> Csr<T> {
        Csr { starts: vec![0], items: Vec::new() }
    }

    /// Appends an item to the row under way.
    pub fn push(&mut self, item: T) {
        self.items.push(item);
    }

    /// Ends a row.
    pub fn end_row(&mut self) {
        self.starts.push(self.items.len() as u32);
    }

    /// The number of complete rows.
    pub fn len(&self) -> usize {
        self.starts.len().saturating_sub(1)
    }

    /// The complete rows.
    pub fn rows(&self) -> impl Iterator<Item = &[T]> {
        self.starts.windows(2).map(|pair| match pair {
            [start, end] => self.items.get(*start as usize..*end as usize).unwrap_or_default(),
            _ => &[],
        })
    }

    /// The items of a row; none where there is no such row.
    #[inline]
    pub fn row(&self, row: usize) -> &[T] {
        let place = |index: usize| self.starts.get(index).map(|&start| start as usize);
        let range = place(row).zip(place(row.saturating_add(1)));
        range.and_then(|(start, end)| self.items.get(start..end)).unwrap_or_default()
    }
}

/// The first pass: counts the items of each row.
#[derive(Debug)]
pub(crate) struct Counts {
    /// The length of each row, two places behind its own: the second pass moves the starts by one.
    lengths: Vec<u32>,
}

impl Counts {
    /// This many rows, all empty.
    pub fn new(rows: usize) -> Counts {
        Counts { lengths: filled(0, rows + 2) }
    }

    /// Counts an item of a row.
    #[inline]
    pub fn add(&mut self, row: usize) {
        if let Some(length) = self.lengths.get_mut(row + 2) {
            *length = length.saturating_add(1);
        }
    }

    /// Prefetches the count of a row.
    #[inline]
    pub fn prefetch(&self, row: usize) {
        if let Some(length) = self.lengths.get(row + 2) {
            fetch(length);
        }
    }

    /// Ends the first pass; `blank` fills the places of the items for now.
    pub fn fill<T: Copy>(self, blank: T) -> Filling<T> {
        let mut starts = self.lengths;
        let mut sum = 0_u32;
        for start in &mut starts {
            sum = sum.saturating_add(*start);
            *start = sum;
        }
        Filling(Csr { starts, items: filled(blank, sum as usize) })
    }
}

/// The second pass: puts items in their rows, in the order in which they come.
#[derive(Debug)]
pub(crate) struct Filling<T>(Csr<T>);

impl<T> Filling<T> {
    /// Puts an item in a row. It must have been counted.
    #[inline]
    pub fn put(&mut self, row: usize, item: T) {
        // The end of a row starts out at its beginning and moves with each item: then it is the start of the
        // next row.
        if let Some(end) = self.0.starts.get_mut(row + 1) {
            if let Some(place) = self.0.items.get_mut(*end as usize) {
                *place = item;
            }
            *end = end.saturating_add(1);
        }
    }

    /// Prefetches the end of a row.
    #[inline]
    pub fn prefetch(&self, row: usize) {
        if let Some(end) = self.0.starts.get(row + 1) {
            fetch(end);
        }
    }

    /// Ends the second pass.
    pub fn finish(self) -> Csr<T> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_item_is_in_its_row(pairs in prop::collection::vec((0..9_usize, any::<u8>()), 0..40)) {
            let mut counts = Counts::new(9);
            pairs.iter().for_each(|&(row, _)| counts.add(row));
            let mut filling = counts.fill(0);
            pairs.iter().for_each(|&(row, item)| filling.put(row, item));
            let sorted = filling.finish();
            let mut appended = Csr::new();
            for row in 0..9 {
                let expected: Vec<u8> =
                    pairs.iter().filter(|pair| pair.0 == row).map(|pair| pair.1).collect();
                prop_assert_eq!(sorted.row(row), &*expected);
                expected.into_iter().for_each(|item| appended.push(item));
                appended.end_row();
            }
            prop_assert_eq!(appended.len(), 9);
            for (row, items) in appended.rows().enumerate() {
                prop_assert_eq!(items, sorted.row(row));
                prop_assert_eq!(items, appended.row(row));
            }
            prop_assert!([9, 10, usize::MAX].iter().all(|&row| sorted.row(row).is_empty()));
        }
    }
}
