//! Snapshot files as containers: the contents written are read back, and nothing in a file is trusted.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use leakspy::snapshot::container::{Encoding, Reader, Writer};
use leakspy::snapshot::{FORMAT_VERSION, FileError};
use proptest::prelude::*;
use tempfile::TempDir;

const ALLOWED: u64 = 64 << 20;

fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.leakspy");
    (folder, path)
}

fn write(path: &Path, numbers: &[u64], bytes: &[u8]) {
    let mut writer = Writer::create(path).expect("a file");
    writer.numbers("numbers", Encoding::Numbers, numbers.iter().copied()).expect("room");
    writer.numbers("differences", Encoding::Differences, numbers.iter().copied()).expect("room");
    writer.bytes("bytes", bytes).expect("room");
    let length = writer.finish().expect("room");
    assert_eq!(length, fs::metadata(path).expect("it is there").len());
}

/// The columns of a file: two of numbers, and one of bytes.
type Columns = (Vec<u64>, Vec<u64>, Vec<u8>);

/// The contents of a file.
fn read(path: &Path) -> Result<Columns, FileError> {
    let reader = Reader::open(path, ALLOWED)?;
    let numbers = |name| reader.numbers(name)?.collect::<Result<Vec<u64>, _>>();
    Ok((numbers("numbers")?, numbers("differences")?, reader.bytes("bytes")?))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_was_written_is_read(
        numbers in prop::collection::vec(any::<u64>(), 0..500),
        bytes in prop::collection::vec(any::<u8>(), 0..500),
    ) {
        let (_folder, path) = folder();
        write(&path, &numbers, &bytes);
        prop_assert_eq!(read(&path).expect("it is whole"), (numbers.clone(), numbers, bytes));
    }

    /// A changed byte is either noticed or in a part that is not read.
    #[test]
    fn a_changed_byte_changes_nothing_that_is_read(place: prop::sample::Index, change in 1..=255_u8) {
        let (_folder, path) = folder();
        let numbers: Vec<u64> = (0..300).map(|number| number * number).collect();
        write(&path, &numbers, b"some bytes");
        let mut file = fs::read(&path).expect("it is there");
        let place = place.index(file.len());
        file[place] ^= change;
        fs::write(&path, &file).expect("room");
        if let Ok(found) = read(&path) {
            prop_assert_eq!(found, (numbers.clone(), numbers, b"some bytes".to_vec()));
        }
    }

    #[test]
    fn half_a_file_is_refused(part: prop::sample::Index) {
        let (_folder, path) = folder();
        write(&path, &[1, 2, 3], b"some bytes");
        let file = fs::read(&path).expect("it is there");
        fs::write(&path, &file[..part.index(file.len())]).expect("room");
        let found = read(&path);
        prop_assert!(matches!(found, Err(FileError::Incomplete | FileError::Foreign)), "{found:?}");
    }

    /// Even where all checksums are right, because anyone who crafts a file can compute those too.
    #[test]
    fn any_block_is_read_or_refused(block in prop::collection::vec(any::<u8>(), 0..200), count in 0..300_u64) {
        let (_folder, path) = folder();
        fs::write(&path, crafted(&block, count)).expect("room");
        let _ = Reader::open(&path, ALLOWED).and_then(|reader| {
            reader.numbers("numbers")?.collect::<Result<Vec<u64>, _>>()
        });
    }
}

/// A file with one column of numbers that consists of these bytes, with all checksums right.
fn crafted(block: &[u8], count: u64) -> Vec<u8> {
    use xxhash_rust::xxh3::xxh3_64;
    let mut file = b"\x89LSPY\r\n\x1a".to_vec();
    file.extend(1_u32.to_le_bytes());
    file.extend(0_u32.to_le_bytes());
    let head = file.clone();
    file.extend(block);
    let mut directory = 1_u32.to_le_bytes().to_vec();
    directory.push(7);
    directory.extend(b"numbers");
    directory.extend([1, 1, 8]);
    for number in [count, count.max(1), 16, block.len() as u64, xxh3_64(block)] {
        directory.extend(number.to_le_bytes());
    }
    let start = file.len() as u64;
    file.extend(&directory);
    file.extend(start.to_le_bytes());
    file.extend((directory.len() as u64).to_le_bytes());
    file.extend(xxh3_64(&[head, directory].concat()).to_le_bytes());
    file.extend(b"LSPYEND\n");
    file
}

