//! The mappings of a process, and the files behind them.
//!
//! A mapped file is opened through `/proc/PID/map_files`, which needs privilege but also works for deleted
//! files and in other mount namespaces; otherwise through `/proc/PID/root`, and then the plain path, each
//! accepted only if device and inode match. The path in `/proc/PID/maps` is the observer's view for a chroot
//! and the target's view for a container.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use procfs::process::{MMPermissions, MMapPath, MemoryMap};

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

impl From<MemoryMap> for Mapping {
    fn from(map: MemoryMap) -> Self {
        Mapping {
            start: map.address.0,
            end: map.address.1,
            offset: map.offset,
            inode: map.inode,
            device: (map.dev.0 as u32, map.dev.1 as u32),
            readable: map.perms.contains(MMPermissions::READ),
            writable: map.perms.contains(MMPermissions::WRITE),
            executable: map.perms.contains(MMPermissions::EXECUTE),
            shared: map.perms.contains(MMPermissions::SHARED),
            brk: map.pathname == MMapPath::Heap,
            path: match map.pathname {
                MMapPath::Path(path) => Some(path),
                _ => None,
            },
        }
    }
}
