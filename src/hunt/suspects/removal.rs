//! Whether the code that feeds a collection, or code that runs now, also removes from it: and from which size or
//! age on, where the code says so.
//!
//! A cache that expires after ten minutes grows like a leak for ten minutes, and its size has no field for that.
//! But the function that puts an item in, or one that it calls, takes items out as well. Only code that is on the
//! way counts: a method `unsubscribe` that nobody calls removes nothing.

use rustc_hash::{FxHashMap, FxHashSet};

use super::comparison::Comparison;
use super::leak_kinds::waits;
use crate::heap::{Capture, NodeId, RootId, RootName};
use crate::hunt::finding::{Feeder, Holder, Removal, Until};
use crate::python::objects::{Action, Instruction, Reader};
use crate::python::{Frame, Origin};

/// Methods that take items out of a collection.
const REMOVERS: [&str; 7] =
    ["pop", "popitem", "popleft", "clear", "remove", "discard", "difference_update"];
/// Functions that tell the time.
const CLOCKS: [&str; 8] =
    ["time", "monotonic", "perf_counter", "monotonic_ns", "time_ns", "now", "utcnow", "timer"];
/// Parts of the names of functions that empty a collection.
const EMPTY: [&str; 5] = ["flush", "drain", "reset", "clear", "rotate"];
/// How many feeders are looked at, and how many frames of each.
const MOST_FEEDERS: usize = 3;
const MOST_FRAMES: usize = 8;
/// How many suspended functions are looked at.
const MOST_WAITING: usize = 1_000;
/// How many calls deep removal is looked for, and in how many functions.
const DEEPEST: usize = 2;
const MOST_FUNCTIONS: usize = 64;
/// How many instructions before a comparison or a deletion load what it is about.
const NEAR: usize = 8;
/// The limits that make sense: a collection is not kept at one item, and `x % 2` is no limit.
const LEAST_LIMIT: f64 = 2.0;
/// The longest age that is understood, in seconds: a week.
const OLDEST_S: f64 = 604_800.0;

/// The code objects of a heap.
pub(crate) struct Codes<'a> {
    reader: Reader<'a, Capture<'a>>,
    /// By file and name, each with its first line.
    by_place: FxHashMap<(String, String), Vec<(u32, u64)>>,
    /// By file and the last part of the name.
    by_name: FxHashMap<(String, String), Vec<u64>>,
    /// A function with that code.
    functions: FxHashMap<u64, u64>,
    /// Where threads and suspended functions are.
    running: Vec<Frame>,
}

impl<'a> Codes<'a> {
    /// Of a comparison's heap; `None` if it is not from memory.
    pub fn of(comparison: &Comparison<'a>) -> Option<Codes<'a>> {
        let (heap, reader) = (comparison.heap, comparison.heap.reader()?);
        let mut codes = Codes {
            reader,
            by_place: FxHashMap::default(),
            by_name: FxHashMap::default(),
            functions: FxHashMap::default(),
            running: Vec::new(),
        };
        let mut waiting = 0;
        for node in heap.graph.objects() {
            let (Some(kind), Some(address)) =
                (heap.graph.type_info(node), heap.graph.address(node))
            else {
                continue;
            };
            match &*kind.name {
                "code" => codes.add(address),
                "function" => {
                    if let Some(code) = reader.attribute_of(address, "__code__") {
                        codes.functions.insert(code, address);
                    }
                }
                name if waits(name) && waiting < MOST_WAITING => {
                    waiting += 1;
                    codes.running.extend(reader.suspension(address));
                }
                _ => {}
            }
        }
        let roots = (0..heap.graph.roots().len() as u32).map(RootId);
        codes.running.extend(roots.filter_map(|root| match comparison.names.get(root)? {
            RootName::Frame { frame, .. } => frame.clone(),
            RootName::Words(_) => None,
        }));
        codes.running.retain(|frame| Origin::of(&frame.file).0 != Origin::Library);
        codes
            .running
            .sort_by(|a, b| (&a.file, &a.function, a.line).cmp(&(&b.file, &b.function, b.line)));
        codes.running.dedup();
        Some(codes)
    }

    fn add(&mut self, code: u64) {
        let Some((name, file, line)) = self.reader.code_place(code) else { return };
        let last = name.rsplit('.').next().unwrap_or_default().to_owned();
        self.by_name.entry((file.clone(), last)).or_default().push(code);
        self.by_place.entry((file, name)).or_default().push((line, code));
    }

    /// The code that a frame runs.
    fn at(&self, frame: &Frame) -> Option<u64> {
        let name = frame.function.rsplit('.').next().unwrap_or_default();
        let place = (frame.file.to_string(), frame.function.to_string());
        let known = self.by_place.get(&place);
        let starts = |&&(first, _): &&(u32, u64)| frame.line.is_none_or(|line| first <= line);
        let nearest = known.and_then(|known| known.iter().filter(starts).max());
        nearest.map(|(_, code)| *code).or_else(|| {
            let named = self.by_name.get(&(place.0, name.to_owned()))?;
            named.first().copied()
        })
    }

    /// The code in the same file that has this name.
    fn called(&self, file: &str, name: &str) -> &[u64] {
        self.by_name.get(&(file.to_owned(), name.to_owned())).map_or(&[], Vec::as_slice)
    }
}

impl Comparison<'_> {
    /// The code on the way that removes from a suspect's holder.
    pub fn removal(
        &self,
        holder: &Holder,
        feeders: &[Feeder],
        codes: &Codes<'_>,
    ) -> Option<Removal> {
        let search = Search::of(self, holder, codes)?;
        let mut stacks = feeders.iter().take(MOST_FEEDERS).flat_map(|feeder| {
            let own = feeder.own_frame.as_ref();
            let own = feeder.stack.iter().position(|frame| Some(frame) == own);
            feeder.stack.iter().take(own.map_or(MOST_FRAMES, |own| MOST_FRAMES.min(own + 1)))
        });
        // What runs for long, such as the main loop, names many functions that it may never call.
        let mut running = codes.running.iter();

        let found = stacks.find_map(|frame| search.from(frame, DEEPEST));
        found.or_else(|| running.find_map(|frame| search.from(frame, 0)))
    }
}

