//! The likely mistake behind a leak, in plain words, by how memory is lost. What the [library's
//! table](crate::hunt::library::table) knows is told instead.

use super::bounds::Filling;
use super::collector::Collector;
use crate::hunt::finding::{Holder, LeakKind};
use crate::python::gc::Generation;
use crate::python::objects::Bound;

/// The known facts about a leak.
pub struct Circumstances<'a> {
    /// How memory is lost.
    pub kind: LeakKind,
    /// The holder.
    pub holder: &'a Holder,
    /// The type of the objects that pile up.
    pub grown: &'a str,
    /// Whether it keeps frames of functions that have ended.
    pub keeps_frames: bool,
    /// The bound of the holder.
    pub filling: Option<&'a Filling>,
    /// The state of the garbage collector.
    pub collector: Collector,
}

/// The likely mistake.
pub fn hint(of: &Circumstances<'_>) -> String {
    match of.kind {
        _ if of.keeps_frames => {
            "stored exceptions keep their tracebacks, and with them every local variable of the functions \
             that they passed through"
                .into()
        }
        LeakKind::Container => container(of),
        LeakKind::Spread => {
            "many collections grow a little each: look for the code that should remove their entries, or \
             drop the collections"
                .into()
        }
        LeakKind::Chain => "each object refers to the next, and the first is never released".into(),
        LeakKind::Garbage => garbage(of.collector),
        LeakKind::Uncollectable => format!(
            "a {} in the cycle does not show the garbage collector what it refers to, so no collection can \
             free the cycle: break it by hand when it is done with, or make one reference weak",
            of.holder.kind
        ),
        LeakKind::Refcount => format!(
            "the reference count of each {} exceeds the references found: an extension module keeps it, or \
             has forgotten a Py_DECREF",
            of.grown
        ),
        LeakKind::Tasks => {
            "it waits for something that never happens: await it with a timeout, or cancel it"
                .into()
        }
        LeakKind::Threads => "threads are started faster than they end".into(),
        // These come from the accounts, with hints of their own.
        LeakKind::Native | LeakKind::Holes | LeakKind::Mappings | LeakKind::Copied => {
            String::new()
        }
    }
}

fn container(of: &Circumstances<'_>) -> String {
    let Holder { path, kind, .. } = of.holder;
    let kind = match &**kind {
        "" => "collection",
        name => name.rsplit('.').next().unwrap_or(name),
    };
    let owner = if path.contains("closure ") {
        format!("a {kind} in a closure")
    } else if path.contains("default ") {
        format!("a {kind} used as a default argument, shared by all calls")
    } else if path.starts_with("thread ") {
        format!("a {kind} local to a function that never returns")
    } else if path.starts_with("module ") && path.matches('›').count() == 1 {
        format!("a {kind} at module level")
    } else {
        format!("a {kind}")
    };
    match of.filling {
        None => format!("{owner}; nothing limits it"),
        Some(Filling { bound: Bound { limit, name, is_certain }, full_in_s }) => {
            let hours = full_in_s / 3600.0;
            let what = match is_certain {
                true => "with a high limit",
                false => "with what looks like a high limit",
            };
            format!("{owner} {what} ({name} = {limit}): full in {hours:.1} hours at this pace")
        }
    }
}

fn garbage(collector: Collector) -> String {
    let why = match collector {
        Collector { is_blocked: true, .. } => {
            return "objects in reference cycles, and a collection does not finish because a finalizer does not \
                    return: do not wait in __del__"
                .into();
        }
        Collector { enabled: false, .. } => "the garbage collector is off (gc.disable())",
        Collector { garbage: Generation::Permanent, .. } => {
            "they were frozen (gc.freeze()), so the garbage collector ignores them"
        }
        Collector { thresholds: [0, ..], .. } => {
            "the garbage collector's threshold is 0 (gc.set_threshold())"
        }
        _ => "collections are too rare (gc.set_threshold(), or a very large heap)",
    };
    format!("objects in reference cycles, and {why}: break the cycles, or let the collector run")
}
