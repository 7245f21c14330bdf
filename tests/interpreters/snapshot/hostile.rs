//! Files that are no snapshots, or crafted ones: an answer or a clear error, whatever they are.

use std::fs;
use std::panic::catch_unwind;
use std::path::Path;
use std::time::{Duration, Instant};

use leakspy::python::objects::Disclosure;
use libtest_mimic::Failed;
use tempfile::TempDir;

use super::crafted::{Change, Columns, ask};
use super::through_a_file;
use crate::support::{Interpreter, Target, leakspy, with_heap};

/// How many crafted files are tried, and how long the questions to one may take.
const CRAFTED: u64 = 120;
const LONGEST: Duration = Duration::from_secs(20);

/// Whatever is changed in the columns of a file, with all checksums right: there is an answer or an error.
pub fn a_crafted_file_has_an_answer_or_an_error(
    interpreter: &'static Interpreter,
) -> Result<(), Failed> {
    let target = Target::start(interpreter, "difference", &[]);
    with_heap(&target, |heap, names, python| {
        let collectors = heap.reader().and_then(|reader| python.collectors(reader).ok());
        let (_, whole) =
            through_a_file(heap, names, &collectors.unwrap_or_default(), Disclosure::Values);
        let folder = TempDir::new().expect("a folder");
        let path = folder.path().join("heap.leakspy");
        fs::write(&path, whole).expect("room");
        let whole = Columns::read(&path).expect("it is whole");
        let mut answered = 0;
        for seed in 0..CRAFTED {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut columns = whole.clone();
            for _ in 0..1 + seed % 5 / 2 {
                let mut number = || random.u64(..);
                let (column, kind) = (number(), number());
                columns.change(Change { column, kind, place: number(), value: number() });
            }
            columns.write(&path).expect("room");
            let begun = Instant::now();
            let asked = catch_unwind(|| ask(&path, Some(seed)));
            let asked = asked.unwrap_or_else(|_| panic!("file {seed} made leakspy panic"));
            assert!(begun.elapsed() < LONGEST, "file {seed} took {:?}", begun.elapsed());
            answered += u64::from(asked.is_ok());
        }
        println!("{answered} of {CRAFTED} crafted files had answers");
        assert!((CRAFTED / 20..CRAFTED).contains(&answered), "{answered}");
    })
}

/// Each file is refused by every command with one sentence that names it and says what it is.
pub fn what_is_no_snapshot_is_refused_in_a_sentence(
    interpreter: &'static Interpreter,
) -> Result<(), Failed> {
    let target = Target::start(interpreter, "show", &[]);
    let folder = TempDir::new()?;
    let path = folder.path().join("heap.leakspy");
    let pid = target.pid().to_string();
    let written = leakspy(["snapshot", "--pid", &pid, "-o", path.to_str().expect("UTF-8")]);
    assert!(written.status.success(), "{written:?}");
    let whole = fs::read(&path)?;
    let half = &whole[..whole.len() / 2];
    let mut newer = whole.clone();
    newer[8] = 99;
    let mut changed = whole.clone();
    changed[whole.len() / 2] ^= 1;
    let zero_filled: Vec<u8> =
        half.iter().copied().chain(vec![0; whole.len() - half.len()]).collect();
    let no_heap = "is not a leakspy snapshot";
    let cases: [(&[u8], &str); 9] = [
        (b"", no_heap),
        (b"{\"schema\": 1}", no_heap),
        (b"\x7fELF\x02\x01\x01", no_heap),
        (&vec![0; 1 << 20], no_heap),
        (&whole[..10], "its end is missing"),
        (half, "its end is missing"),
        (&zero_filled, "its end is missing"),
        (&newer, "a newer leakspy wrote it"),
        (&changed, "is damaged"),
    ];
    for (content, says) in cases {
        fs::write(&path, content)?;
        for command in [&["heap"][..], &["cycles"], &["tree"], &["info"]] {
            if says == "is damaged" && command == ["info"] {
                continue;
            }
            refused(command, &path, says);
        }
    }
    fs::write(&path, &whole)?;
    refused(&["heap", "--max-memory", "10KB"], &path, "bytes of memory, and 10000 are allowed");
    refused(&["heap"], folder.path(), no_heap);
    let pipe = folder.path().join("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU)?;
    refused(&["heap"], &pipe, no_heap);
    Ok(())
}

fn refused(command: &[&str], path: &Path, says: &str) {
    let file = path.to_str().expect("UTF-8");
    let found = leakspy(command.iter().copied().chain([file]));
    let said = String::from_utf8_lossy(&found.stderr);
    assert_eq!(found.status.code(), Some(1), "{command:?}: {said}");
    assert!(found.stdout.is_empty(), "{command:?}");
    assert!(said.contains(says) && said.contains(file), "{command:?} says {said}");
    assert_eq!(said.trim_end().lines().count(), 1, "{said}");
}
