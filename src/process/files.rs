//! The files that a process sees, read as if from inside: in its mount namespace and below its root.
//!
//! Which path is opened can be the choice of a hostile process. So nothing leads out of its root, links neither;
//! only regular files are opened, and only those that the process may read itself: what leakspy shows as root is
//! nothing that the process could not have shown. The kernel does the walking (`openat2`, Linux 5.6); where it refuses,
//! no file is found.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};

use super::handle::Process;

/// How many ancestors are asked whether a process is a fork of theirs.
const GENERATIONS: usize = 16;
/// How exactly the kernel says when a process started.
const PRECISION: Duration = Duration::from_millis(20);

/// The files of a process. They can be read after it has ended.
#[derive(Debug)]
pub struct ProcessFiles {
    root: OwnedFd,
    reader: Reader,
    /// Since when the program has been in memory, at the latest.
    began: SystemTime,
}

/// A file as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundFile {
    /// What is in it.
    pub bytes: Vec<u8>,
    /// Whether it changed, or was put in place of another, after the program had been started.
    pub has_changed: bool,
}

/// As whom a process reads.
#[derive(Debug)]
struct Reader {
    user: u32,
    groups: Vec<u32>,
}

impl ProcessFiles {
    /// The files of this process.
    ///
    /// # Errors
    /// It has ended, or may not be looked at.
    pub fn of(process: &Process) -> io::Result<ProcessFiles> {
        let status = process.proc.status().map_err(io::Error::other)?;
        let root = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_PATH | libc::O_DIRECTORY)
            .open(format!("/proc/{}/root", process.pid()))?;
        let groups = status.groups.iter().copied().chain([status.fgid]).collect();
        let reader = Reader { user: status.fuid, groups };
        let began = SystemTime::now().checked_sub(age(process)).unwrap_or(UNIX_EPOCH);
        Ok(ProcessFiles { root: root.into(), reader, began })
    }

    /// A file of at most this many bytes, by its absolute path.
    ///
    /// # Errors
    /// There is none, it is larger or empty, no regular file, or the process may not read it.
    pub fn read(&self, path: &Path, most: u64) -> io::Result<FoundFile> {
        let how = OpenHow::new()
            .flags(OFlag::O_PATH | OFlag::O_CLOEXEC)
            .resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS);
        let found = openat2(self.root.as_fd(), path, how)?;
        // Opening a device can have effects, so it is looked at first. What the kernel makes up in /proc has no length.
        let metadata = File::from(found.try_clone()?).metadata()?;
        if !metadata.is_file() || metadata.len() == 0 || metadata.len() > most {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        if !self.reader.may_read(&metadata) {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        let file = File::open(format!("/proc/self/fd/{}", found.as_raw_fd()))?;
        let mut bytes = Vec::new();
        file.take(most).read_to_end(&mut bytes)?;
        Ok(FoundFile { bytes, has_changed: changed(&metadata) > self.began + PRECISION })
    }
}

impl Reader {
    fn may_read(&self, metadata: &Metadata) -> bool {
        let mode = metadata.mode();
        let bit = match () {
            () if self.user == 0 => return true,
            () if metadata.uid() == self.user => 0o400,
            () if self.groups.contains(&metadata.gid()) => 0o040,
            () => 0o004,
        };
        mode & bit != 0
    }
}

/// When a file was changed last: its contents or, where those were written earlier, the file as such.
fn changed(metadata: &Metadata) -> SystemTime {
    let at = |seconds: i64, nanoseconds: i64| {
        let since = Duration::new(
            u64::try_from(seconds).unwrap_or_default(),
            u32::try_from(nanoseconds).unwrap_or_default().min(999_999_999),
        );
        UNIX_EPOCH.checked_add(since).unwrap_or(UNIX_EPOCH)
    };
    let written = at(metadata.mtime(), metadata.mtime_nsec());
    written.max(at(metadata.ctime(), metadata.ctime_nsec()))
}

