//! Compressed cores, as systemd-coredump stores them: zstd or lz4.
//!
//! A compressed file is decompressed into a temporary file without a name, since memory is read from it in any
//! order. Runs of zeros take no room there. It never grows beyond what is free on its file system.

use std::env;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;

use lz4_flex::frame::FrameDecoder;
use nix::sys::statvfs::statvfs;
use zstd::stream::read::Decoder;

use super::error::CoreError;

/// Bytes that are decompressed at a time.
const STEP: usize = 1 << 20;
/// Runs of zeros of this length are left out.
const HOLE: usize = 4096;
/// Room that is left on the file system: one part in this many of what is free.
const SPARED: u64 = 16;
/// The most memory that a frame may ask for: `zstd --ultra --long=27`, as a power of two.
const WINDOW: u32 = 27;

/// Formats by their first bytes, and the command for those that leakspy does not decompress.
const OTHERS: [(&[u8], &str, &str); 3] = [
    (b"\xfd7zXZ\0", "xz", "xz -dk FILE"),
    (b"\x1f\x8b", "gzip", "gzip -dk FILE"),
    (b"BZh", "bzip2", "bzip2 -dk FILE"),
];
/// Files that are sometimes taken for cores, and what to do with them.
const KINDS: [(&[u8], &str); 3] = [
    (
        b"MDMP",
        "it is a minidump, which has no heap; let the kernel or gcore write a core (`gcore PID`)",
    ),
    (b"\x89LSPY", "it is a leakspy snapshot, which is given without `--core`"),
    (b"KDUMP", "it is a dump of a kernel"),
];

/// The file itself, or what it contains if it is compressed.
///
/// # Errors
/// It is neither an ELF file nor compressed, or cannot be decompressed.
pub fn unpacked(file: File) -> Result<File, CoreError> {
    let mut start = [0; 16];
    let length = file.read_at(&mut start, 0)?;
    let start = start.get(..length).unwrap_or_default();
    match start {
        [] => return Err(CoreError::NotElf { hint: "it is empty" }),
        [0x7f, b'E', b'L', b'F', ..] => return Ok(file),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => {
            let mut decoder = Decoder::new(file)?;
            decoder.window_log_max(WINDOW)?;
            return copied(decoder);
        }
        [0x04, 0x22, 0x4d, 0x18, ..] => return copied(FrameDecoder::new(BufReader::new(file))),
        _ => {}
    }
    if let Some((_, format, command)) = OTHERS.iter().find(|other| start.starts_with(other.0)) {
        return Err(CoreError::Compressed { format, command });
    }
    let kind = KINDS.iter().find(|kind| start.starts_with(kind.0));
    Err(CoreError::NotElf { hint: kind.map_or("it does not begin as one", |kind| kind.1) })
}

/// A temporary file with everything that `from` gives.
fn copied(mut from: impl Read) -> Result<File, CoreError> {
    let folder = env::temp_dir();
    let mut file = tempfile::tempfile()?;
    let free = statvfs(&folder).map_err(io::Error::from)?;
    let free = free.blocks_available().saturating_mul(free.fragment_size());
    let allowed = free - free / SPARED;
    let no_room = || CoreError::NoRoom { allowed, folder: folder.display().to_string() };
    let mut buffer = vec![0; STEP];
    let mut total = 0_u64;
    loop {
        let length = fill(&mut from, &mut buffer).map_err(CoreError::Decompression)?;
        let bytes = buffer.get(..length).unwrap_or_default();
        total += length as u64;
        if total > allowed {
            return Err(no_room());
        }
        for piece in bytes.chunks(HOLE) {
            if piece.iter().all(|&byte| byte == 0) {
                file.seek(SeekFrom::Current(piece.len() as i64))?;
            } else {
                file.write_all(piece)?;
            }
        }
        if length < STEP {
            break;
        }
    }
    // Zeros at the end were only skipped.
    file.set_len(total)?;
    Ok(file)
}

/// Reads until the buffer is full or nothing is left.
fn fill(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while let Some(rest) = buffer.get_mut(length..).filter(|rest| !rest.is_empty()) {
        match from.read(rest) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(length)
}
