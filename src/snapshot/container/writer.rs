//! Writing a file, column by column.
//!
//! Columns are filled independently, several at a time if need be, and compressed as they fill, so only
//! compressed blocks wait to be written. The file is a [`PrivateFile`], synced to the disk before it gets its name. A
//! writer that is dropped leaves nothing behind.

use std::fmt;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::{Xxh3, xxh3_64};
use zstd::bulk::Compressor;

use super::error::FileError;
use super::layout::{BLOCK, BLOCK_HEAD, Encoding, Entry, LONGEST_NAME, directory, head, tail};
use super::varint;
use crate::private_file::{PrivateFile, resolve};

/// The effort of the codec: at this level it compresses several hundred megabytes a second.
const LEVEL: i32 = 1;

/// A column that is being filled.
pub struct Column {
    name: &'static str,
    encoding: Encoding,
    count: u64,
    decoded: u64,
    /// The previous number, from which the next is a difference.
    previous: u64,
    /// The block being filled.
    block: Vec<u8>,
    /// The full blocks, compressed.
    blocks: Vec<u8>,
    compressor: Compressor<'static>,
}

impl Column {
    /// An empty column.
    ///
    /// # Errors
    /// There is no memory for the codec.
    pub fn new(name: &'static str, encoding: Encoding) -> Result<Column, FileError> {
        debug_assert!(name.len() <= LONGEST_NAME);
        Ok(Column {
            name,
            encoding,
            count: 0,
            decoded: 0,
            previous: 0,
            block: Vec::new(),
            blocks: Vec::new(),
            compressor: Compressor::new(LEVEL)?,
        })
    }

    /// A column of these numbers.
    ///
    /// # Errors
    /// There is no memory for the codec.
    pub fn of(
        name: &'static str,
        encoding: Encoding,
        numbers: impl IntoIterator<Item = u64>,
    ) -> Result<Column, FileError> {
        let mut column = Column::new(name, encoding)?;
        for number in numbers {
            column.push(number)?;
        }
        Ok(column)
    }

    /// Appends a number.
    ///
    /// # Errors
    /// The codec has no memory.
    #[inline]
    pub fn push(&mut self, number: u64) -> Result<(), FileError> {
        let written = match self.encoding {
            Encoding::Differences => varint::difference(self.previous, number),
            _ => number,
        };
        self.previous = number;
        varint::write(written, &mut self.block);
        self.count += 1;
        match self.block.len() > BLOCK - varint::LONGEST {
            true => self.end_block(),
            false => Ok(()),
        }
    }

    /// Appends bytes.
    ///
    /// # Errors
    /// The codec has no memory.
    pub fn extend(&mut self, bytes: &[u8]) -> Result<(), FileError> {
        self.count += bytes.len() as u64;
        let mut rest = bytes;
        while !rest.is_empty() {
            let room = BLOCK.saturating_sub(self.block.len()).min(rest.len());
            let (now, later) = rest.split_at(room);
            self.block.extend_from_slice(now);
            rest = later;
            if self.block.len() >= BLOCK {
                self.end_block()?;
            }
        }
        Ok(())
    }

    /// Compresses the block.
    fn end_block(&mut self) -> Result<(), FileError> {
        let start = self.blocks.len();
        let room = BLOCK_HEAD + zstd::zstd_safe::compress_bound(self.block.len());
        self.blocks.resize(start + room, 0);
        let (_, place) = self.blocks.split_at_mut(start);
        let (head, place) = place.split_at_mut(BLOCK_HEAD);
        let length = self.compressor.compress_to_buffer(&self.block, place)?;
        let (decoded, stored) = head.split_at_mut(4);
        decoded.copy_from_slice(&(self.block.len() as u32).to_le_bytes());
        stored.copy_from_slice(&(length as u32).to_le_bytes());
        self.blocks.truncate(start + BLOCK_HEAD + length);
        self.decoded += self.block.len() as u64;
        self.block.clear();
        Ok(())
    }
}

impl fmt::Debug for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Column").field("name", &self.name).field("count", &self.count).finish()
    }
}

/// Writes a file.
#[derive(Debug)]
pub struct Writer {
    path: PathBuf,
    out: BufWriter<PrivateFile>,
    written: u64,
    entries: Vec<Entry>,
}

impl Writer {
    /// Starts a file that will have this name.
    ///
    /// # Errors
    /// The file cannot be created.
    pub fn create(path: &Path) -> Result<Writer, FileError> {
        let file = PrivateFile::create(path)?;
        let out = BufWriter::with_capacity(BLOCK, file);
        let mut writer = Writer { path: resolve(path)?, out, written: 0, entries: Vec::new() };
        writer.put(&head())?;
        Ok(writer)
    }

    /// Writes a column.
    ///
    /// # Errors
    /// The disk is full, or cannot be written.
    pub fn add(&mut self, mut column: Column) -> Result<(), FileError> {
        if !column.block.is_empty() {
            column.end_block()?;
        }
        let start = self.written;
        self.put(&column.blocks)?;
        self.entries.push(Entry {
            name: column.name.to_owned(),
            encoding: column.encoding,
            count: column.count,
            decoded: column.decoded,
            place: start..self.written,
            checksum: xxh3_64(&column.blocks),
        });
        Ok(())
    }

    /// Writes a column of these numbers.
    ///
    /// # Errors
    /// The disk is full, or cannot be written.
    pub fn numbers(
        &mut self,
        name: &'static str,
        encoding: Encoding,
        numbers: impl IntoIterator<Item = u64>,
    ) -> Result<(), FileError> {
        self.add(Column::of(name, encoding, numbers)?)
    }

    /// Writes a column of these bytes.
    ///
    /// # Errors
    /// The disk is full, or cannot be written.
    pub fn bytes(&mut self, name: &'static str, bytes: &[u8]) -> Result<(), FileError> {
        let mut column = Column::new(name, Encoding::Bytes)?;
        column.extend(bytes)?;
        self.add(column)
    }

    /// Ends the file and gives it its name. Returns its length in bytes.
    ///
    /// # Errors
    /// The disk is full, or cannot be written.
    pub fn finish(mut self) -> Result<u64, FileError> {
        let directory = directory(&self.entries);
        let mut checksum = Xxh3::new();
        checksum.update(&head());
        checksum.update(&directory);
        let (start, length) = (self.written, directory.len() as u64);
        self.put(&directory)?;
        self.put(&tail(start, length, checksum.digest()))?;
        let file = self.out.into_inner().map_err(io::IntoInnerError::into_error)?;
        match file.as_file().sync_all() {
            // A pipe or a device.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {}
            synced => synced?,
        }
        file.finish()?;
        // Makes the new name survive a crash. Not every file system can sync a folder.
        if let Some(Ok(folder)) = self.path.parent().map(File::open) {
            let _ = folder.sync_all();
        }
        Ok(self.written)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), FileError> {
        self.out.write_all(bytes)?;
        self.written += bytes.len() as u64;
        Ok(())
    }
}