#[test]
fn a_long_column_has_many_blocks() {
    let (_folder, path) = folder();
    let numbers: Vec<u64> = (0..3_000_000).map(|number| number * 37 % 100_003).collect();
    let bytes: Vec<u8> = numbers.iter().map(|&number| number as u8).collect();
    write(&path, &numbers, &bytes);
    assert_eq!(read(&path).expect("it is whole"), (numbers.clone(), numbers, bytes));
}

#[test]
fn other_files_are_refused_by_what_they_are() {
    let (folder, path) = folder();
    let refusal = |content: &[u8]| {
        fs::write(&path, content).expect("room");
        read(&path).expect_err("it is no snapshot").to_string()
    };
    let foreign = "it is not a leakspy snapshot";
    assert_eq!(refusal(b""), foreign);
    assert_eq!(refusal(b"{\"schema\": 1}"), foreign);
    assert_eq!(refusal(&[0; 100_000]), foreign);
    let mut file = crafted(&[], 0);
    file[8] = FORMAT_VERSION as u8 + 1;
    let newer = "a newer leakspy wrote it: its format has version 2";
    assert!(refusal(&file).starts_with(newer));
    let whole = crafted(&[], 0);
    let end = whole.len() - 32;
    let zeroed: Vec<u8> = whole[..end].iter().copied().chain([0; 32]).collect();
    assert_eq!(refusal(&zeroed), "the file is incomplete: its end is missing");
    assert!(matches!(read(folder.path()), Err(FileError::Foreign)));
    assert!(matches!(read(&folder.path().join("none")), Err(FileError::Io(_))));
}

#[test]
fn a_count_that_lies_takes_no_memory() {
    let (_folder, path) = folder();
    fs::write(&path, crafted(&[], u64::MAX / 16)).expect("room");
    let found = Reader::open(&path, ALLOWED).expect_err("that is too much");
    assert!(matches!(found, FileError::TooLarge { allowed: ALLOWED, .. }), "{found}");
    // A block that claims to decompress to four gigabytes.
    let mut block = u32::MAX.to_le_bytes().to_vec();
    block.extend(1_u32.to_le_bytes());
    block.push(0);
    fs::write(&path, crafted(&block, 10)).expect("room");
    let reader = Reader::open(&path, ALLOWED).expect("so far it is right");
    let found = reader.numbers("numbers").and_then(|mut numbers| numbers.number());
    assert!(matches!(found, Err(FileError::Damaged { .. })), "{found:?}");
}

#[test]
fn unknown_columns_are_skipped_and_missing_ones_named() {
    let (_folder, path) = folder();
    write(&path, &[7], b"x");
    let reader = Reader::open(&path, ALLOWED).expect("it is whole");
    assert_eq!(
        reader.columns().map(|(name, ..)| name).collect::<Vec<_>>(),
        ["numbers", "differences", "bytes"]
    );
    assert!(matches!(reader.bytes("more"), Err(FileError::Missing("more"))));
    assert!(matches!(reader.bytes("numbers"), Err(FileError::Contradiction { .. })));
    let mut numbers = reader.numbers("numbers").expect("it is there");
    assert_eq!(numbers.number().expect("there is one"), 7);
    assert!(matches!(numbers.number(), Err(FileError::Contradiction { .. })));
}

#[test]
fn a_file_is_its_owners_and_whole_or_not_there() {
    let (folder, path) = folder();
    let names = || fs::read_dir(folder.path()).expect("a folder").count();
    {
        let mut writer = Writer::create(&path).expect("a file");
        writer.bytes("bytes", b"never finished").expect("room");
        assert!(!path.exists());
    }
    assert_eq!(names(), 0, "what was not finished leaves nothing behind");
    let mode = || fs::metadata(&path).expect("it is there").permissions().mode() & 0o777;
    write(&path, &[], b"");
    assert_eq!((names(), mode()), (1, 0o600));
    // Who gave it other rights knows why.
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("it is ours");
    write(&path, &[], b"");
    assert_eq!((names(), mode()), (1, 0o640));
}
