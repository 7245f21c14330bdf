//! Snapshot files: every analysis gives the same answer for a file as for the capture that it was made from,
//! and nothing in a file is trusted.

mod commands;
mod crafted;
mod exports;
mod hostile;
mod hunted;

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use leakspy::heap::{Analysis, Grouping, NodeId, Owner, RootNames, Selector, Summary, largest};
use leakspy::inspect::cycles::cycles;
use leakspy::inspect::dominator_tree::tree;
use leakspy::inspect::live::{Heavy, live};
use leakspy::inspect::object;
use leakspy::inspect::subgraph::{self, Direction, picture};
use leakspy::inspect::why::{self, why};
use leakspy::python::collector::Collector;
use leakspy::python::objects::Disclosure;
use leakspy::render::branches::Extent;
use leakspy::render::heap::{json, table};
use leakspy::render::{self, graph};
use leakspy::snapshot::container::Reader;
use leakspy::snapshot::{self, Facts, Snapshot};
use leakspy::source::Provenance;
use libtest_mimic::{Failed, Trial};
use tempfile::TempDir;

use crate::support::{Interpreter, Target, cases, interpreters, with_heap};

/// No snapshot of a fixture takes more memory than this.
const ALLOWED: u64 = 1 << 30;
/// How many objects of a heap are shown and asked about one by one.
const SOME: usize = 12;
/// The types for which each path is requested, and those with several paths to each object.
const TYPES: [&str; 9] = [
    "dict",
    "cell",
    "function",
    "frame",
    "module",
    "generator",
    "__main__.Kept",
    "__main__.Pair",
    "__main__.Row",
];
const WITH_SEVERAL: [&str; 2] = ["__main__.Kept", "generator"];

/// Fixtures whose heaps together have every kind of content.
const FIXTURES: [&str; 3] = ["why", "cycles", "holders"];

pub fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for fixture in FIXTURES {
        let test = move |interpreter| a_file_says_what_the_capture_said(interpreter, fixture);
        trials.extend(cases(&format!("snapshot_{fixture}"), test));
    }
    trials.extend(cases("snapshot_values", what_is_not_to_be_told_is_not_in_the_file));
    trials.extend(cases("snapshot_diff", commands::two_files_are_compared_object_by_object));
    trials.extend(cases("snapshot_commands", commands::a_file_says_what_the_process_says));
    trials.extend(cases("snapshot_chrome", exports::chrome_has_every_object_and_reference));
    trials.extend(cases("snapshot_pprof", exports::pprof_has_every_byte));
    let some = interpreters().last().expect("an interpreter");
    trials.push(Trial::test(format!("snapshot_damaged::{}", some.name), move || {
        a_damaged_file_is_refused(some)
    }));
    trials.push(Trial::test(format!("snapshot_crafted::{}", some.name), move || {
        hostile::a_crafted_file_has_an_answer_or_an_error(some)
    }));
    trials.push(Trial::test(format!("snapshot_missing::{}", some.name), move || {
        commands::what_a_file_has_not_is_said(some)
    }));
    trials.push(Trial::test(format!("snapshot_folder::{}", some.name), move || {
        commands::a_family_has_a_folder(some)
    }));
    trials.push(Trial::test(format!("snapshot_name::{}", some.name), move || {
        commands::a_process_is_found_by_its_name(some)
    }));
    trials.extend(cases("snapshot_births", hunted::births_are_told_from_files));
    trials.extend(cases("snapshot_hunted", hunted::files_have_what_the_hunt_found));
    trials.push(Trial::test(format!("snapshot_hunted_without_leak::{}", some.name), move || {
        hunted::files_without_leaks_have_none(some)
    }));
    trials.push(Trial::test(format!("snapshot_hunted_refused::{}", some.name), move || {
        hunted::what_allows_no_verdict_is_refused(some)
    }));
    trials.push(Trial::test(format!("snapshot_other_files::{}", some.name), move || {
        hostile::what_is_no_snapshot_is_refused_in_a_sentence(some)
    }));
    trials
}

fn facts(disclosure: Disclosure) -> Facts {
    Facts {
        leakspy: "0".to_owned(),
        host: "here".to_owned(),
        pid: 1,
        started: 2,
        command: "python fixture.py".to_owned(),
        executable: "/usr/bin/python".to_owned(),
        python: "3.x".to_owned(),
        time: Duration::from_secs(1_700_000_000),
        clock: None,
        pause: Duration::from_millis(1),
        paused: Duration::from_millis(1),
        copied: 1,
        left_out: 0,
        rss: 1,
        open_lists: 0,
        dangling: 0,
        unreadable: 0,
        disclosure: disclosure.into(),
    }
}

