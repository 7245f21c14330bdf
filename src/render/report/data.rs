//! The figures of a report: the documents that the commands print as JSON, cut to what a page can show.

use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};

use crate::heap::{Composition, Summary};
use crate::hunt::together::together;
use crate::hunt::verdict::Verdict;
use crate::inspect::cycles::Cycles;
use crate::inspect::dominator_tree::{Line, Part};
use crate::inspect::waste::Waste;
use crate::python::thread_dump::ThreadDump;
use crate::render::chart::thinned;
use crate::render::labels::short_places;
use crate::render::{
    RenderError, composition, cycles, dump, heap, hunt, hunt_of_several, phrases, waste,
};
use crate::source::{Heap, Identity};
use crate::timeline::{Measure, Timeline, Who};

/// The most lines of the tree.
pub(super) const MOST_LINES: usize = 12_000;
/// The most rows of each table.
const MOST_ROWS: usize = 1000;
/// The most threads, and frames of each.
const MOST_THREADS: usize = 200;
/// The most characters of a name or a path.
const LONGEST: usize = 300;
/// The most accumulation points, and the fewest objects of one.
const MOST_POINTS: usize = 40;
const FEWEST_OBJECTS: u64 = 100;
/// The most processes whose memory is drawn over time, and in how many columns.
const MOST_SERIES: usize = 8;
const COLUMNS: usize = 200;

/// Everything that a report says.
#[derive(Debug)]
pub struct Parts<'a> {
    /// The process.
    pub identity: &'a Identity,
    /// Its heap.
    pub heap: &'a Heap<'a>,
    /// The figures of that, with the largest objects.
    pub summary: &'a Summary,
    /// The dominator tree.
    pub lines: &'a [Line],
    /// What its resident set is made of, if known.
    pub composition: Option<Composition>,
    /// The stacks of its threads, if known.
    pub threads: Option<ThreadDump>,
    /// What is needless, if known.
    pub waste: Option<&'a Waste>,
    /// Its cycles.
    pub cycles: &'a Cycles,
    /// The time on its monotonic clock, if known.
    pub clock: Option<Duration>,
    /// What a hunt has found, if there was one.
    pub verdicts: &'a [Verdict],
    /// Its memory over time, if that was recorded.
    pub timeline: Option<&'a Timeline>,
}

#[derive(Serialize)]
struct TreeLine {
    depth: usize,
    kind: &'static str,
    words: String,
    retained: u64,
    objects: u64,
}

impl Parts<'_> {
    /// The whole, with at most so many lines of the tree.
    pub(super) fn document(&self, most_lines: usize) -> Result<Value, RenderError> {
        let (heap, provenance) = (self.heap, &self.heap.provenance);
        let all = heap.analysis.total();
        let mut summary = written(|out| heap::json::write(self.summary, None, out))?;
        let more_types = cut(&mut summary, "types", MOST_ROWS);
        put(&mut summary, "more_types", json!(more_types));
        let mut cycles =
            written(|out| cycles::write_json(self.cycles, provenance, self.clock, out))?;
        let more_patterns = cut(&mut cycles, "patterns", MOST_ROWS);
        put(&mut cycles, "more_patterns", json!(more_patterns));
        let waste = self
            .waste
            .map(|found| written(|out| waste::write_json(found, all.bytes, provenance, out)));
        let threads = self.threads.as_ref().map(|threads| self.threads(threads));
        let part = self
            .composition
            .map(|composition| composition::Part { composition, owner: self.identity.owner() });
        let mem = part.map(|part| written(|out| composition::write_json(&part, None, out)));
        let (tree, more) = tree_lines(self.lines, most_lines);
        let mut document = json!({
            "leakspy": env!("CARGO_PKG_VERSION"),
            "total": {"objects": all.objects, "bytes": all.bytes},
            "heap": summary,
            "cycles": cycles,
            "waste": waste.transpose()?,
            "threads": threads.transpose()?,
            "mem": mem.transpose()?,
            "shares": self.composition.as_ref().map(shares),
            "tree": {"lines": tree, "more": more},
            "points": points(self.lines),
            "timeline": self.timeline.map(over_time),
            "hunt": together(self.verdicts),
            "verdict_text": self.verdict_text()?,
        });
        shorten(&mut document);
        Ok(document)
    }

    fn threads(&self, threads: &ThreadDump) -> Result<Value, RenderError> {
        let identity = self.identity.clone();
        let dump = dump::Dump {
            pid: identity.pid,
            command: identity.command,
            version: identity.version,
            executable: identity.executable,
            threads: threads.clone(),
            death: None,
        };
        let mut document = written(|out| Ok(dump::write_json(&dump, None, out)?))?;
        let more = cut(&mut document, "threads", MOST_THREADS);
        put(&mut document, "more_threads", json!(more));
        let threads = document.get_mut("threads").and_then(Value::as_array_mut);
        for thread in threads.into_iter().flatten() {
            cut(thread, "stack", MOST_THREADS);
        }
        Ok(document)
    }

    /// What `leakspy hunt` prints.
    fn verdict_text(&self) -> Result<Option<String>, RenderError> {
        let mut text = Vec::new();
        match self.verdicts {
            [] => return Ok(None),
            [one] => hunt::write_text(one, &mut text)?,
            several => hunt_of_several::write_text(several, &[], &mut text)?,
        }
        Ok(Some(String::from_utf8_lossy(&text).into_owned()))
    }
}

