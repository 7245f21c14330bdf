//! A file for [speedscope](https://www.speedscope.app): two profiles of the type `sampled`, one of bytes and
//! one of objects, the requested one first.

use std::borrow::Cow;
use std::io::Write;

use rustc_hash::FxHashMap;
use serde::Serialize;

use super::{Heading, Paths, RenderError, Style, View, labels, whole};
use crate::profile::{By, Profile, Stack};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct File<'a> {
    #[serde(rename = "$schema")]
    schema: &'static str,
    exporter: &'static str,
    name: String,
    active_profile_index: usize,
    shared: Shared<'a>,
    profiles: Vec<Sampled<'a>>,
}

#[derive(Serialize)]
struct Shared<'a> {
    frames: Vec<Named<'a>>,
}

/// A frame, or a root or kind of allocation, which has no file.
#[derive(Clone, PartialEq, Eq, Hash, Serialize)]
struct Named<'a> {
    name: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u32>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Sampled<'a> {
    r#type: &'static str,
    name: &'static str,
    unit: &'static str,
    start_value: u64,
    end_value: u64,
    samples: &'a [Vec<usize>],
    weights: Vec<u64>,
}

/// Writes `profile` as a speedscope file, the heaviest stacks first.
pub fn write(
    profile: &Profile,
    heading: &Heading,
    style: Style,
    out: &mut impl Write,
) -> Result<(), RenderError> {
    let stacks = profile.heaviest(heading.view.measure(style.by));
    let mut frames = Frames::default();
    let samples: Vec<Vec<usize>> =
        stacks.iter().map(|(stack, _)| frames.indices(stack, style.paths)).collect();

    let sampled = |by: By| {
        let weights: Vec<u64> = stacks.iter().map(|(_, weight)| whole(weight.by(by))).collect();
        Sampled {
            r#type: "sampled",
            name: heading.view.unit(by),
            // The format's word for a count is "none".
            unit: if by == By::Bytes { "bytes" } else { "none" },
            start_value: 0,
            end_value: weights.iter().copied().fold(0, u64::saturating_add),
            samples: &samples,
            weights,
        }
    };
    let measures: &[By] = match heading.view {
        View::Allocated | View::Live | View::Traced | View::Fed => &[By::Bytes, By::Objects],
        View::Stacks => &[By::Objects],
    };
    let front = heading.view.measure(style.by);
    let file = File {
        schema: "https://www.speedscope.app/file-format-schema.json",
        exporter: concat!("leakspy ", env!("CARGO_PKG_VERSION")),
        name: format!("{} (PID {}, Python {})", heading.command, heading.pid, heading.python),
        active_profile_index: measures.iter().position(|&by| by == front).unwrap_or_default(),
        shared: Shared { frames: frames.all },
        profiles: measures.iter().map(|&by| sampled(by)).collect(),
    };
    serde_json::to_writer(&mut *out, &file)?;
    writeln!(out)?;
    Ok(())
}

/// Each different frame once, in order of first use.
#[derive(Default)]
struct Frames<'a> {
    all: Vec<Named<'a>>,
    index: FxHashMap<Named<'a>, usize>,
}

impl<'a> Frames<'a> {
    /// The indices of a stack's frames, outermost first.
    fn indices(&mut self, stack: &'a Stack, paths: Paths) -> Vec<usize> {
        let plain = |name: Cow<'a, str>| Named { name, file: None, line: None };
        let whole = |name: &'a std::sync::Arc<str>| plain(Cow::from(&**name));
        let roots = stack.roots.iter().map(whole);
        let frames = stack.frames.iter().rev().map(|frame| Named {
            name: Cow::from(&*frame.function),
            file: Some(labels::path(&frame.file, paths)),
            line: frame.line,
        });
        let path = stack.path.iter().map(|words| match paths {
            Paths::Short => plain(labels::short_places(words).into()),
            Paths::Full => whole(words),
        });
        let leaf = stack.leaf.iter().map(whole);
        roots.chain(frames).chain(path).chain(leaf).map(|frame| self.index_of(frame)).collect()
    }

    fn index_of(&mut self, frame: Named<'a>) -> usize {
        *self.index.entry(frame).or_insert_with_key(|frame| {
            self.all.push(frame.clone());
            self.all.len() - 1
        })
    }
}
