//! Reading much of a process's memory without changing what it shares.
//!
//! `process_vm_readv` pins the pages that it reads. The kernel pins no anonymous page that several processes share
//! since one was forked: it first gives the target a copy of its own (`gup_must_unshare`, Linux 5.19 and later), so
//! reading a worker would take as much memory as the worker shares. Reads of `/proc/PID/mem` do not pin.

use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::FileExt;

use super::handle::{Piece, Process};
use crate::memory::{Memory, PAGE, ReadError};

/// The least dirty memory that a process shares, in bytes, for which it is read in the other way.
const LEAST_SHARED: u64 = 1 << 20;

/// A process whose memory is read in large parts.
#[derive(Debug)]
pub struct Bulk<'a> {
    process: &'a Process,
    /// `/proc/PID/mem`, if the process shares memory.
    unpinned: Option<File>,
}

impl Process {
    /// Prepares for reading large parts.
    pub fn bulk(&self) -> Bulk<'_> {
        let shares = self.shared_dirty().is_ok_and(|bytes| bytes >= LEAST_SHARED);
        let open = || File::open(format!("/proc/{}/mem", self.pid())).ok();
        Bulk { process: self, unpinned: shares.then(open).flatten() }
    }
}

impl Bulk<'_> {
    /// Reads many pieces, and returns the number of bytes read. Pages that cannot be read are left out, and their
    /// part of the buffer stays unchanged.
    pub fn read_pieces(&self, pieces: &mut [Piece<'_>]) -> Result<u64, ReadError> {
        match &self.unpinned {
            Some(file) => pieces.iter_mut().map(|piece| read_piece(file, piece)).sum(),
            None => self.process.read_pieces(pieces),
        }
    }
}

impl Memory for Bulk<'_> {
    fn read(&self, address: u64, buffer: &mut [u8]) -> Result<(), ReadError> {
        let length = buffer.len();
        match self.read_pieces(&mut [Piece { address, buffer }])? {
            read if read == length as u64 => Ok(()),
            _ => Err(ReadError::Unmapped { address, length }),
        }
    }
}

fn read_piece(file: &File, piece: &mut Piece<'_>) -> Result<u64, ReadError> {
    let mut skipped = 0;
    let mut total = 0;
    while let Some(rest) = piece.buffer.get_mut(skipped..).filter(|rest| !rest.is_empty()) {
        let address = piece.address.wrapping_add(skipped as u64);
        match file.read_at(rest, address) {
            // What the kernel says of an address space that is gone.
            Ok(0) => return Err(ReadError::Ended),
            Ok(read) => {
                skipped += read;
                total += read as u64;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if matches!(error.raw_os_error(), Some(libc::EIO | libc::EFAULT)) => {
                skipped += (PAGE - address % PAGE) as usize;
            }
            Err(_) => return Err(ReadError::Denied),
        }
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    use memmap2::MmapMut;

    use super::*;

    #[test]
    fn both_ways_read_the_same_and_leave_out_what_is_not_there() {
        let mut mapping = MmapMut::map_anon(3 * PAGE as usize).expect("memory is there");
        mapping.fill(7);
        let start = mapping.as_ptr() as u64;
        let process = Process::open(std::process::id() as i32).expect("our own");
        let ways = [None, File::open("/proc/self/mem").ok()];
        for unpinned in ways {
            let bulk = Bulk { process: &process, unpinned };
            let mut buffer = vec![0; 2 * PAGE as usize];
            assert_eq!(bulk.read(start + 5, &mut buffer), Ok(()));
            assert!(buffer.iter().all(|&byte| byte == 7));
            // No program has anything at its first pages.
            let mut pieces = [Piece { address: PAGE, buffer: &mut buffer }];
            assert_eq!(bulk.read_pieces(&mut pieces), Ok(0));
        }
    }
}
