//! Facts about CPython are in `src/python`, so that a new version costs a table there and nothing else; facts
//! about glibc are in `src/process/glibc.rs` and `src/heap/rss/malloc`.
//!
//! Three rules hold for the code of the layers above, tests excluded:
//!
//! 1. No code names the layout of the interpreter.
//! 2. A file that reads memory by words is in [`READERS`], with the reason why `python` does not do it.
//! 3. A number that could be an offset, a size or a flag of the interpreter is in [`NUMBERS`], with what it is
//!    instead. In a file that reads memory that is each number above 8, the bytes of a word. Elsewhere it is a
//!    multiple of 8 that is not one of 10, a hexadecimal number, or one that is shifted. Bounds of our own, which
//!    have names such as `MOST_STEPS`, times and units (`<< 20`) are free.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Folders of `src` that may know the interpreter or glibc, or that have formats of their own.
const KNOWING: [&str; 5] = ["python", "process", "memory", "snapshot", "heap/rss/malloc"];

/// The names of constants that bound or batch leakspy's own work.
const OURS: [&str; 7] = ["MOST", "LEAST", "FEWEST", "LONGEST", "LARGEST", "BATCH", "AHEAD"];

/// Files that read memory by words, and why.
const READERS: &[(&str, &str)] = &[
    ("heap/capture/copy.rs", "is memory"),
    ("heap/capture/left_out.rs", "looks for addresses among all words of a page"),
    ("heap/capture/whole.rs", "is memory"),
    ("heap/capture/window.rs", "is memory"),
    ("heap/capture/of_core.rs", "copies memory"),
    ("heap/rss/owners.rs", "looks for addresses of blocks among the words of objects"),
    ("heap/trace/roots.rs", "passes memory on"),
    ("heap/trace/chunks.rs", "passes memory on, but for what was not copied"),
    ("heap/trace/tracer.rs", "reads words whose addresses python gives, millions of them"),
    ("hunt/inserts/growth_counters.rs", "passes memory on"),
    ("hunt/inserts/instance_creation.rs", "passes memory on"),
    ("hunt/inserts/watched_suspects.rs", "reads words whose addresses python gives"),
    ("hunt/mallocs/follow.rs", "reads a return address from the stack"),
    ("hunt/suspects/bounds.rs", "reads words whose addresses python gives"),
    ("profile/calls.rs", "reads a return address from the stack"),
];

