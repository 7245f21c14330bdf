//! The hash tables of tracemalloc (`_Py_hashtable_t`), walked with care.
//!
//! A table states its numbers of entries and buckets; an entry's hash says which bucket it belongs in.
//! Because all three are checked, no entry is visited twice, so a walk is bounded by the memory that the
//! target really has.

use super::TracesError;
use crate::memory::{Memory, ReadError, u64_at};
use crate::python::at;
use crate::python::layout::{HashEntry, HashTable};
use crate::python::links::RingGuard;

/// The most buckets that a table can have.
const MOST_BUCKETS: u64 = 1 << 31;
/// The fewest buckets (`HASHTABLE_MIN_SIZE`, Python/hashtable.c).
const FEWEST_BUCKETS: u64 = 16;
/// Bytes of a table that are read.
const TABLE_SIZE: usize = 80;
/// Bytes of buckets that are read at once.
const PIECE: usize = 4096;
/// Bytes of a key that is an address, and of one that is {address, u32 domain}, which is packed (3.8).
const ADDRESS_SIZE: u64 = 8;
const DOMAIN_KEY_SIZE: u64 = 12;
/// Bytes of a trace {size, traceback}.
const TRACE_SIZE: u64 = 16;

/// Where tracemalloc's tables are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tables {
    /// The table of traces of the interpreter's own blocks (in 3.8: of all blocks).
    pub traces: u64,
    /// The table that maps other domains to their tables of traces (from 3.9 on).
    pub domains: Option<u64>,
    /// tracemalloc's own sum of all traced sizes, in bytes, where it is known.
    pub traced_memory: Option<u64>,
}

/// A `_Py_hashtable_t`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Table {
    /// The number of entries that it claims to have.
    pub entries: u64,
    /// The functions that determine the kind of table.
    pub functions: [u64; 7],
    layout: HashTable,
    buckets: u64,
    first_bucket: u64,
    key_size: u64,
}

/// An entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// The key: an address, or a domain's number.
    pub key: u64,
    /// The domain, where the key has one (3.8).
    pub domain: u32,
    /// The value, or its address where it is inside the entry (3.8).
    pub value: u64,
}

impl Table {
    /// Reads a table's head; an error if it is not a table.
    pub fn read<M: Memory>(
        memory: &M,
        layout: &HashTable,
        address: u64,
    ) -> Result<Table, TracesError> {
        let head: [u8; TABLE_SIZE] = memory.array(address)?;
        let word = |offset| u64_at(&head, offset).unwrap_or_default();
        let mut functions = [0; 7];
        for (index, function) in functions.iter_mut().enumerate().take(layout.function_count) {
            *function = word(layout.functions + 8 * index);
        }
        let (key_size, value_size) = match layout.entry {
            HashEntry::Inside { key_size, .. } => (word(key_size), word(key_size + 8)),
            HashEntry::Words { .. } => (ADDRESS_SIZE, TRACE_SIZE),
        };
        let table = Table {
            entries: word(layout.entry_count),
            functions,
            layout: *layout,
            buckets: word(layout.bucket_count),
            first_bucket: word(layout.buckets),
            key_size,
        };
        // It grows when it is half full.
        let plausible = table.buckets.is_power_of_two()
            && (FEWEST_BUCKETS..=MOST_BUCKETS).contains(&table.buckets)
            && table.entries <= table.buckets
            && table.first_bucket != 0
            && table.first_bucket.is_multiple_of(8)
            && matches!(key_size, ADDRESS_SIZE | DOMAIN_KEY_SIZE)
            && value_size == TRACE_SIZE;
        plausible.then_some(table).ok_or(TracesError::Torn("a table has an impossible head"))
    }

    /// Calls `each` with every entry, until one call fails. It is an error if there are not as many entries
    /// as the table says, or one is in the wrong bucket.
    pub fn for_each<M: Memory>(
        &self,
        memory: &M,
        mut each: impl FnMut(Entry) -> Result<(), TracesError>,
    ) -> Result<(), TracesError> {
        let mut count = 0;
        let mut heads = [0; PIECE];
        let mut bucket = 0;
        while bucket < self.buckets {
            let here = (self.buckets - bucket).min((PIECE / 8) as u64);
            let heads = heads.get_mut(..8 * here as usize).unwrap_or_default();
            memory.read(self.first_bucket.wrapping_add(8 * bucket), heads)?;
            for head in heads.as_chunks::<8>().0 {
                let mut guard = RingGuard::default();
                let mut next = u64::from_le_bytes(*head);
                while next != 0 {
                    let address = next;
                    let (hash, entry);
                    (next, hash, entry) = self.entry(memory, address)?;
                    if hash & (self.buckets - 1) != bucket {
                        return Err(TracesError::Torn("an entry is in the bucket of others"));
                    }
                    if guard.closes_at(address) || count == self.entries {
                        return Err(TracesError::Torn("a table has more entries than it says"));
                    }
                    count += 1;
                    each(entry)?;
                }
                bucket += 1;
            }
        }
        let all = count == self.entries;
        all.then_some(()).ok_or(TracesError::Torn("a table has fewer entries than it says"))
    }