/// For how long the program of a process has been in memory. A fork has it from its parent, which may have read its
/// files long before.
fn age(process: &Process) -> Duration {
    let Some(own) = auxiliary(process.pid()) else { return process.age() };
    let (mut age, mut parent) = (process.age(), process.parent());
    for _ in 0..GENERATIONS {
        let Some(ancestor) = parent.and_then(|pid| Process::open(pid).ok()) else { break };
        if auxiliary(ancestor.pid()).as_ref() != Some(&own) {
            break;
        }
        age = age.max(ancestor.age());
        parent = ancestor.parent();
    }
    age
}

/// What the kernel told a program at its start. It has random addresses, so it is the same in forks only.
fn auxiliary(pid: i32) -> Option<Vec<u8>> {
    std::fs::read(format!("/proc/{pid}/auxv")).ok().filter(|bytes| !bytes.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: u64 = 1 << 20;

    fn files() -> ProcessFiles {
        ProcessFiles::of(&Process::open(std::process::id() as i32).unwrap()).unwrap()
    }

    #[test]
    fn what_was_there_before_has_not_changed_and_what_is_new_has() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
        let found = files().read(&folder.join("LICENSE"), MOST).unwrap();
        assert_eq!(found.bytes, std::fs::read(folder.join("LICENSE")).unwrap());
        assert!(!found.has_changed);
        let began = UNIX_EPOCH + Duration::from_secs(1);
        let files = ProcessFiles { began, ..files() };
        let new = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(new.path(), "text").unwrap();
        // However old its contents claim to be.
        new.as_file().set_modified(UNIX_EPOCH).unwrap();
        assert!(files.read(new.path(), MOST).unwrap().has_changed);
    }

    #[test]
    fn only_regular_files_within_bounds_are_read() {
        for path in
            ["/dev/null", "/", "/proc/self/status", "/proc/self/exe", "/nothing", "relative"]
        {
            assert!(files().read(Path::new(path), MOST).is_err(), "{path}");
        }
        let new = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(new.path(), "more").unwrap();
        assert!(files().read(new.path(), 3).is_err());
    }

    #[test]
    fn links_do_not_lead_out_of_the_root() {
        let folder = tempfile::tempdir().unwrap();
        let outside = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(outside.path(), "outside").unwrap();
        std::os::unix::fs::symlink(outside.path(), folder.path().join("link")).unwrap();
        std::fs::write(folder.path().join("inside"), "inside").unwrap();
        let root = File::open(folder.path()).unwrap();
        let files = ProcessFiles { root: root.into(), ..files() };
        assert_eq!(files.read(Path::new("/inside"), MOST).unwrap().bytes, b"inside");
        assert!(files.read(Path::new("/link"), MOST).is_err());
    }

    #[test]
    fn only_what_the_process_may_read_is_read() {
        let new = tempfile::NamedTempFile::new().unwrap();
        let metadata = new.as_file().metadata().unwrap();
        let reader = |user, groups: &[u32]| Reader { user, groups: groups.to_vec() };
        assert!(reader(metadata.uid(), &[]).may_read(&metadata));
        let stranger = metadata.uid().wrapping_add(7);
        assert!(!reader(stranger, &[metadata.gid()]).may_read(&metadata));
        assert!(reader(0, &[]).may_read(&metadata));
    }

    #[test]
    fn forks_are_told_from_other_programs() {
        // SAFETY: the child only waits to be killed.
        let fork = unsafe { libc::fork() };
        if fork == 0 {
            loop {
                // SAFETY: pause() has no arguments.
                unsafe { libc::pause() };
            }
        }
        let mut other = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let own = auxiliary(std::process::id() as i32).unwrap();
        assert_eq!(auxiliary(fork).unwrap(), own);
        assert_ne!(auxiliary(other.id() as i32).unwrap(), own);
        let process = Process::open(fork).unwrap();
        assert_eq!(process.parent(), Some(std::process::id() as i32));
        assert!(age(&process) > process.age());
        other.kill().unwrap();
        other.wait().unwrap();
        // SAFETY: the child is ours.
        unsafe {
            libc::kill(fork, libc::SIGKILL);
            libc::waitpid(fork, std::ptr::null_mut(), 0);
        }
    }
}