/// The resident sets of processes over time, the sum over all first.
fn over_time(timeline: &Timeline) -> Value {
    let measure = Measure::Rss;
    let begin = timeline.begin();
    let ends = timeline.series.iter().filter_map(|series| series.samples.last());
    let end = ends.map(|sample| sample.time_s - begin).fold(1e-3, f64::max);
    let series = timeline.series.iter().take(MOST_SERIES).map(|series| {
        let points: Vec<(f64, f64)> =
            series.points(measure).map(|(time, bytes)| (time - begin, bytes as f64)).collect();
        let name = match series.who {
            Who::All => "all processes together".to_owned(),
            Who::Process(pid, _) => format!("{pid} {}", series.command()),
        };
        let thin = thinned(&points, end, COLUMNS).into_iter();
        let points: Vec<(f64, u64)> =
            thin.map(|(time, bytes)| ((1e3 * time).round() / 1e3, bytes as u64)).collect();
        json!({"name": name, "words": phrases::series(series, measure), "points": points})
    });
    let more = timeline.series.len().saturating_sub(MOST_SERIES);
    json!({"begin_s": begin, "end_s": end, "series": series.collect::<Vec<_>>(), "more": more})
}

/// The JSON that a command writes.
fn written(
    write: impl FnOnce(&mut Vec<u8>) -> Result<(), RenderError>,
) -> Result<Value, RenderError> {
    let mut bytes = Vec::new();
    write(&mut bytes)?;
    Ok(serde_json::from_slice(&bytes)?)
}

/// Cuts an array of a document; returns how many rows are gone.
fn cut(document: &mut Value, key: &str, most: usize) -> usize {
    let Some(rows) = document.get_mut(key).and_then(Value::as_array_mut) else { return 0 };
    let more = rows.len().saturating_sub(most);
    rows.truncate(most);
    more
}

fn put(document: &mut Value, key: &str, value: Value) {
    if let Some(object) = document.as_object_mut() {
        object.insert(key.to_owned(), value);
    }
}

