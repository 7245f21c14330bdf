//! Text of a process that may be any bytes: its words, the names of its files and threads.
//!
//! Linux does not ask that they are UTF-8. What is compared or opened stays bytes; what is shown is made here, with
//! each byte that is no part of a character as `\xNN`.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use procfs::process::Status;
use procfs::{FromBufRead, ProcResult};

/// These bytes as they are shown.
pub fn shown(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|byte| format!(r"\x{byte:02x}")));
    }
    text
}

/// A path as it is shown.
pub fn shown_path(path: &Path) -> String {
    shown(path.as_os_str().as_bytes())
}

/// A command line, whose words end in NUL, as one line. Empty words are left out.
pub fn shown_words(command_line: &[u8]) -> String {
    let words = command_line.split(|&byte| byte == 0).filter(|word| !word.is_empty());
    words.map(shown).collect::<Vec<String>>().join(" ")
}

/// What a `status` in `/proc` says. The name in it may be any bytes.
pub fn status(bytes: &[u8]) -> ProcResult<Status> {
    Status::from_buf_read(shown(bytes).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_bytes_that_are_no_character_are_escaped() {
        assert_eq!(shown("naïve 名前".as_bytes()), "naïve 名前");
        assert_eq!(shown(b"caf\xe9.py"), r"caf\xe9.py");
        assert_eq!(shown(b"\xff\xc3"), r"\xff\xc3");
        assert_eq!(shown_words(b"python3\0\0-c\0\xe9\0"), r"python3 -c \xe9");
    }
}
