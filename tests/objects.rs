//! Every object of a heap with all the interpreter's own types, described from outside, against what
//! the interpreter itself says: `sys.getsizeof`, `gc.get_referents`, its type's name.

mod support;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use leakspy::memory::Cached;
use leakspy::python::Python;
use leakspy::python::objects::{Decoder, Edges};
use leakspy::target::Process;
use libtest_mimic::{Arguments, Failed};
use serde::Deserialize;
use support::{Interpreter, Target, cases};

/// No target of these tests has more memory than this.
const EXTENT: u64 = 1 << 30;

fn main() {
    let trials = cases("heap_types", are_what_the_interpreter_says);
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

/// What the fixture says of itself.
#[derive(Deserialize)]
struct Truth {
    objects: Vec<Row>,
    held: Vec<(u64, Vec<u64>)>,
    names: Vec<(u64, u64, String)>,
}

/// An object: its address, its type, its size, whether it is tracked, its referents.
type Row = (u64, String, i64, bool, Vec<u64>);

/// What was found to be different, by what it is and by type.
#[derive(Default)]
struct Differences(BTreeMap<(&'static str, String), Vec<String>>);

impl Differences {
    fn add(&mut self, what: &'static str, kind: &str, detail: String) {
        self.0.entry((what, kind.to_owned())).or_default().push(detail);
    }
}

fn are_what_the_interpreter_says(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let folder = interpreter.scratch();
    let path = folder.path().join("truth.json");
    let inside = interpreter.inside(&path).to_string_lossy().into_owned();
    let target = Target::start(interpreter, "heap_types", &[&inside]);
    let truth: Truth = serde_json::from_slice(&std::fs::read(path)?)?;
    let process = Process::open(target.pid())?;
    let python = Python::attach(&process)?;
    let memory = Cached::new(&process);
    let mut decoder = Decoder::new(&memory, &python, EXTENT);
    let mut edges = Edges::new();
    let mut differences = Differences::default();
    let known: HashMap<u64, &str> =
        truth.objects.iter().map(|row| (row.0, row.1.as_str())).collect();
    let name = |address: &u64| known.get(address).copied().unwrap_or("?");
    let mut unknown_types = BTreeSet::new();
    for (address, kind, size, _, referents) in &truth.objects {
        let shape = match decoder.describe(&memory, *address, &mut edges) {
            Ok(shape) => shape,
            Err(error) => {
                differences.add("error", kind, format!("{address:#x}: {error}"));
                continue;
            }
        };
        let found = decoder.kind(shape.kind).expect("its type is known");
        if found.name != *kind {
            differences.add("name", kind, found.name.clone());
        }
        let full = shape.shallow + found.header;
        if full as i64 != *size {
            differences.add("size", kind, format!("{address:#x}: expected {size}, found {full}"));
        }
        let truly: HashSet<u64> = referents.iter().copied().collect();
        let shown: HashSet<u64> = edges.shown.iter().copied().collect();
        let maybe: HashSet<u64> = edges.candidates.iter().copied().collect();
        if shape.conservative {
            unknown_types.insert(found.name.clone());
        }
        let named = |set: &mut dyn Iterator<Item = &u64>| {
            set.map(|address| name(address)).collect::<Vec<_>>().join(" ")
        };
        let missing = named(&mut truly.iter().filter(|a| !shown.contains(a) && !maybe.contains(a)));
        if !missing.is_empty() {
            differences.add("missing", kind, missing);
        }
        let excess = named(&mut shown.difference(&truly));
        if !excess.is_empty() {
            differences.add("excess", kind, excess);
        }
    }
    for (holder, things) in &truth.held {
        let kind = name(holder);
        decoder.describe(&memory, *holder, &mut edges)?;
        for thing in things {
            if !edges.shown.contains(thing) && !edges.held.contains(thing) {
                differences.add("held", kind, name(thing).to_owned());
            }
        }
    }
    for (holder, thing, how) in &truth.names {
        let found = decoder.link(&memory, *holder, *thing).map(|link| link.to_string());
        if found.as_deref() != Some(how) {
            differences.add("link", name(holder), format!("expected {how}, found {found:?}"));
        }
    }
    println!(
        "{}: {} objects, conservative: {:?}",
        interpreter.name,
        truth.objects.len(),
        unknown_types
    );
    let mut report = String::new();
    for ((what, kind), details) in &differences.0 {
        let some: BTreeSet<&String> = details.iter().collect();
        let some: Vec<_> = some.iter().take(4).collect();
        report += &format!("\n{what} {kind} x{}: {some:?}", details.len());
    }
    if report.is_empty() { Ok(()) } else { Err(report.into()) }
}
