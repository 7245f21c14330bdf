//! The file that a target has mapped may not be an ELF file, or a damaged one.
#![no_main]

use std::ffi::OsString;
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::fs::MetadataExt;
use std::process;

use leakspy::process::{Image, Mapping};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let file = in_memory(bytes);
    let mapping = Mapping {
        start: 0x7f00_0000_0000,
        end: 0x7f00_0000_0000 + bytes.len() as u64,
        offset: 0,
        inode: file.metadata().expect("it is open").ino(),
        device: (0, 0),
        readable: true,
        writable: false,
        executable: true,
        shared: false,
        brk: false,
        path: Some(OsString::from(format!("/proc/self/fd/{}", file.as_raw_fd())).into()),
    };
    let Ok(image) = Image::open(process::id() as i32, &mapping) else { return };
    let _ = image.section(".text");
    let _ = image.symbol("_PyRuntime");
    for segment in image.segments() {
        let _ = image.is_code(segment.address);
        let _ = image.function_at(segment.address);
    }
});

fn in_memory(bytes: &[u8]) -> File {
    // SAFETY: the name ends in a zero byte.
    let descriptor = unsafe { libc::memfd_create(c"image".as_ptr(), libc::MFD_CLOEXEC) };
    assert!(descriptor >= 0, "a file in memory can be made");
    // SAFETY: the descriptor is open, and nothing else owns it.
    let mut file = unsafe { File::from_raw_fd(descriptor) };
    file.write_all(bytes).expect("there is memory");
    file
}