/// What is looked for.
struct Search<'a> {
    codes: &'a Codes<'a>,
    /// The name of the holder in code, as [`plain`].
    name: String,
    /// The holder and the objects above it, whose attributes a limit can be.
    owners: Vec<u64>,
    /// Whether the holder has methods of its own, where it is called `self`.
    has_methods: bool,
}

impl<'a> Search<'a> {
    fn of(
        comparison: &Comparison<'_>,
        holder: &Holder,
        codes: &'a Codes<'a>,
    ) -> Option<Search<'a>> {
        let node: NodeId = comparison.heap.graph.node(holder.address?)?;
        let path = comparison.told_path(node);
        let above = path.iter().rev().take(3);
        let name = plain(&last_name(&holder.name));
        (!name.is_empty()).then(|| Search {
            codes,
            name,
            owners: above.filter_map(|&node| comparison.heap.graph.address(node)).collect(),
            has_methods: holder.kind.contains('.'),
        })
    }

    /// The removal in a function, or in one that it calls.
    fn from(&self, frame: &Frame, depth: usize) -> Option<Removal> {
        let mut seen = FxHashSet::default();
        self.below(self.codes.at(frame)?, depth, &mut seen)
    }

    fn below(&self, code: u64, depth: usize, seen: &mut FxHashSet<u64>) -> Option<Removal> {
        if seen.len() >= MOST_FUNCTIONS || !seen.insert(code) {
            return None;
        }
        let reader = self.codes.reader;
        let (function, file, first) = reader.code_place(code)?;
        // A comprehension can have code of its own.
        let parts: Vec<(u64, Vec<Instruction>)> = [code]
            .into_iter()
            .chain(reader.nested_code(code))
            .map(|part| (part, reader.instructions(part)))
            .collect();
        let condition = || parts.iter().find_map(|(_, part)| self.condition(code, part));
        for (part, instructions) in &parts {
            if let Some((offset, call)) = self.removal_in(&function, instructions) {
                let line = reader.line_of(*part, offset).or(Some(first));
                let place = Frame::new(function, file, line);
                return Some(Removal { place, call, until: condition() });
            }
        }
        if depth == 0 {
            return None;
        }
        let instructions = parts.iter().flat_map(|(_, part)| part);
        let names = instructions.filter_map(|it| match &it.action {
            Action::LoadAttribute(name) | Action::Load(name) => Some(name),
            _ => None,
        });
        let called = names.flat_map(|name| self.codes.called(&file, name));
        let mut found = called.filter_map(|&code| self.below(code, depth - 1, seen));
        let removal = found.next()?;
        // The condition may stand before the call.
        let until = removal.until.or_else(condition);
        Some(Removal { until, ..removal })
    }

    /// The instruction that removes from the holder, and the call in words.
    fn removal_in(&self, function: &str, instructions: &[Instruction]) -> Option<(i32, String)> {
        let mut aliases: FxHashSet<&str> = FxHashSet::default();
        for (number, instruction) in instructions.iter().enumerate() {
            let before = instructions.get(number.saturating_sub(NEAR)..number).unwrap_or_default();
            let is_it = |it: &Instruction| match &it.action {
                Action::Load(name) => {
                    plain(name) == self.name
                        || aliases.contains(&**name)
                        || self.has_methods && name == "self"
                }
                Action::LoadAttribute(name) => plain(name) == self.name,
                _ => false,
            };
            let call = match &instruction.action {
                Action::LoadAttribute(name) if REMOVERS.contains(&&**name) => {
                    let receiver = before.iter().rev().find(|it| it.action != Action::Other);
                    receiver.is_some_and(is_it).then(|| name.clone())
                }
                Action::DeleteItem => before.iter().any(is_it).then(|| "del".to_owned()),
                // A new collection takes its place; but one that is made when it is first needed removes nothing.
                Action::Store(name) if plain(name) == self.name => {
                    let is_kept =
                        before.iter().any(|it| matches!(it.action, Action::StoreLocal(_)))
                            && before.iter().any(is_it);
                    (is_kept || empties(function)).then(|| format!("{name} = …"))
                }
                Action::StoreLocal(name) => {
                    let value = before.last();
                    if value.is_some_and(is_it) {
                        aliases.insert(name);
                    }
                    None
                }
                _ => None,
            };
            if let Some(call) = call {
                return Some((instruction.offset, call));
            }
        }
        None
    }

    /// From when on a function removes: the first comparison with a number that makes sense.
    fn condition(&self, code: u64, instructions: &[Instruction]) -> Option<Until> {
        let loads = |it: &Instruction, wanted: &[&str]| match &it.action {
            Action::Load(name) | Action::LoadAttribute(name) => wanted.contains(&&**name),
            _ => false,
        };
        let reads_clock = instructions.iter().any(|it| loads(it, &CLOCKS));
        let function = self.codes.functions.get(&code).copied();
        let compared =
            instructions.iter().enumerate().filter(|(_, it)| it.action == Action::Compare);
        let mut conditions = compared.filter_map(|(number, _)| {
            let near = instructions.get(number.saturating_sub(NEAR)..number)?;
            let number = near.iter().rev().find_map(|it| self.number(it, function))?;
            let counts = near.iter().any(|it| loads(it, &["len", "__len__"]));
            match counts {
                true if number >= LEAST_LIMIT => Some(Until::Items(number as u64)),
                false if reads_clock && number > 0.0 && number <= OLDEST_S => {
                    Some(Until::AgeS(number))
                }
                _ => None,
            }
        });
        conditions.next()
    }

    /// The number that an instruction loads: a constant, a global variable, an attribute of an owner.
    fn number(&self, instruction: &Instruction, function: Option<u64>) -> Option<f64> {
        let reader = self.codes.reader;
        let value = match &instruction.action {
            Action::Number(number) => return Some(*number),
            Action::Load(name) => reader.global_of(function?, name)?,
            Action::LoadAttribute(name) => {
                let mut owners = self.owners.iter();
                owners.find_map(|&owner| reader.looked_up(owner, name))?
            }
            _ => return None,
        };
        reader.number(value)
    }
}

