//! What a capture leaves out: bodies of objects and native blocks count in full, in `heap` and in `mem`, and
//! hardly any of them is copied. What is needed all the same is not lost.

use leakspy::heap::{Capture, CaptureOptions, Composition, TypeCounts};
use leakspy::process::Process;
use leakspy::python::Python;
use libtest_mimic::{Failed, Trial};

use crate::support::{Interpreter, Target, cases};

const MIB: u64 = 1 << 20;
/// A part of the resident set.
type Part = fn(&Composition) -> u64;
/// Kinds of bodies: how many, and the bytes of each.
const BODIES: [(&str, u64, u64); 7] = [
    ("bytes", 20, 1_000_000),
    ("text", 20, 1_000_000),
    ("bytearray", 200, 100_000),
    ("array", 200, 100_000),
    ("array", 500, 20_000),
    ("native", 200, 100_000),
    ("nodes", 4, 1_000_000),
];

pub fn trials() -> Vec<Trial> {
    let mut trials = cases("bodies", bodies_are_counted_and_not_copied);
    trials.extend(cases("bodies_missed", what_was_left_out_and_is_needed_is_captured));
    trials.extend(cases("bodies_replaced", objects_where_a_body_was_are_captured));
    trials
}

fn bodies_are_counted_and_not_copied(interpreter: &Interpreter) -> Result<(), Failed> {
    let mut target = Target::start(interpreter, "bodies", &[]);
    let process = Process::open(target.pid())?;
    let python = Python::attach(&process)?;
    let options = CaptureOptions::default();
    let before = Composition::of(&process, &python, &options)?;
    let [mut objects, mut buffers, mut native] = [0; 3];
    for (kind, count, size) in BODIES {
        let before = Capture::take(&process, &python, &options)?.facts;
        let owned = target.ask(&format!("make {kind} {count} {size}")).as_u64().expect("a number");
        let (capture, counts) = TypeCounts::take(&process, &python, &options)?;
        let facts = capture.facts;
        // An object's header is on a page, its list may be on some, and the header of a small block is everywhere.
        let copied = facts.copied.saturating_sub(before.copied);
        let most = owned / 10 + count * 4096;
        assert!(kind == "nodes" || copied < most, "{kind}: {copied} of {owned}, {facts:?}");
        assert_eq!(counts.inconsistencies.count(), 0, "{kind}");
        let named = match kind {
            "text" => "str",
            "array" => "array.array",
            kind => kind,
        };
        // From 3.15 on the bytes of a bytearray are an object of their own.
        let is_it = |name: &str| name == named || kind == "bytearray" && name == "bytes";
        let found = counts.by_type().filter(|(it, _)| is_it(&it.name));
        let found: u64 = found.map(|(_, count)| count.bytes()).sum();
        let is_native = matches!(kind, "native" | "nodes");
        assert!(is_native || found >= owned, "{kind}: {found} of {owned}");
        *match kind {
            "bytes" | "text" => &mut objects,
            "bytearray" if python.version.minor >= 15 => &mut objects,
            "native" | "nodes" => &mut native,
            _ => &mut buffers,
        } += owned;
    }
    let parts = Composition::of(&process, &python, &options)?;
    assert_eq!(parts.sum(), parts.rss, "{parts:?}");
    let parts_of: [(u64, Part); 3] = [
        (objects, |it| it.python.large_objects),
        (buffers, |it| it.python.large_buffers),
        (native, |it| it.malloc.others),
    ];
    for (owned, part) in parts_of {
        let gained = part(&parts).saturating_sub(part(&before));
        assert!(gained.abs_diff(owned) < owned / 20 + MIB, "{gained} of {owned}, {parts:?}");
    }
    target.assert_healthy();
    Ok(())
}

/// A list of objects outside pymalloc whose class is there as well leads to nothing that surely is Python's.
fn what_was_left_out_and_is_needed_is_captured(interpreter: &Interpreter) -> Result<(), Failed> {
    const COUNT: u64 = 20_000;
    let mut target = Target::start(interpreter, "bodies", &[]);
    let process = Process::open(target.pid())?;
    let python = Python::attach(&process)?;
    let options = CaptureOptions::default();
    target.ask(&format!("make wide {COUNT} 0"));
    let first = Capture::take(&process, &python, &options)?;
    let counts = TypeCounts::of(&first, &python, 2, true)?;
    let wide = |counts: &TypeCounts| {
        let found = counts.by_type().find(|(kind, _)| kind.name.ends_with("Wide"));
        found.map_or(0, |(_, count)| count.objects)
    };
    assert!(!first.missed().is_empty(), "{:?} with {} found", first.facts, wide(&counts));
    drop(first);
    let (capture, counts) = TypeCounts::take(&process, &python, &options)?;
    assert_eq!(wide(&counts), COUNT);
    assert_eq!(capture.missed(), []);
    assert!(capture.facts.paused > capture.facts.pause, "{:?}", capture.facts);
    target.assert_healthy();
    Ok(())
}

/// Memory that only had text before the pause has objects in it by then: a prediction can be wrong each time.
fn objects_where_a_body_was_are_captured(interpreter: &Interpreter) -> Result<(), Failed> {
    const LOOKS: u32 = 2;
    let mut target = Target::start(interpreter, "bodies", &[]);
    let process = Process::open(target.pid())?;
    let python = Python::attach(&process)?;
    target.ask("refill");
    for _ in 0..LOOKS {
        let (capture, counts) = TypeCounts::take(&process, &python, &CaptureOptions::default())?;
        assert_eq!(counts.inconsistencies.count(), 0, "{:?}", capture.facts);
        assert_eq!(capture.missed(), []);
    }
    target.assert_healthy();
    Ok(())
}