/// Numbers that look like the interpreter's: the file, a part of the line, and their real meaning.
const NUMBERS: &[(&str, &str, &str)] = &[
    ("cli/command.rs", "128 + ", "what a shell adds to the number of a signal"),
    ("cli/signals.rs", "128 + ", "what a shell adds to the number of a signal"),
    ("heap/capture/copy.rs", "const GRANULE_BITS", "of an index of ours"),
    ("heap/capture/left_out.rs", "const UNTOUCHED_PAGES", "how many pages are worth a gap"),
    ("heap/capture/left_out.rs", "const GRANULE_BITS", "of an index of ours"),
    ("heap/capture/left_out.rs", "const HIGHEST", "where addresses of user space end"),
    ("heap/capture/left_out.rs", "const ALIGNMENT", "what malloc aligns to"),
    ("heap/capture/plan.rs", "const SPARE_PART", "one in so many"),
    ("heap/capture/plan.rs", "const RESERVED", "mebibytes"),
    ("heap/capture/readers.rs", "const SMALL", "kibibytes"),
    ("heap/figures/selector.rs", "from_str_radix", "a base"),
    ("heap/graph/shortest_paths.rs", "const FAR", "how far ahead memory is fetched"),
    ("heap/names/kept.rs", "const KEY_ROWS", "how many rows share a start"),
    ("heap/rss/owners.rs", "const LOOK", "how much of an object is looked at"),
    ("heap/rss/owners.rs", "const LEADS_ON", "how large a buffer is that is looked into"),
    ("heap/support/huge_vec.rs", "const THRESHOLD", "of our own process's malloc"),
    ("heap/trace/recognition.rs", "room >= 16", "less than any object takes"),
    ("heap/trace/trace_log.rs", "slots / 16", "a guess at how many there are"),
    ("heap/trace/tracer.rs", "const TOGETHER", "how many are waited for at once"),
    ("heap/trace/tracer.rs", "const HEAD", "how much is fetched ahead"),
    ("hunt/compare/accumulation_points.rs", "const CHAIN", "a bound"),
    ("hunt/compare/identity/traits.rs", "print >> 32", "half of a hash"),
    ("hunt/compare/identity/traits.rs", "self.seen.len() * 64", "bits of a word"),
    ("hunt/compare/identity/traits.rs", "place / 64", "bits of a word"),
    ("hunt/fingerprint.rs", "from_str_radix(digits, 16)", "hexadecimal"),
    ("hunt/fingerprint.rs", "xxh3_64(text", "half of a hash"),
    ("hunt/inserts/instance_creation.rs", "const LOWEST", "where addresses begin"),
    ("hunt/inserts/instance_creation.rs", "const HIGHEST", "where addresses of user space end"),
    ("hunt/inserts/instance_creation.rs", "let near_stack", "how far a frame reaches"),
    ("hunt/mallocs/follow.rs", "const BURST", "how many calls are followed"),
    ("hunt/mallocs/follow.rs", "const NEVER", "more hits than there are"),
    ("hunt/suspects/containers.rs", "const NEWEST", "a bound"),
    ("inspect/waste/equal.rs", "const IDENTITY", "of a hash"),
    ("profile/calls.rs", "const FUNCTION_SPAN", "how long a function may be"),
    ("profile/bursts.rs", "u64::MAX >> 1", "a bound"),
    ("render/chart.rs", "let swatch", "pixels"),
    ("render/chrome.rs", "address >> 4", "what keeps the ids of 64 GiB apart"),
    ("render/flamegraph.rs", "const TITLE_CHARACTERS", "characters"),
    ("render/flamegraph.rs", "0x811c_9dc5", "of a hash"),
    ("render/flamegraph.rs", "hash >> 24", "of a hash"),
    ("render/labels.rs", "0xff", "characters"),
];

/// Code of the upper layers: the file below `src`, and its lines without comments, string literals and tests.
fn code() -> Vec<(String, Vec<String>)> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![source.clone()];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("src can be read") {
            let path: PathBuf = entry.expect("src can be read").path();
            let name = path.strip_prefix(&source).expect("it is inside").to_string_lossy();
            if KNOWING.contains(&&*name.replace(".rs", "")) {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if name.ends_with(".rs") {
                let text = fs::read_to_string(&path).expect("it is text");
                let text = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
                found.push((name.into_owned(), text.lines().map(bare).collect()));
            }
        }
    }
    assert!(found.len() > 100, "only {} files", found.len());
    found
}

/// A line without its comment and without the contents of string literals.
fn bare(line: &str) -> String {
    let mut bare = String::new();
    let mut characters = line.chars().peekable();
    let mut is_text = false;
    while let Some(character) = characters.next() {
        match character {
            '\\' if is_text => {
                characters.next();
            }
            '"' => is_text = !is_text,
            '/' if !is_text && characters.peek() == Some(&'/') => break,
            _ if is_text => {}
            _ => bare.push(character),
        }
    }
    bare
}