    /// The address of the next entry, the hash of this one, and the entry.
    fn entry<M: Memory>(&self, memory: &M, address: u64) -> Result<(u64, u64, Entry), ReadError> {
        let entry: [u64; 4] = words(memory, address)?;
        let word = |offset: usize| entry.get(offset / 8).copied().unwrap_or_default();
        let entry = match self.layout.entry {
            HashEntry::Words { key, value } => {
                Entry { key: word(key), domain: 0, value: word(value) }
            }
            HashEntry::Inside { key, .. } => Entry {
                key: word(key),
                domain: if self.key_size == ADDRESS_SIZE { 0 } else { word(key + 8) as u32 },
                value: at(address, key).wrapping_add(self.key_size),
            },
        };
        Ok((word(0), word(8), entry))
    }
}

/// `N` words, at most four.
pub fn words<const N: usize, M: Memory>(memory: &M, address: u64) -> Result<[u64; N], ReadError> {
    let mut buffer = [0; 32];
    let bytes = match memory.lend(address, 8 * N) {
        Some(bytes) => bytes,
        None => {
            let buffer = buffer.get_mut(..8 * N).unwrap_or_default();
            memory.read(address, buffer)?;
            buffer
        }
    };
    let mut words = [0; N];
    for (word, bytes) in words.iter_mut().zip(bytes.as_chunks::<8>().0) {
        *word = u64::from_le_bytes(*bytes);
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::python::layout::v3_9::LAYOUT;

    /// Words from the address 0x1000 on: a table of 16 buckets, the buckets, and entries of four words.
    struct Words(Vec<u64>);

    const BASE: u64 = 0x1000;
    const BUCKETS: u64 = BASE + 80;
    const ENTRIES: u64 = BUCKETS + 16 * 8;

    impl Memory for Words {
        fn read(&self, address: u64, buffer: &mut [u8]) -> Result<(), ReadError> {
            let error = ReadError::Unmapped { address, length: buffer.len() };
            let bytes: Vec<u8> = self.0.iter().flat_map(|word| word.to_le_bytes()).collect();
            let start = address.checked_sub(BASE).ok_or(error)? as usize;
            let end = start.checked_add(buffer.len()).ok_or(error)?;
            buffer.copy_from_slice(bytes.get(start..end).ok_or(error)?);
            Ok(())
        }
    }

    /// A table that claims to have this many entries, with these {bucket, next, hash}.
    fn table(claimed: u64, entries: &[(usize, u64, u64)]) -> Words {
        let mut words = vec![claimed, 16, BUCKETS, 0, 0, 0, 0, 0, 0, 0];
        words.extend([0; 16]);
        for (number, &(bucket, next, hash)) in entries.iter().enumerate() {
            if let Some(head) = words.get_mut(10 + bucket) {
                *head = entry(number as u64);
            }
            words.extend([next, hash, 100 + number as u64, 200 + number as u64]);
        }
        Words(words)
    }

    fn entry(number: u64) -> u64 {
        ENTRIES + 32 * number
    }

    /// The keys and values of all entries.
    fn walked(memory: &Words) -> Result<Vec<(u64, u64)>, TracesError> {
        let mut found = Vec::new();
        Table::read(memory, &LAYOUT.tracemalloc.table, BASE)?.for_each(memory, |entry| {
            found.push((entry.key, entry.value));
            Ok(())
        })?;
        Ok(found)
    }

    #[test]
    fn all_entries_are_found_whatever_their_chains() {
        // The last entry given for a bucket is its head.
        let memory = table(3, &[(3, 0, 0x13), (3, entry(0), 0xff03), (15, 0, 15)]);
        assert_eq!(walked(&memory), Ok(vec![(101, 201), (100, 200), (102, 202)]));
        assert_eq!(walked(&table(0, &[])), Ok(vec![]));
    }

    #[test]
    fn what_does_not_agree_with_itself_is_torn() {
        let torn = |memory: &Words| matches!(walked(memory), Err(TracesError::Torn(_)));
        assert!(torn(&table(2, &[(3, 0, 3)])), "fewer entries");
        assert!(torn(&table(1, &[(3, 0, 3), (4, 0, 4)])), "more entries");
        assert!(torn(&table(1, &[(3, 0, 4)])), "another bucket");
        assert!(torn(&table(9, &[(3, entry(0), 3)])), "a ring");
        let mut odd = table(1, &[(3, 0, 3)]);
        odd.0[1] = 17;
        assert!(torn(&odd), "no power of two");
        let unmapped = ReadError::Unmapped { address: 0x90, length: 32 };
        assert_eq!(walked(&table(2, &[(3, 0x90, 3)])), Err(unmapped.into()));
    }
}
