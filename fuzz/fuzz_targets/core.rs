//! A core file of any numbers and bytes: every question has an answer or an error.
#![no_main]

use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;

#[path = "../../tests/pure/core_builder.rs"]
mod core_builder;
use core_builder::{Crafted, Segment, ask, files};

#[derive(Debug, Arbitrary)]
enum Input {
    /// Any bytes: also compressed ones.
    Bytes(Vec<u8>),
    /// A core with headers and notes of these numbers.
    Core {
        segments: Vec<(bool, u8, [u64; 4])>,
        notes: Vec<(u8, Vec<u8>)>,
        mapped: [u64; 5],
        content: Vec<u8>,
    },
}

/// Where the file is.
static CRAFTED: LazyLock<PathBuf> =
    LazyLock::new(|| std::env::temp_dir().join(format!("crafted-core-{}", std::process::id())));
/// The types of notes that are read.
const KINDS: [u32; 5] = [1, 3, 6, 0x5349_4749, 0x4649_4c45];

fuzz_target!(|input: Input| {
    let bytes = match input {
        Input::Bytes(bytes) => bytes,
        Input::Core { segments, notes, mapped: [start, end, offset, count, unit], content } => {
            let segment = |(load, flags, [address, memory, file, shift]): (bool, u8, [u64; 4])| {
                let kind = if load { 1 } else { 4 };
                Segment { kind, flags: flags.into(), address, memory, file, shift }
            };
            let note = |(kind, bytes): (u8, Vec<u8>)| {
                (KINDS[usize::from(kind) % KINDS.len()], bytes)
            };
            let mut notes: Vec<_> = notes.into_iter().map(note).collect();
            notes.push(files(count, unit, &[([start, end, offset], "/usr/bin/python3.12")]));
            let segments = segments.into_iter().map(segment).collect();
            Crafted { segments, notes, content, count: None }.bytes()
        }
    };
    std::fs::write(&*CRAFTED, bytes).expect("there is room");
    let _ = ask(&CRAFTED);
});