/// The contents of a file with only a heap.
fn written<'a>(
    analysis: &'a Analysis<'a>,
    names: &'a RootNames,
    collectors: &'a [Collector],
    facts: &'a Facts,
) -> snapshot::Heap<'a> {
    snapshot::Heap {
        analysis,
        names,
        collectors,
        facts,
        composition: None,
        threads: None,
        waste: None,
    }
}

/// Writes a heap to a file and reads it back.
fn through_a_file(
    heap: &Analysis<'_>,
    names: &RootNames,
    collectors: &[Collector],
    disclosure: Disclosure,
) -> (Snapshot, Vec<u8>) {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("heap.leakspy");
    let facts = Facts {
        paused: heap.facts.paused,
        rss: heap.facts.rss,
        copied: heap.facts.copied,
        ..facts(disclosure)
    };
    let file = written(heap, names, collectors, &facts);
    let length = snapshot::write(&path, file, &mut |_| ()).expect("room");
    let bytes = fs::read(&path).expect("it is there");
    assert_eq!(length, bytes.len() as u64);
    (Snapshot::open(&path, ALLOWED).expect("it is whole"), bytes)
}

/// The answers of all analyses for a heap, each with its question.
pub fn answers(
    heap: &Analysis<'_>,
    names: &RootNames,
    collectors: &[Collector],
    disclosure: Disclosure,
) -> Vec<(String, String)> {
    let mut all = Vec::new();
    let mut add = |asked: String, bytes: Vec<u8>| {
        all.push((asked, String::from_utf8(bytes).expect("it is text")));
    };
    let owner = || Owner { pid: 1, command: "python".to_owned(), python: "3.x".to_owned() };
    let look = Provenance {
        owner: owner(),
        time: SystemTime::UNIX_EPOCH,
        pause: heap.facts.paused,
        inconsistencies: 0,
    };
    for by in [Grouping::Type, Grouping::Module, Grouping::Size, Grouping::Generation] {
        let mut summary = Summary::of(heap, owner(), by);
        summary.time = SystemTime::UNIX_EPOCH;
        summary.largest = largest(heap, names, 20, disclosure);
        let mut bytes = Vec::new();
        let columns = table::Columns { group: "group", top: 10_000, sort: None, own: false };
        table::write(&summary, columns, &mut bytes).expect("memory takes it");
        json::write(&summary, None, &mut bytes).expect("memory takes it");
        add(format!("heap by {by:?}"), bytes);
    }
    let extent = Extent { breadth: 50, depth: 60, least: 0 };
    let mut bytes = Vec::new();
    let lines = tree(&live(heap, names, None, Heavy::of(heap), disclosure));
    render::tree::write(&lines, heap.total(), &look, extent, &mut bytes).expect("memory takes it");
    render::tree::write_json(&lines, heap.total(), &look, 60, &mut bytes).expect("memory takes it");
    add("tree".to_owned(), bytes);
    let mut bytes = Vec::new();
    let found = cycles(heap, names, collectors.to_vec());
    render::cycles::write(&found, &look, None, 1000, &mut bytes).expect("memory takes it");
    render::cycles::write_json(&found, &look, None, &mut bytes).expect("memory takes it");
    add("cycles".to_owned(), bytes);

    for name in TYPES {
        for paths in if WITH_SEVERAL.contains(&name) { vec![1, 4] } else { vec![1] } {
            let subject = Selector::Type(name.to_owned());
            let Ok(nodes) = subject.find(heap) else { continue };
            let options = why::Options { paths, excluded: Vec::new(), disclosure };
            let found = why(heap, names, &nodes, &options);
            let mut bytes = Vec::new();
            render::why::write(&found, &look, extent, &mut bytes).expect("memory takes it");
            render::why::write_json(&found, &look, &mut bytes).expect("memory takes it");
            add(format!("why {name}, {paths} paths"), bytes);
        }
    }
    let step = (heap.graph.objects().len() / SOME).max(1);
    for node in heap.graph.objects().step_by(step) {
        show(heap, names, node, disclosure, &look, &mut add);
    }
    for path in [
        "__main__:",
        "__main__:HOLDER",
        "__main__:LIST[2]",
        "sys:",
        "gc:nothing",
        "__main__:HOLDER.thing",
    ] {
        let found = path.parse::<Selector>().expect("a path").find(heap);
        add(path.to_owned(), format!("{found:?}").into_bytes());
    }
    all
}

fn show(
    heap: &Analysis<'_>,
    names: &RootNames,
    node: NodeId,
    disclosure: Disclosure,
    look: &Provenance,
    add: &mut dyn FnMut(String, Vec<u8>),
) {
    let mut bytes = Vec::new();
    let shown = object::show(heap, names, node, object::Options { most: 20, disclosure });
    render::show::write(&shown, look, &mut bytes).expect("memory takes it");
    render::show::write_json(&shown, look, &mut bytes).expect("memory takes it");
    add(format!("show {:#x}", shown.address), bytes);
    for direction in [Direction::Referrers, Direction::Referents, Direction::Chain] {
        let options = subgraph::Options {
            direction,
            depth: 3,
            breadth: 4,
            most: 30,
            excluded: Vec::new(),
            highlighted: vec!["dict".to_owned()],
            disclosure,
        };
        let mut bytes = Vec::new();
        graph::dot::write(&picture(heap, names, &[node], &options), &mut bytes)
            .expect("memory takes it");
        add(format!("graph {:#x}", shown.address), bytes);
    }
}

