//! Files that only their owner can read: what leakspy writes of a process is as confidential as its memory.
//!
//! A new file has the rights 0600. One that was there and was ours keeps its rights; of another's file only the name
//! is taken over, not the rights. A file is written beside its destination and renamed when it is whole, so that no
//! reader finds half of it, and nothing is written through whatever waits under its name. What is no regular file (a
//! device, a pipe of ours, a descriptor such as `/dev/stdout`) is written to instead.
//!
//! A symbolic link is followed if it belongs to us or to root, wherever it stands in the path. Another user's may
//! lead anywhere and is refused.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, Metadata, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};

use nix::unistd::geteuid;
use tempfile::{Builder, NamedTempFile};

/// The most symbolic links on the way to a file, as in the kernel.
const MOST_LINKS: usize = 40;
/// Where links lead to open descriptors, which no path names.
const DESCRIPTORS: &str = "/proc";
/// The rights of a file that everyone may read, before the user's mask.
const PUBLIC: u32 = 0o666;
/// The bits that a file can keep.
const RIGHTS: u32 = 0o777;

/// A file that is being written.
#[derive(Debug)]
pub struct PrivateFile(Kind);

#[derive(Debug)]
enum Kind {
    /// What was there is written to.
    InPlace(File),
    /// A new file, and where it will be.
    Beside { file: NamedTempFile, destination: PathBuf },
}

impl PrivateFile {
    /// Starts a file that only its owner can read. It has its name once it is [finished](Self::finish).
    ///
    /// # Errors
    /// It cannot be created there, or the way there is not ours.
    pub fn create(path: &Path) -> io::Result<PrivateFile> {
        start(path, None)
    }

    /// Starts a file without secrets, which everyone may read: a manual page.
    ///
    /// # Errors
    /// It cannot be created there, or the way there is not ours.
    pub fn create_public(path: &Path) -> io::Result<PrivateFile> {
        start(path, Some(PUBLIC))
    }

    /// Gives the file its name, and returns it for what is still to be written.
    ///
    /// # Errors
    /// It cannot be renamed.
    pub fn finish(self) -> io::Result<File> {
        match self.0 {
            Kind::InPlace(file) => Ok(file),
            Kind::Beside { file, destination } => {
                file.persist(destination).map_err(|error| error.error)
            }
        }
    }

    /// The open file.
    pub fn as_file(&self) -> &File {
        match &self.0 {
            Kind::InPlace(file) => file,
            Kind::Beside { file, .. } => file.as_file(),
        }
    }
}

impl Write for PrivateFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.as_file().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.as_file().flush()
    }
}

/// Makes a folder for such files, and those above it, unless they are there. Only their owner can enter new ones.
///
/// # Errors
/// It cannot be created.
pub fn create_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(resolve(path)?)
}

/// The path without symbolic links, up to a descriptor or to the first part that does not exist.
///
/// # Errors
/// A link is another user's, or there are too many.
pub fn resolve(path: &Path) -> io::Result<PathBuf> {
    let mut found = if path.is_absolute() { PathBuf::new() } else { std::env::current_dir()? };
    let mut rest: VecDeque<OsString> = parts(path).collect();
    let mut links = 0;
    while let Some(part) = rest.pop_front() {
        match Path::new(&part).components().next() {
            Some(Component::RootDir) => found = PathBuf::from("/"),
            Some(Component::ParentDir) => {
                found.pop();
            }
            Some(Component::Normal(name)) => {
                let next = found.join(name);
                match fs::symlink_metadata(&next) {
                    Ok(there) if there.is_symlink() => {
                        if found.starts_with(DESCRIPTORS) && name != "self" && name != "thread-self"
                        {
                            found = next;
                            continue;
                        }
                        links += 1;
                        if links > MOST_LINKS {
                            return Err(io::Error::from_raw_os_error(libc::ELOOP));
                        }
                        if !is_trusted(&there) {
                            return Err(foreign("symbolic link", &next, &there));
                        }
                        for part in parts(&fs::read_link(&next)?).rev() {
                            rest.push_front(part);
                        }
                    }
                    Ok(_) => found = next,
                    Err(error) if error.kind() == ErrorKind::NotFound => found = next,
                    Err(error) => return Err(error),
                }
            }
            _ => {}
        }
    }
    Ok(found)
}

fn parts(path: &Path) -> impl DoubleEndedIterator<Item = OsString> {
    path.components().map(|part| part.as_os_str().to_owned()).collect::<Vec<_>>().into_iter()
}

