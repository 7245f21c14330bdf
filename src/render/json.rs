//! leakspy's own JSON of a profile. Its form is an interface: `docs/json.md` describes it, and a
//! change that breaks a reader raises [`SCHEMA`].

use std::io::Write;
use std::sync::Arc;

use serde::Serialize;

use super::{Heading, Pauses, RenderError, Style, View, whole};
use crate::profile::{Profile, Stack, Weight};
use crate::python::Frame;

/// The version of the form, the value of `schema` at the top of every document.
pub const SCHEMA: u32 = 1;

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    pid: i32,
    command: &'a str,
    python: &'a str,
    view: &'static str,
    duration_s: f64,
    samples: u64,
    pause_s: Pause,
    allocations_per_s: Option<f64>,
    bytes_per_s: Option<f64>,
    error: Option<f64>,
    stacks: Vec<Entry<'a>>,
}

#[derive(Serialize)]
struct Pause {
    mean: f64,
    max: f64,
    total: f64,
}

impl From<Pauses> for Pause {
    fn from(pauses: Pauses) -> Pause {
        Pause {
            mean: pauses.mean.as_secs_f64(),
            max: pauses.max.as_secs_f64(),
            total: pauses.total.as_secs_f64(),
        }
    }
}

#[derive(Serialize)]
struct Entry<'a> {
    bytes: u64,
    objects: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<Before>,
    roots: &'a [Arc<str>],
    stack: &'a [Frame],
    path: &'a [Arc<str>],
    allocation: Option<&'a str>,
}

/// The weight at the earlier moment.
#[derive(Serialize)]
struct Before {
    bytes: u64,
    objects: u64,
}

impl<'a> Entry<'a> {
    fn new(stack: &'a Stack, weight: Weight, earlier: Option<&Profile>) -> Entry<'a> {
        let before = earlier.map(|profile| profile.weight(stack));
        let before = before
            .map(|weight| Before { bytes: whole(weight.bytes), objects: whole(weight.objects) });
        Entry {
            bytes: whole(weight.bytes),
            objects: whole(weight.objects),
            before,
            roots: &stack.roots,
            stack: &stack.frames,
            path: &stack.path,
            allocation: stack.leaf.as_deref(),
        }
    }
}

/// Writes `profile` as one JSON document, the heaviest stacks first. Paths are always full.
pub fn write(
    profile: &Profile,
    heading: &Heading,
    style: Style,
    out: &mut impl Write,
) -> Result<(), RenderError> {
    let total = profile.total();
    let earlier = heading.earlier.as_ref();
    // Stacks that have gone since then get no weight.
    let mut all = profile.clone();
    for (stack, _) in earlier.iter().flat_map(|profile| profile.sorted()) {
        all.add(stack.clone(), Weight::default());
    }
    let seconds = heading.duration.as_secs_f64();
    let rate = |weight: f64| {
        let known = heading.view == View::Allocated && seconds > 0.0;
        known.then(|| weight / seconds)
    };
    let document = Document {
        schema: SCHEMA,
        pid: heading.pid,
        command: &heading.command,
        python: &heading.python,
        view: heading.view.name(),
        duration_s: seconds,
        samples: heading.samples,
        pause_s: heading.pauses.into(),
        allocations_per_s: rate(total.objects),
        bytes_per_s: rate(total.bytes),
        error: heading.error,
        stacks: all
            .heaviest(heading.view.measure(style.by))
            .into_iter()
            .map(|(stack, _)| Entry::new(stack, profile.weight(stack), earlier))
            .collect(),
    };
    serde_json::to_writer(&mut *out, &document)?;
    writeln!(out)?;
    Ok(())
}