/// Whether a function says by its name that it empties something.
fn empties(function: &str) -> bool {
    let last = function.rsplit('.').next().unwrap_or_default();
    EMPTY.iter().any(|word| last.contains(word))
}

/// The last name of an expression: `cache` of `app.STORE.cache['x']` and of `local cache of main (app.py:3)`.
fn last_name(expression: &str) -> String {
    let expression = expression.split(" of ").next().unwrap_or_default();
    let mut depth = 0_i32;
    let outside = |character: &char| {
        match character {
            '[' => depth += 1,
            ']' => {
                depth -= 1;
                return false;
            }
            _ => {}
        }
        depth == 0
    };
    let text: String = expression.chars().filter(outside).collect();
    let is_part = |character: char| character.is_alphanumeric() || character == '_';
    let mut names = text.split(|character| !is_part(character)).filter(|part| !part.is_empty());
    names.next_back().unwrap_or_default().to_owned()
}

/// A name without what differs between an attribute and a local variable that stands for it: `_Store__Cache`,
/// `_cache` and `cache` are the same.
fn plain(name: &str) -> String {
    let name =
        name.strip_prefix('_').and_then(|rest| rest.split_once("__")).map_or(name, |it| it.1);
    name.trim_matches('_').to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_expressions() {
        for (expression, name) in [
            ("app.STORE.cache['x.y'][3]", "cache"),
            ("local cache of main (app.py:3)", "cache"),
            ("app.CACHE", "CACHE"),
            ("", ""),
        ] {
            assert_eq!(last_name(expression), name);
        }
    }

    #[test]
    fn attributes_and_the_variables_that_stand_for_them_are_the_same() {
        for name in ["_Store__Cache", "_cache", "CACHE", "__cache", "cache_"] {
            assert_eq!(plain(name), "cache", "{name}");
        }
    }
}