/// The numbers of a line that could be the interpreter's.
fn numbers(line: &str, reads_memory: bool) -> Vec<String> {
    let name = line.split("const ").nth(1).unwrap_or_default();
    if OURS.iter().any(|word| name.starts_with(word)) || line.contains("Duration::from_") {
        return Vec::new();
    }
    let is_word = |character: char| character.is_alphanumeric() || "_.".contains(character);
    let mut found = Vec::new();
    let mut rest = line;
    while let Some(start) = rest.find(is_word) {
        let (before, word) = rest.split_at(start);
        let end = word.find(|character| !is_word(character)).unwrap_or(word.len());
        let (word, after) = word.split_at(end);
        // Shifts by 20 or 30 make mebibytes and gibibytes.
        let is_unit = ["20", "30"].contains(&word);
        let is_shifted = before.ends_with("<< ") || before.ends_with(">> ");
        if is_shifted && is_unit {
            rest = after;
            continue;
        }
        if let Some(number) = number(word) {
            let like_one = number.is_multiple_of(8) && !number.is_multiple_of(10);
            let is_hex = word.starts_with("0x");
            if number > 8 && (reads_memory || like_one) || is_hex || is_shifted {
                found.push(word.to_owned());
            }
        }
        rest = after;
    }
    found
}

/// An integer literal of Rust.
fn number(word: &str) -> Option<u64> {
    const SUFFIXES: [&str; 6] = ["usize", "u64", "u32", "u16", "i64", "i32"];
    let word = SUFFIXES.iter().find_map(|suffix| word.strip_suffix(suffix)).unwrap_or(word);
    let digits = word.replace('_', "");
    match digits.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => digits.parse().ok(),
    }
}

#[test]
fn nobody_else_names_the_layout_of_the_interpreter() {
    for (file, lines) in code() {
        for line in lines {
            let names = ["python::layout", "python.layout", "layout::Layout", "PyTypeObject"];
            let found = names.iter().find(|name| line.contains(**name));
            assert_eq!(found, None, "{file}: {line}");
        }
    }
}

#[test]
fn whoever_reads_memory_says_why() {
    let words = |line: &str| {
        let mut words =
            line.split(|character: char| !character.is_alphanumeric() && character != '_');
        words.any(|word| ["Memory", "u64_at", "u32_at"].contains(&word))
    };
    let readers: BTreeSet<String> = code()
        .into_iter()
        .filter(|(_, lines)| lines.iter().any(|line| words(line)))
        .map(|(file, _)| file)
        .collect();
    let allowed = READERS.iter().map(|(file, _)| (*file).to_owned()).collect();
    assert_eq!(readers, allowed, "see the top of this file");
}

#[test]
fn numbers_that_look_like_the_interpreters_are_something_else() {
    let (mut used, mut unknown) = (BTreeSet::new(), Vec::new());
    for (file, lines) in code() {
        let reads_memory = READERS.iter().any(|(reader, _)| *reader == file);
        for line in lines {
            for number in numbers(&line, reads_memory) {
                let is_it =
                    |&(other, part, _): &(&str, &str, _)| other == file && line.contains(part);
                match NUMBERS.iter().position(is_it) {
                    Some(place) => _ = used.insert(place),
                    None => unknown.push(format!("{file}: {number} in `{}`", line.trim())),
                }
            }
        }
    }
    assert!(unknown.is_empty(), "what are these? See the top of {}: {unknown:#?}", file!());
    let all = NUMBERS.iter().enumerate();
    let stale: Vec<_> = all.filter(|(place, _)| !used.contains(place)).map(|(_, it)| it).collect();
    assert!(stale.is_empty(), "no longer there: {stale:?}");
}

#[test]
fn numbers_are_found() {
    assert_eq!(numbers("const TP_DEL: usize = 376;", false), ["376"]);
    assert_eq!(numbers("const IMMORTAL: u32 = 1 << 31;", false), ["31"]);
    assert_eq!(numbers("let flag = 0x2000_u32;", false), ["0x2000_u32"]);
    assert_eq!(numbers("memory.u64(object.wrapping_add(40))", true), ["40"]);
    assert_eq!(numbers("const MOST_STEPS: usize = 24; f(0.5, 1000, x16, 8)", true), [""; 0]);
    assert_eq!(bare("a(\"16 // \\\" 24\") // 32"), "a() ");
}
