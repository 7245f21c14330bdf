//! The row of the table that fits a suspect, in words; and which function the objects that pile up are or run.
//!
//! A row replaces the general [hint](crate::hunt::suspects::hints).

use rustc_hash::FxHashMap;

use super::cardinality::cardinality;
use super::row::Row;
use super::scene::{Fit, Scene};
use super::table::TABLE;
use crate::hunt::finding::{Holder, LeakKind};
use crate::hunt::suspects::comparison::Comparison;
use crate::hunt::suspects::leak_kinds::waits;
use crate::hunt::suspects::suspect::Suspect;
use crate::python::{Frame, Origin};

/// Types whose objects are functions, or run one.
const FUNCTIONS: &[&str] = &[
    "function",
    "method",
    "functools.partial",
    "generator",
    "coroutine",
    "async_generator",
    "_asyncio.Task",
];
/// How many coroutines that wait for each other are followed.
const MOST_AWAITED: usize = 100;
/// How many objects are asked for their function.
const MOST_ASKED: usize = 100;

impl Comparison<'_> {
    /// Says what is known of such a leak.
    pub fn explain(&self, suspect: &mut Suspect) {
        let Some(scene) = Scene::of(self, suspect) else { return };
        if scene.is_of(FUNCTIONS) {
            suspect.finding.function = most_frequent(&scene, |it| scene.reader.definition(it));
        }
        let Some((row, fit)) = TABLE.iter().find_map(|row| Some((row, scene.fit(row)?))) else {
            return;
        };
        if row.have_ended && suspect.finding.kind == LeakKind::Tasks {
            // Nothing waits: it is a collection like any other, and its size shows who adds to it.
            suspect.finding.kind = LeakKind::Container;
            suspect.watch = suspect.finding.holder.address.into_iter().collect();
        }
        suspect.finding.hint = words(&scene, row, &fit, &suspect.finding.holder);
    }
}

/// A row in words.
fn words(scene: &Scene<'_>, row: &Row, fit: &Fit, holder: &Holder) -> String {
    let mut words = format!("{}: {}", row.meaning, row.advice);
    if words.contains("{count}") {
        let share = fit.share;
        words = words.replace("{count}", &format!("{} of {} looked at", share.are, share.of));
    }
    if words.contains("{wait}") {
        words = words.replace("{wait}", &wait(scene).unwrap_or_default());
    }
    if words.contains("{discard}") {
        words = words.replace("{discard}", &discard(holder));
    }
    if words.contains("{labels}") {
        let labels =
            scene.holder.and_then(|_| cardinality(scene.reader, holder.address?, fit.place?));
        words = words.replace("{labels}", &labels.unwrap_or_default());
    }
    words
}

/// The call that takes an object out of the holder when it is done.
fn discard(holder: &Holder) -> String {
    let method = match &*holder.kind {
        "set" => "discard",
        "list" | "collections.deque" => "remove",
        _ => return "take it out in a callback (add_done_callback)".to_owned(),
    };
    // `local tasks of main (app.py:3)` is called `tasks` in the program.
    let name = holder.name.split(" of ").next().unwrap_or_default();
    let name = name.rsplit(' ').next().unwrap_or_default();
    format!("add_done_callback({name}.{method})")
}

/// Where most of the objects wait.
fn wait(scene: &Scene<'_>) -> Option<String> {
    most_frequent(scene, |object| waiting(scene, object)).map(
        |Waiting { inner, outer }| match outer {
            Some(outer) => format!(" in {}, called by {}", inner.in_short(), outer.in_short()),
            None => format!(" in {}", inner.in_short()),
        },
    )
}

/// Where a coroutine waits.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Waiting {
    /// The innermost function.
    inner: Frame,
    /// If that is not the program's own: the innermost one that is.
    outer: Option<Frame>,
}

fn waiting(scene: &Scene<'_>, object: u64) -> Option<Waiting> {
    let reader = scene.reader;
    let is_own = |frame: &Frame| Origin::of(&frame.file).0 == Origin::Program;
    let mut next = Some(reader.behind(object));
    let (mut inner, mut own) = (None, None);
    for _ in 0..MOST_AWAITED {
        let Some(object) = next.filter(|&it| reader.type_of(it).is_ok_and(|it| waits(&it.name)))
        else {
            break;
        };
        let Some(frame) = reader.suspension(object) else { break };
        if is_own(&frame) {
            own = Some(frame.clone());
        }
        inner = Some(frame);
        next = reader.awaited(object);
    }
    let inner = inner?;
    Some(Waiting { outer: own.filter(|own| *own != inner), inner })
}

/// The most frequent answer of the objects that pile up, if most of them give it.
fn most_frequent<T: Eq + std::hash::Hash>(
    scene: &Scene<'_>,
    answer: impl Fn(u64) -> Option<T>,
) -> Option<T> {
    let every = scene.objects().len().div_ceil(MOST_ASKED).max(1);
    let mut counts: FxHashMap<T, usize> = FxHashMap::default();
    let mut asked = 0;
    for &object in scene.objects().iter().step_by(every) {
        asked += 1;
        if let Some(answer) = answer(object) {
            *counts.entry(answer).or_default() += 1;
        }
    }
    let most = counts.into_iter().max_by_key(|(_, count)| *count);
    most.filter(|(_, count)| 2 * count > asked).map(|(answer, _)| answer)
}