pub fn compare(live: Vec<(String, String)>, kept: Vec<(String, String)>) -> Result<(), Failed> {
    assert_eq!(live.len(), kept.len());
    for ((asked, live), (also, kept)) in live.into_iter().zip(kept) {
        assert_eq!(asked, also);
        if live != kept {
            let differs = live.lines().zip(kept.lines()).find(|(live, kept)| live != kept);
            return Err(format!("{asked}: {differs:#?}\n{live}\n---\n{kept}").into());
        }
    }
    Ok(())
}

fn a_file_says_what_the_capture_said(
    interpreter: &'static Interpreter,
    fixture: &str,
) -> Result<(), Failed> {
    let arguments: &[&str] = if fixture == "holders" { &["global"] } else { &[] };
    let target = Target::start(interpreter, fixture, arguments);
    with_heap(&target, |heap, names, python| {
        let collectors = heap.reader().map(|reader| python.collectors(reader));
        let collectors = collectors.expect("it was captured").expect("they can be read");
        for disclosure in [Disclosure::Names, Disclosure::Keys, Disclosure::Values] {
            let live = answers(heap, names, &collectors, disclosure);
            let (kept, bytes) = through_a_file(heap, names, &collectors, disclosure);
            let each = bytes.len() as f64 / heap.graph.objects().len() as f64;
            assert!(each < 15.0 || disclosure == Disclosure::Values, "{each} bytes an object");
            assert_eq!(kept.collectors, collectors);
            compare(live, answers(&kept.analysis, &kept.names, &kept.collectors, disclosure))?;
        }
        Ok(())
    })?
}

/// All text in a file, decompressed.
fn text_of(path: &Path) -> String {
    let reader = Reader::open(path, ALLOWED).expect("it is whole");
    let names: Vec<String> = reader.columns().map(|(name, ..)| name.to_owned()).collect();
    let columns = names.into_iter().filter_map(|name| reader.bytes(name.leak()).ok());
    columns.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).collect()
}

fn what_is_not_to_be_told_is_not_in_the_file(
    interpreter: &'static Interpreter,
) -> Result<(), Failed> {
    let target = Target::start(interpreter, "confidential", &[]);
    with_heap(&target, |heap, names, _| {
        let folder = TempDir::new().expect("a folder");
        let path = folder.path().join("heap.leakspy");
        let text = |disclosure| {
            let facts = facts(disclosure);
            let file = written(heap, names, &[], &facts);
            snapshot::write(&path, file, &mut |_| ()).expect("room");
            text_of(&path)
        };
        let told = text(Disclosure::Values);
        for known in ["customer", "471108151623", "hunter2", "hunter3", "kkkkk"] {
            assert!(told.contains(known), "{known}");
        }
        let told = text(Disclosure::Keys);
        for (known, is_told) in [
            ("customer", true),
            ("471108151623", true),
            ("hunter", false),
            ("kkkkk", false),
            ("password", true),
        ] {
            assert_eq!(told.contains(known), is_told, "{known}");
        }
        let told = text(Disclosure::Names);
        for (known, is_told) in [
            ("customer", false),
            ("471108151623", false),
            ("hunter", false),
            ("kkkkk", false),
            ("password", true),
        ] {
            assert_eq!(told.contains(known), is_told, "{known}");
        }
    })
}

/// Whichever byte of a file is changed, and wherever it is cut off: it is refused, or gives the same answers.
fn a_damaged_file_is_refused(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let target = Target::start(interpreter, "show", &[]);
    with_heap(&target, |heap, names, _| {
        let (kept, file) = through_a_file(heap, names, &[], Disclosure::Keys);
        let total = kept.analysis.total();
        let folder = TempDir::new().expect("a folder");
        let path = folder.path().join("heap.leakspy");
        let open = |bytes: &[u8]| {
            fs::write(&path, bytes).expect("room");
            Snapshot::open(&path, ALLOWED)
        };
        let step = file.len() / 200;
        for place in (0..file.len()).step_by(step) {
            let mut damaged = file.clone();
            damaged[place] ^= 0x55;
            if let Ok(found) = open(&damaged) {
                assert_eq!(found.analysis.total(), total, "{place}");
            }
            assert!(open(&file[..place]).is_err(), "{place}");
        }
        assert!(Snapshot::open(&path, 1000).is_err());
    })
}