/// Shortens all names: a thousand of them must not fill the page.
fn shorten(value: &mut Value) {
    match value {
        Value::String(text) if text.len() > LONGEST => *text = shortened(text),
        Value::Array(items) => items.iter_mut().for_each(shorten),
        Value::Object(fields) => {
            // The text of a verdict is short in itself.
            let named = fields.iter_mut().filter(|(key, _)| *key != "verdict_text");
            named.for_each(|(_, value)| shorten(value));
        }
        _ => {}
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

fn words(part: &Part) -> (&'static str, String) {
    match part {
        Part::Root(words) => ("root", shortened(words)),
        Part::Frame(frame) => ("frame", shortened(&frame.in_short().to_string())),
        Part::Objects(words) => ("held", shortened(&short_places(words))),
    }
}

/// The lines that retain the most, and for those left out below each, one that sums them up.
fn tree_lines(lines: &[Line], most: usize) -> (Vec<TreeLine>, u64) {
    let mut sizes: Vec<u64> = lines.iter().map(|line| line.bytes).collect();
    sizes.sort_unstable_by(|one, other| other.cmp(one));
    let least = sizes.get(most).map_or(0, |size| size + 1);
    let mut shown = Vec::new();
    let mut more = 0;
    // For each depth, what was left out below the line above.
    let mut rest: Vec<(u64, u64, u64)> = Vec::new();
    let mut hidden = usize::MAX;
    let close = |shown: &mut Vec<TreeLine>, rest: &mut Vec<(u64, u64, u64)>, to: usize| {
        while rest.len() > to {
            let depth = rest.len() - 1;
            if let Some((count @ 1.., retained, objects)) = rest.pop() {
                let words = format!("and {count} more");
                shown.push(TreeLine { depth, kind: "more", words, retained, objects });
            }
        }
    };
    for line in lines {
        let depth = line.depth as usize;
        if depth > hidden {
            more += 1;
            continue;
        }
        hidden = usize::MAX;
        close(&mut shown, &mut rest, depth + 1);
        rest.resize(depth + 1, (0, 0, 0));
        if line.bytes < least {
            if let Some((count, bytes, objects)) = rest.last_mut() {
                *count += 1;
                *bytes = bytes.saturating_add(line.bytes);
                *objects = objects.saturating_add(line.objects);
            }
            hidden = depth;
            more += 1;
            continue;
        }
        let (kind, words) = words(&line.part);
        shown.push(TreeLine { depth, kind, words, retained: line.bytes, objects: line.objects });
    }
    close(&mut shown, &mut rest, 0);
    (shown, more)
}

/// The lines with the most objects of their own, each with the way to it.
fn points(lines: &[Line]) -> Vec<Value> {
    let mut largest: Vec<(usize, &Line)> =
        lines.iter().enumerate().filter(|(_, line)| line.own >= FEWEST_OBJECTS).collect();
    largest.sort_by_key(|(_, line)| std::cmp::Reverse(line.own));
    largest.truncate(MOST_POINTS);
    let path = |at: usize, line: &Line| {
        let mut parts = vec![words(&line.part).1];
        let mut depth = line.depth;
        for above in lines.get(..at).unwrap_or_default().iter().rev() {
            if above.depth < depth {
                depth = above.depth;
                parts.push(words(&above.part).1);
            }
        }
        parts.reverse();
        parts.join(" › ")
    };
    largest
        .into_iter()
        .map(|(at, line)| {
            json!({"path": path(at, line), "objects": line.own, "retained": line.bytes})
        })
        .collect()
}

/// The parts of the resident set, by name.
fn shares(c: &Composition) -> Value {
    let python = c.python.small_objects + c.python.large_objects;
    let buffers = c.python.small_buffers + c.python.large_buffers;
    let pymalloc = c.pymalloc.in_used_pools + c.pymalloc.free_pools + c.pymalloc.overhead;
    let rows = [
        ("Python objects", python),
        ("their buffers", buffers),
        ("free in Python's allocator", pymalloc),
        ("native code", c.malloc.others + c.malloc.others_mapped),
        ("free in malloc", c.malloc.free + c.malloc.top),
        ("stacks", c.stacks),
        ("data of programs and libraries", c.program_data),
        ("files", c.files),
        ("shared memory", c.shared),
        ("other anonymous memory", c.other),
    ];
    rows.map(|(name, bytes)| json!({"name": name, "bytes": bytes})).into_iter().collect()
}
