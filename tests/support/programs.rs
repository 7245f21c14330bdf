//! Programs that are written to a file to be run.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

/// Makes an executable file of these bytes.
///
/// Another process writes it: a descriptor of this process would be inherited by any program that another
/// test starts at that moment, and a file cannot be run while any process has it open for writing.
pub fn place_program(bytes: &[u8], path: &Path) -> io::Result<()> {
    let image = path.with_extension("image");
    fs::write(&image, bytes)?;
    let status = Command::new("cp").arg(&image).arg(path).status()?;
    assert!(status.success(), "cp: {status}");
    fs::remove_file(&image)?;
    fs::set_permissions(path, Permissions::from_mode(0o755))
}
