//! Files that are no cores, and cores whose bytes are not as they were written: a sentence or an answer, in
//! bounded time, and never a panic.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use leakspy::process::core::binaries::Places;
use leakspy::source::{CoreFile, Source};
use libtest_mimic::Failed;
use tempfile::TempDir;

use super::open;
use crate::support::cores::{gcore, stop};
use crate::support::{Interpreter, Target, leakspy};

/// How long the answer of a damaged core may take.
const MOST: Duration = Duration::from_secs(20);

fn core(interpreter: &Interpreter, folder: &TempDir) -> Result<Option<PathBuf>, Failed> {
    let target = Target::start_at(interpreter, "show", &[], folder.path());
    stop(&target);
    gcore(&target, folder)
}

/// Whichever of its headers, notes and words of memory are changed, and wherever it is cut off.
pub fn a_damaged_core_is_refused_or_answered(
    interpreter: &'static Interpreter,
) -> Result<(), Failed> {
    let folder = TempDir::new()?;
    let Some(path) = core(interpreter, &folder)? else { return Ok(()) };
    let whole = fs::read(&path)?;
    let places = || Places { sysroot: interpreter.root.clone(), only_sysroot: false };
    let answer = |path: &Path| -> Result<u32, String> {
        let core = CoreFile::open(path, places(), None).map_err(|error| error.to_string())?;
        let _ = core.threads(None);
        let heap = core.heap().map_err(|error| error.to_string())?;
        Ok(heap.analysis.total().objects)
    };
    let objects = answer(&path)?;
    let cut = folder.path().join("cut");
    for place in [0, 3, 63, 64, 1000, whole.len() / 2, whole.len() / 4 * 3] {
        fs::write(&cut, &whole[..place])?;
        let refused = answer(&cut).expect_err("it is cut off");
        assert!(refused.contains("truncated") || place < 64, "{refused}");
    }
    // gcore writes the notes behind the memory.
    let notes = whole.len() - 0x5000;
    let mut random = fastrand::Rng::with_seed(17);
    let mut refused = 0;
    for round in 0..60 {
        let mut damaged = whole.clone();
        for _ in 0..1 + round % 8 {
            let place = match round % 3 {
                0 => random.usize(..64 + 56 * 30),
                1 => random.usize(notes..whole.len()),
                _ => random.usize(..whole.len()),
            };
            damaged[place] = random.u8(..);
        }
        fs::write(&cut, &damaged)?;
        let began = Instant::now();
        match answer(&cut) {
            Ok(found) => assert!(found <= 4 * objects, "{found} of {objects}"),
            Err(sentence) => {
                assert!(!sentence.is_empty());
                refused += 1;
            }
        }
        assert!(began.elapsed() < MOST, "round {round} took {:?}", began.elapsed());
    }
    assert!((5..60).contains(&refused), "{refused} of 60 were refused");
    Ok(())
}

/// Each is refused with a sentence that says what it is.
pub fn what_is_no_core_is_refused() -> Result<(), Failed> {
    let folder = TempDir::new()?;
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).expect("room");
        path
    };
    let mut other = [0; 64];
    other[..20].copy_from_slice(&[
        0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0xb7, 0,
    ]);
    other[20] = 1;
    let own = std::env::current_exe()?;
    for (path, words) in [
        (own, "a program or a library and not a core file"),
        (file("empty", b""), "not a core file: it is empty"),
        (file("text", b"text that is long enough to be read as one thing or other"), "not a core"),
        (file("dump", b"MDMP\x93\xa7\0\0 and more"), "a minidump, which has no heap"),
        (file("snapshot", b"\x89LSPY\r\n\x1a and more"), "given without `--core`"),
        (file("packed", b"\xfd7zXZ\0 and more"), "xz -dk"),
        (file("zstd", b"\x28\xb5\x2f\xfd and more"), "cannot be decompressed"),
        (file("lz4", b"\x04\x22\x4d\x18 and more"), "cannot be decompressed"),
        (file("other", &other), "a program for AARCH64"),
        (folder.path().to_owned(), "not a regular file"),
        (folder.path().join("absent"), "No such file"),
    ] {
        let output = leakspy(["heap", "--core", path.to_str().expect("UTF-8")]);
        let said = String::from_utf8(output.stderr)?;
        assert!(!output.status.success() && said.contains(words), "{}: {said}", path.display());
        assert!(said.contains(path.to_str().expect("UTF-8")), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
    let program = Command::new("sleep").arg("100").spawn();
    let mut program = program?;
    let written = Command::new("gcore")
        .arg("-o")
        .arg(folder.path().join("sleep"))
        .arg(program.id().to_string())
        .output();
    program.kill()?;
    program.wait()?;
    if written.is_ok_and(|output| output.status.success()) {
        let path = folder.path().join(format!("sleep.{}", program.id()));
        let output = leakspy(["heap", "--core", path.to_str().expect("UTF-8")]);
        let said = String::from_utf8(output.stderr)?;
        assert!(said.contains("is not a Python"), "{said}");
    }
    Ok(())
}

/// As coredumpctl keeps them: compressed with zstd or lz4.
pub fn a_compressed_core_is_read(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let folder = TempDir::new()?;
    let Some(path) = core(interpreter, &folder)? else { return Ok(()) };
    let objects = |path: &Path| -> Result<u32, Failed> {
        Ok(open(path, interpreter)?.heap()?.analysis.total().objects)
    };
    let expected = objects(&path)?;
    let mut read = 0;
    for (command, ending) in [("zstd", "zst"), ("lz4", "lz4")] {
        let packed = folder.path().join(format!("core.{ending}"));
        let output = Command::new(command).arg("-q").arg(&path).arg("-o").arg(&packed).status();
        // lz4 takes the name of its output without an option.
        let output = match output {
            Ok(status) if !status.success() => {
                Command::new(command).arg("-q").arg(&path).arg(&packed).status()
            }
            output => output,
        };
        match output {
            Ok(status) => assert!(status.success(), "{command}"),
            Err(_) => continue,
        }
        assert_eq!(objects(&packed)?, expected, "{command}");
        let whole = fs::read(&packed)?;
        fs::write(&packed, &whole[..whole.len() / 2])?;
        let error = objects(&packed).expect_err("its end is missing");
        let said = error.message().unwrap_or_default().to_owned();
        assert!(said.contains("decompressed") || said.contains("truncated"), "{said}");
        read += 1;
    }
    assert!(read > 0 || std::env::var_os("CI").is_none(), "neither zstd nor lz4 is here");
    Ok(())
}