fn start(path: &Path, public: Option<u32>) -> io::Result<PrivateFile> {
    let destination = resolve(path)?;
    let there = fs::symlink_metadata(&destination).ok();
    if let Some(there) = there.as_ref().filter(|there| !there.is_file()) {
        // A link that is left leads to a descriptor, which whoever started leakspy has opened.
        if there.file_type().is_fifo() && !is_trusted(there) {
            return Err(foreign("pipe", &destination, there));
        }
        let flags = if there.is_symlink() { libc::O_APPEND } else { libc::O_NOFOLLOW };
        let file = File::options().write(true).custom_flags(flags).open(&destination)?;
        return Ok(PrivateFile(Kind::InPlace(file)));
    }
    let mut builder = Builder::new();
    builder.prefix(".leakspy-");
    if let Some(rights) = public {
        builder.permissions(Permissions::from_mode(rights));
    }
    let file = builder.tempfile_in(destination.parent().unwrap_or(Path::new("/")))?;
    if let Some(there) = there.filter(is_ours) {
        file.as_file().set_permissions(Permissions::from_mode(there.mode() & RIGHTS))?;
    }
    Ok(PrivateFile(Kind::Beside { file, destination }))
}

fn is_ours(there: &Metadata) -> bool {
    there.uid() == geteuid().as_raw()
}

/// Whether nobody but us can have laid it: root could do anything anyway.
fn is_trusted(there: &Metadata) -> bool {
    there.uid() == 0 || is_ours(there)
}

fn foreign(what: &str, path: &Path, there: &Metadata) -> io::Error {
    let (path, owner) = (path.display(), there.uid());
    let why = format!("{path} is a {what} of another user (uid {owner}), which is not followed");
    io::Error::new(ErrorKind::PermissionDenied, why)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{lchown, symlink};

    use super::*;

    fn write(path: &Path) -> io::Result<()> {
        let mut file = PrivateFile::create(path)?;
        file.write_all(b"secret")?;
        file.finish()?;
        Ok(())
    }

    fn rights(path: &Path) -> io::Result<u32> {
        Ok(fs::metadata(path)?.mode() & RIGHTS)
    }

    #[test]
    fn a_new_file_is_its_owners_and_an_old_one_keeps_its_rights() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("a");
        write(&path)?;
        assert_eq!(rights(&path)?, 0o600);
        fs::set_permissions(&path, Permissions::from_mode(0o640))?;
        write(&path)?;
        assert_eq!(rights(&path)?, 0o640);
        assert_eq!(fs::read_dir(folder.path())?.count(), 1);
        create_folder(&folder.path().join("b/c"))?;
        assert_eq!(rights(&folder.path().join("b"))?, 0o700);
        Ok(())
    }

    #[test]
    fn our_links_stay_and_lead_to_what_is_replaced() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let [file, link, chain] = ["a", "link", "chain"].map(|name| folder.path().join(name));
        symlink("link", &chain)?;
        symlink("./a", &link)?;
        write(&chain)?;
        assert_eq!(fs::read(&file)?, b"secret");
        assert!(fs::symlink_metadata(&link)?.is_symlink());
        symlink("loop", folder.path().join("loop"))?;
        let refused = write(&folder.path().join("loop")).expect_err("it leads nowhere");
        assert_eq!(refused.raw_os_error(), Some(libc::ELOOP));
        Ok(())
    }

    /// Only root can make what belongs to others.
    #[test]
    fn what_another_user_has_laid_is_not_followed() -> io::Result<()> {
        if !geteuid().is_root() {
            return Ok(());
        }
        let folder = tempfile::tempdir()?;
        let [target, link, old, inside] =
            ["target", "link", "old", "inside"].map(|name| folder.path().join(name));
        fs::write(&target, "theirs")?;
        symlink(&target, &link)?;
        lchown(&link, Some(12345), None)?;
        symlink(folder.path(), &inside)?;
        lchown(&inside, Some(12345), None)?;
        for path in [&link, &inside.join("new")] {
            let refused = write(path).expect_err("it is not ours");
            assert_eq!(refused.kind(), ErrorKind::PermissionDenied);
            assert!(refused.to_string().contains("of another user (uid 12345)"), "{refused}");
        }
        assert_eq!(fs::read(&target)?, b"theirs");
        // A file that everyone can read, laid where ours will be.
        fs::write(&old, "")?;
        fs::set_permissions(&old, Permissions::from_mode(0o666))?;
        lchown(&old, Some(12345), None)?;
        write(&old)?;
        assert_eq!((rights(&old)?, fs::metadata(&old)?.uid()), (0o600, 0));
        Ok(())
    }

    #[test]
    fn devices_and_descriptors_are_written_to() -> io::Result<()> {
        write(Path::new("/dev/null"))?;
        assert!(!fs::metadata("/dev/null")?.is_file());
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("open");
        let open = File::options().append(true).create(true).open(&path)?;
        let descriptor = std::os::fd::AsRawFd::as_raw_fd(&open);
        write(Path::new(&format!("/proc/self/fd/{descriptor}")))?;
        write(Path::new(&format!("/dev/fd/{descriptor}")))?;
        assert_eq!(fs::read(&path)?, b"secretsecret");
        Ok(())
    }
}
