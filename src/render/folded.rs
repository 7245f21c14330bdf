//! Collapsed stacks: one per line, labels from the outermost to the innermost joined by `;`, then a space and
//! an integer. The format that `flamegraph.pl`, inferno and speedscope read.

use std::collections::BTreeMap;
use std::io::Write;

use super::labels;
use super::labels::Label;
use super::{Heading, Paths, RenderError, Style, whole};
use crate::profile::{By, Profile};

/// Writes `profile` as collapsed stacks, in order of their text. Weights are rounded, but no stack with
/// weight is left out.
pub fn write(
    profile: &Profile,
    heading: &Heading,
    style: Style,
    out: &mut impl Write,
) -> Result<(), RenderError> {
    for (stack, weight) in stacks(profile, heading.view.measure(style.by), style.paths) {
        let count = whole(weight);
        if count > 0 {
            writeln!(out, "{stack} {count}")?;
        }
    }
    Ok(())
}

/// The joined labels of each stack, with its weight; stacks that look the same are merged.
pub(super) fn stacks(profile: &Profile, by: By, paths: Paths) -> BTreeMap<String, f64> {
    let mut stacks = BTreeMap::new();
    for (stack, weight) in profile.sorted() {
        *stacks.entry(join(&labels::of_stack(stack, paths))).or_default() += weight.by(by);
    }
    stacks
}

fn join(labels: &[Label]) -> String {
    let texts: Vec<&str> = labels.iter().map(|label| label.text.as_str()).collect();
    texts.join(";")
}
