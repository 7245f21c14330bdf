//! leakspy's own JSON of a profile. Its form is an interface: `docs/json.md` describes it, and a
//! change that breaks a reader raises [`SCHEMA`].

use std::io::Write;
use std::sync::Arc;

use serde::Serialize;

use super::{Heading, Pauses, RenderError, Style, View, whole};
use crate::profile::precision::{Accuracy, Between};
use crate::profile::{By, Profile, Stack, Weight};
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
    #[serde(skip_serializing_if = "Option::is_none")]
    allocations_per_s_between: Option<Ends>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes_per_s_between: Option<Ends>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    shares_between: Vec<OfShare>,
    /// Replaced by the intervals.
    error: Option<f64>,
    stacks: Vec<Entry<'a>>,
}

/// The ends of an interval.
#[derive(Serialize)]
struct Ends {
    least: f64,
    most: Option<f64>,
}

/// In which intervals the true share lies, if this one is estimated.
#[derive(Serialize)]
struct OfShare {
    share: f64,
    bytes: Ends,
    objects: Ends,
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

/// The intervals of some shares, between which those of others can be read off.
fn of_shares(accuracy: &Accuracy) -> Vec<OfShare> {
    const SHARES: &[f64] =
        &[0.0, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0];
    let ends = |by: By, share: f64| {
        let (least, most) = accuracy.of_share(by, share);
        Ends { least, most: Some(most) }
    };
    SHARES
        .iter()
        .map(|&share| OfShare {
            share,
            bytes: ends(By::Bytes, share),
            objects: ends(By::Objects, share),
        })
        .collect()
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
    let between = |by: By| {
        let Between { least, most } = heading.accuracy?.total(by).times(rate(1.0)?);
        Some(Ends { least, most })
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
        allocations_per_s_between: between(By::Objects),
        bytes_per_s_between: between(By::Bytes),
        shares_between: heading.accuracy.iter().flat_map(of_shares).collect(),
        error: None,
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
