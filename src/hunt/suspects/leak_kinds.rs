//! The objects that pile up: the type that describes them best, and whether they are suspended code.

use crate::heap::Analysis;
use crate::hunt::compare::growth::Accumulation;
use crate::hunt::finding::LeakKind;
use crate::python::objects::TypeId;

/// Types whose objects only wrap others.
const WRAPPERS: [&str; 3] = ["tuple", "list", "functools._HashedSeq"];
/// Types whose objects are another with something to call.
const BOUND: [&str; 2] = ["method", "functools.partial"];

/// The type that piles up.
pub fn grown(heap: &Analysis<'_>, kind: LeakKind, accumulated: &Accumulation) -> Option<TypeId> {
    let name = |id: TypeId| heap.graph.types().get(id).map(|info| &*info.name);
    let most = |of: &dyn Fn(TypeId) -> bool| {
        let matching = accumulated.kinds.iter().filter(|(id, _)| of(**id));
        matching.max_by_key(|(id, count)| (**count, id.0)).map(|(id, _)| *id)
    };
    match kind {
        LeakKind::Tasks => most(&|id| name(id).is_some_and(is_task))
            .or_else(|| most(&|id| name(id).is_some_and(waits))),
        // What lacks a reference, and not what it holds.
        LeakKind::Refcount if !accumulated.items.is_empty() => items(heap, &BOUND, accumulated),
        LeakKind::Garbage | LeakKind::Refcount | LeakKind::Chain => {
            let own = |id: TypeId| {
                let kind = heap.graph.types().get(id);
                kind.is_some_and(|kind| kind.module != "builtins")
            };
            let all: u32 = accumulated.kinds.values().sum();
            // A class says more than its instances' dicts.
            most(&own)
                .filter(|id| accumulated.kinds.get(id).is_some_and(|&count| 12 * count >= all))
                .or_else(|| most(&|_| true))
        }
        _ => items(heap, &WRAPPERS, accumulated),
    }
}

/// The type of most items by bytes, or what they wrap.
fn items(heap: &Analysis<'_>, wrappers: &[&str], accumulated: &Accumulation) -> Option<TypeId> {
    let bytes = |id: &TypeId| accumulated.items.get(id).map_or(0, |items| items.bytes);
    let most = accumulated.items.keys().copied().max_by_key(|id| (bytes(id), id.0))?;
    Some(wrapped(heap, most, wrappers, accumulated).unwrap_or(most))
}

/// The wrapped type, where items are only wrappers: the arguments of a cached call in a tuple, the contents
/// of the collections of a spread.
fn wrapped(
    heap: &Analysis<'_>,
    item: TypeId,
    wrappers: &[&str],
    accumulated: &Accumulation,
) -> Option<TypeId> {
    let kind = |id: TypeId| heap.graph.types().get(id);
    if !wrappers.contains(&&*kind(item)?.name) {
        return None;
    }
    let items = accumulated.items.get(&item)?.count;
    let own = |id: &TypeId| kind(*id).is_some_and(|kind| kind.module != "builtins");
    // One may have been created just before a capture, and stored just after it.
    let inside =
        accumulated.kinds.iter().filter(|(id, count)| own(id) && 10 * **count >= 9 * items);
    inside.max_by_key(|(id, count)| (**count, id.0)).map(|(id, _)| *id)
}

/// How many new objects of that type there are.
pub fn count(kind: LeakKind, grown: TypeId, accumulated: &Accumulation) -> f64 {
    let all = accumulated.kinds.get(&grown).copied().unwrap_or_default();
    let items = accumulated.items.get(&grown).map_or(0, |items| items.count);
    f64::from(match kind {
        LeakKind::Container | LeakKind::Refcount if items > 0 => items,
        _ => all,
    })
}

/// Whether the objects that pile up are waiting code: each item is, or leads to, a coroutine or a generator.
pub fn is_waiting(heap: &Analysis<'_>, accumulated: &Accumulation) -> bool {
    let name = |id: &TypeId| heap.graph.types().get(*id).map(|info| &*info.name);
    let of = |is: fn(&str) -> bool| {
        let matching = accumulated.kinds.iter().filter(|(id, _)| name(id).is_some_and(is));
        matching.map(|(_, count)| *count).sum::<u32>()
    };
    let items = |is: fn(&str) -> bool| {
        let matching = accumulated.items.iter().filter(|(id, _)| name(id).is_some_and(is));
        matching.map(|(_, items)| items.count).sum::<u32>()
    };
    let most = accumulated.items.values().map(|items| items.count).max().unwrap_or_default();
    let awaiting = of(|name| matches!(name, "coroutine" | "async_generator"));
    most > 0 && (10 * awaiting >= 8 * most || 10 * items(waits) >= 8 * most)
}

/// Whether this is a type of suspended code.
pub fn waits(name: &str) -> bool {
    matches!(name, "coroutine" | "async_generator" | "generator")
}

fn is_task(name: &str) -> bool {
    matches!(name, "_asyncio.Task" | "asyncio.Task" | "asyncio.tasks.Task")
}

/// Whether this is a type of weak references.
pub fn is_weak(name: &str) -> bool {
    matches!(name, "weakref" | "weakref.ReferenceType" | "weakref.KeyedRef" | "weakref.WeakMethod")
}

/// Whether the objects that pile up keep frames alive, with all their local variables.
pub fn keeps_frames(heap: &Analysis<'_>, accumulated: &Accumulation) -> bool {
    let is_traceback =
        |id: &TypeId| heap.graph.types().get(*id).is_some_and(|info| info.name == "traceback");
    let tracebacks = accumulated.kinds.iter().filter(|(id, _)| is_traceback(id));
    let most = accumulated.items.values().map(|items| items.count).max().unwrap_or_default();
    2 * tracebacks.map(|(_, count)| *count).sum::<u32>() >= most.max(1)
}
