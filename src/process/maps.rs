//! The mappings of a process, and the files behind them.
//!
//! A mapped file is opened through `/proc/PID/map_files`, which needs privilege but also works for deleted
//! files and in other mount namespaces; otherwise through `/proc/PID/root`, and then the plain path, each
//! accepted only if device and inode match. The path in `/proc/PID/maps` is the observer's view for a chroot
//! and the target's view for a container.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::text::shown;
use super::usage::{KIB, figure};

/// One line of `/proc/PID/maps`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    /// First address.
    pub start: u64,
    /// One past the last address.
    pub end: u64,
    /// Offset of `start` in the file, in bytes.
    pub offset: u64,
    /// The mapped file's inode, 0 where no file is mapped.
    pub inode: u64,
    /// The mapped file's device: (major, minor).
    pub device: (u32, u32),
    /// May be read.
    pub readable: bool,
    /// May be written.
    pub writable: bool,
    /// May be executed.
    pub executable: bool,
    /// Writes go to the file or to other processes that map it too.
    pub shared: bool,
    /// The heap that `brk` grows, which the C library's malloc fills.
    pub brk: bool,
    /// The mapped file, as the kernel names it; `None` for anonymous and special mappings.
    pub path: Option<PathBuf>,
}

impl Mapping {
    /// Whether `address` lies inside.
    pub fn contains(&self, address: u64) -> bool {
        (self.start..self.end).contains(&address)
    }

    /// Length in bytes.
    pub fn length(&self) -> u64 {
        self.end.saturating_sub(self.start)
    }

    /// Opens the mapped file of process `pid`, whatever root and mount namespace the process has.
    pub fn open(&self, pid: i32) -> io::Result<File> {
        let by_address = format!("/proc/{pid}/map_files/{:x}-{:x}", self.start, self.end);
        if let Ok(file) = File::open(by_address) {
            return Ok(file);
        }
        let path = self.path.as_deref().ok_or(io::ErrorKind::NotFound)?;
        let inside = Path::new("/proc").join(pid.to_string()).join("root");
        let relative = path.strip_prefix("/").unwrap_or(path);
        [inside.join(relative), path.to_path_buf()]
            .iter()
            .filter_map(|candidate| File::open(candidate).ok())
            .find(|file| file.metadata().is_ok_and(|found| found.ino() == self.inode))
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

/// A line of `/proc/PID/maps`, and the figures about it that follow in `/proc/PID/smaps`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// The mapping.
    pub mapping: Mapping,
    /// The kernel's name for it in brackets, such as `stack`; empty for others, and for `heap`.
    pub special: String,
    /// Its figures by name, in bytes.
    pub figures: Vec<(Vec<u8>, u64)>,
}

/// The mappings in the text of `/proc/PID/maps`.
pub fn parse(text: &[u8]) -> Vec<Mapping> {
    parse_described(text).into_iter().map(|described| described.mapping).collect()
}

/// The mappings in the text of `/proc/PID/smaps`.
pub fn parse_described(text: &[u8]) -> Vec<Described> {
    let mut all: Vec<Described> = Vec::new();
    for line in text.split(|&byte| byte == b'\n') {
        // The names of figures begin with a capital letter, which no address contains.
        if line.first().is_some_and(u8::is_ascii_uppercase) {
            if let (Some((name, kib)), Some(last)) = (figure(line), all.last_mut()) {
                last.figures.push((name.to_vec(), kib.saturating_mul(KIB)));
            }
        } else {
            all.extend(of_line(line));
        }
    }
    all
}

/// A mapping from a line such as `7f00-7f20 r--p 00000000 08:01 1234   /lib/libc.so`. The name is any bytes but a
/// newline.
fn of_line(line: &[u8]) -> Option<Described> {
    let mut words = line.splitn(6, |&byte| byte == b' ');
    let mut word = || std::str::from_utf8(words.next()?).ok();
    let (start, end) = word()?.split_once('-')?;
    let permissions = word()?.as_bytes();
    let (offset, device, inode) = (word()?, word()?, word()?);
    let (major, minor) = device.split_once(':')?;
    let name = words.next().unwrap_or_default().trim_ascii_start();
    let special = name.strip_prefix(b"[").and_then(|name| name.strip_suffix(b"]"));
    let is_file = special.is_none() && !name.is_empty();
    let mapping = Mapping {
        start: u64::from_str_radix(start, 16).ok()?,
        end: u64::from_str_radix(end, 16).ok()?,
        offset: u64::from_str_radix(offset, 16).ok()?,
        inode: inode.parse().ok()?,
        device: (u32::from_str_radix(major, 16).ok()?, u32::from_str_radix(minor, 16).ok()?),
        readable: permissions.contains(&b'r'),
        writable: permissions.contains(&b'w'),
        executable: permissions.contains(&b'x'),
        shared: permissions.contains(&b's'),
        brk: special == Some(b"heap"),
        path: is_file.then(|| PathBuf::from(OsStr::from_bytes(name))),
    };
    let special = special.filter(|_| !mapping.brk).map(shown).unwrap_or_default();
    Some(Described { mapping, special, figures: Vec::new() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_any_bytes() {
        let text = b"1000-3000 rw-s 00001000 fd:01 77      /srv/a b\xe9 (deleted)\nRss:   8 kB\nVmFlags: rd\n\
            4000-5000 rw-p 00000000 00:00 0       [heap]\n\
            5000-6000 rw-p 00000000 00:00 0       [stack]\n6000-7000 ---p 00000000 00:00 0 \nnonsense\n";
        let [file, heap, stack, none] = &parse_described(text)[..] else { panic!("four mappings") };
        let path = Path::new(OsStr::from_bytes(b"/srv/a b\xe9 (deleted)"));
        assert_eq!(file.mapping.path.as_deref(), Some(path));
        assert_eq!(
            (file.mapping.start, file.mapping.end, file.mapping.offset),
            (0x1000, 0x3000, 0x1000)
        );
        assert_eq!((file.mapping.device, file.mapping.inode), ((0xfd, 1), 77));
        assert!(file.mapping.readable && file.mapping.writable && file.mapping.shared);
        assert!(!file.mapping.executable && !none.mapping.readable);
        assert_eq!(file.figures, [(b"Rss".to_vec(), 8 * KIB)]);
        assert!(heap.mapping.brk && heap.special.is_empty() && heap.mapping.path.is_none());
        assert_eq!((&*stack.special, &*none.special), ("stack", ""));
        assert_eq!(none.mapping.path, None);
    }
}
