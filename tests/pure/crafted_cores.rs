//! Core files whose headers and notes lie: an answer or a sentence, never a panic.

use std::fs;

use leakspy::memory::Memory;
use leakspy::process::core::binaries::Places;
use leakspy::process::{Core, Target};
use proptest::prelude::*;
use tempfile::TempDir;

use crate::core_builder::{Crafted, Note, Segment, ask, files};

/// Where the memory of these cores is.
const PLACE: u64 = 0x7f00_0000_0000;

/// Numbers as in a core, and those that break one.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![
        6 => (0_u64..8).prop_map(|page| PLACE + 0x1000 * page),
        4 => (0_u64..600).prop_map(|number| number * 8),
        1 => Just(u64::MAX),
        1 => Just(u64::MAX - 4095),
        1 => any::<u64>(),
    ]
}

fn segment() -> impl Strategy<Value = Segment> {
    let kind = prop_oneof![8 => Just(1), 1 => Just(4), 1 => any::<u32>()];
    let size = || prop_oneof![4 => Just(0x1000), 1 => Just(0), 2 => number()];
    let shift = prop_oneof![4 => Just(0), 2 => 0_u64..0x4000, 1 => any::<u64>()];
    (kind, 0_u32..8, number(), size(), size(), shift).prop_map(
        |(kind, flags, address, memory, file, shift)| Segment {
            kind,
            flags,
            address,
            memory,
            file,
            shift,
        },
    )
}

fn note() -> impl Strategy<Value = Note> {
    let kind = prop_oneof![
        Just(1_u32),
        Just(3),
        Just(6),
        Just(0x5349_4749),
        Just(0x4649_4c45),
        any::<u32>()
    ];
    let words = proptest::collection::vec(number(), 0..60);
    (kind, words)
        .prop_map(|(kind, words)| (kind, words.into_iter().flat_map(u64::to_le_bytes).collect()))
}

fn core() -> impl Strategy<Value = Crafted> {
    let segments = proptest::collection::vec(segment(), 0..6);
    let notes = proptest::collection::vec(note(), 0..4);
    let files_of = (number(), number(), proptest::array::uniform3(number()));
    let content = proptest::collection::vec(number(), 0..2048);
    let count =
        prop_oneof![8 => Just(None), 1 => Just(Some(0xffff)), 1 => any::<u16>().prop_map(Some)];
    (segments, notes, files_of, content, count).prop_map(
        |(segments, mut notes, (start, end, [offset, count, unit]), content, headers)| {
            let of_program = ([PLACE, PLACE + 0x1000, 0], "/usr/bin/python3.12");
            let any = ([start, end, offset], "/lib/libpython3.12.so");
            notes.push(files(if count % 3 == 0 { count } else { 2 }, unit, &[of_program, any]));
            let content = content.into_iter().flat_map(u64::to_le_bytes).collect();
            Crafted { segments, notes, content, count: headers }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn any_headers_and_notes(core in core(), cut in 0_usize..20) {
        let folder = TempDir::new().expect("a folder");
        let path = folder.path().join("core");
        let mut bytes = core.bytes();
        if cut == 0 {
            bytes.truncate(bytes.len() / 2);
        }
        fs::write(&path, bytes).expect("room");
        let _ = ask(&path);
    }

    #[test]
    fn any_bytes_behind_a_known_beginning(
        start in 0_usize..5,
        rest in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let starts: [&[u8]; 5] =
            [b"\x7fELF", b"\x7fELF\x02\x01\x01", b"\x28\xb5\x2f\xfd", b"\x04\x22\x4d\x18", b""];
        let folder = TempDir::new().expect("a folder");
        let path = folder.path().join("core");
        fs::write(&path, [starts[start], &rest].concat()).expect("room");
        prop_assert!(ask(&path).is_err());
    }
}

/// What a core has is read from it, what it left out is zero or unknown.
#[test]
fn memory_is_that_of_the_segments() {
    let segment = |page: u64, memory, file, shift| Segment {
        kind: 1,
        flags: 6,
        address: PLACE + 0x1000 * page,
        memory,
        file,
        shift,
    };
    let core = Crafted {
        segments: vec![
            segment(0, 0x1000, 0x1000, 0),
            segment(1, 0x2000, 0x1000, 0x1000),
            segment(4, 0x1000, 0, 0),
        ],
        notes: vec![files(1, 4096, &[([PLACE + 0x4000, PLACE + 0x5000, 3], "/absent")])],
        content: (0..0x400_u64).flat_map(u64::to_le_bytes).collect(),
        count: None,
    };
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("core");
    fs::write(&path, core.bytes()).expect("room");
    ask(&path).expect("it is sound");
    let core =
        Core::open(&path, Places { sysroot: None, only_sysroot: true }).expect("it is sound");
    assert_eq!(core.u64(PLACE + 8 * 0x1ff), Ok(0x1ff));
    assert_eq!(core.array(PLACE + 0xffc), Ok([0, 0, 0, 0, 0, 2, 0, 0]), "across segments");
    assert_eq!(core.u64(PLACE + 0x1ff8), Ok(0x3ff));
    assert_eq!(core.array(PLACE + 0x1ffc), Ok([0; 8]), "into what was never written");
    assert_eq!(core.lend(PLACE + 0x1ff8, 8), Some(&0x3ff_u64.to_le_bytes()[..]));
    assert_eq!(core.lend(PLACE + 0x1ffc, 8), None);
    for address in [PLACE - 8, PLACE + 0x3000, PLACE + 0x4000, PLACE + 0x2ffc] {
        assert!(core.u64(address).is_err(), "{address:#x}");
    }
    let maps = core.maps().expect("they are known");
    let starts: Vec<_> = maps.iter().map(|it| (it.start - PLACE, it.offset, it.inode)).collect();
    assert_eq!(starts, [(0, 0, 0), (0x1000, 0, 0), (0x4000, 0x3000, 1)]);
}
