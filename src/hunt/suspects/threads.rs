//! Threads that are started and never end: what they run, what they hold, and where they are started.

use rustc_hash::FxHashMap;

use super::names::STEP;
use crate::heap::{Analysis, Capture, Graph, RootId, RootKind, RootName, RootNames};
use crate::hunt::finding::Holder;
use crate::python::{Frame, Origin, Python};

/// The functions in which every thread of the module `threading` starts.
const BEGINNINGS: [&str; 4] = ["_bootstrap", "_bootstrap_inner", "run", "_run"];

/// The function that most threads run, and how many bytes each holds on average.
pub fn describe(heap: &Analysis<'_>, names: &RootNames) -> (Holder, f64) {
    let graph = &heap.graph;
    let mut running: FxHashMap<String, (u32, Frame)> = FxHashMap::default();
    let mut outermost: FxHashMap<RootId, Frame> = FxHashMap::default();
    // The function that a pool or an event loop runs says more than that loop.
    let mut own: FxHashMap<RootId, Frame> = FxHashMap::default();
    let (mut count, mut bytes) = (0_u32, 0_u64);
    for (root, known) in (0..).map(RootId).zip(graph.roots()) {
        match known.kind {
            RootKind::Thread { .. } => {
                count += 1;
                bytes = bytes.saturating_add(heap.amount(root.node()).bytes);
            }
            RootKind::Frame { thread, .. } => {
                if let Some(RootName::Frame { frame: Some(frame), .. }) = names.get(root)
                    && !is_beginning(frame)
                {
                    // Frames follow their thread, the innermost first.
                    outermost.insert(thread, frame.clone());
                    if Origin::of(&frame.file).0 == Origin::Program {
                        own.insert(thread, frame.clone());
                    }
                }
            }
            _ => {}
        }
    }
    outermost.extend(own);
    for frame in outermost.into_values() {
        let entry = running.entry(frame.function.to_string()).or_insert((0, frame));
        entry.0 += 1;
    }
    let most = running.into_values().max_by(|a, b| (a.0, &a.1.function).cmp(&(b.0, &b.1.function)));
    let name = most.map_or_else(|| "threads".to_owned(), |(_, frame)| frame.to_string());
    let holder = Holder {
        path: format!("threads{STEP}{name}"),
        name,
        kind: "threading.Thread".into(),
        address: None,
    };
    (holder, bytes as f64 / f64::from(count.max(1)))
}

fn is_beginning(frame: &Frame) -> bool {
    let name = frame.function.rsplit('.').next().unwrap_or_default();
    frame.file.ends_with("threading.py") && BEGINNINGS.contains(&name)
}

/// The dict that every thread is put into when it is started: `threading._limbo` (3.8 to 3.15).
pub fn started(capture: &Capture<'_>, python: &Python, graph: &Graph) -> Option<u64> {
    variable(capture, python, graph, "_limbo")
}

/// The dict of the threads that run: `threading._active` (3.8 to 3.15).
pub fn running(capture: &Capture<'_>, python: &Python, graph: &Graph) -> Option<u64> {
    variable(capture, python, graph, "_active")
}

/// A variable of the module `threading`.
fn variable(capture: &Capture<'_>, python: &Python, graph: &Graph, name: &str) -> Option<u64> {
    let is_threading =
        |kind: &RootKind| matches!(kind, RootKind::Module { name } if name == "threading");
    let module = graph.roots().iter().find(|root| is_threading(&root.kind))?;
    let globals = module.objects.get(1)?;
    python.item(capture, *globals, name).ok().flatten()
}
