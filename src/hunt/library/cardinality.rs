//! Which label of a metric has too many values.
//!
//! Values are only counted. A name is shown like a key that may be a name.

use std::collections::BTreeMap;

use rustc_hash::FxHashSet;

use crate::heap::Capture;
use crate::python::objects::{EdgeNames, Link, Reader, Role};

/// The most label sets that are read.
const MOST_SETS: usize = 5000;

/// The label with most values in the dict of a metric, whose keys are tuples of values or sets of pairs. The
/// metric may have the names of its labels in an attribute.
pub(super) fn cardinality(
    reader: Reader<'_, Capture<'_>>,
    dict: u64,
    metric: u64,
) -> Option<String> {
    let mut entries = Vec::new();
    reader.roles(dict, &mut entries);
    let keys: Vec<u64> = entries
        .into_iter()
        .filter_map(|(_, role)| match role {
            Role::Value(key) => Some(key),
            _ => None,
        })
        .take(MOST_SETS)
        .collect();
    let names: Vec<Option<u64>> = match reader.attribute_of(metric, "_labelnames") {
        Some(names) => reader.tuple(names).into_iter().map(Some).collect(),
        None => Vec::new(),
    };
    let mut values: BTreeMap<Label, FxHashSet<String>> = BTreeMap::new();
    for &key in &keys {
        for (label, value) in labels(reader, key, &names) {
            if let Some(value) = reader.text(value).or_else(|| reader.preview(value)) {
                values.entry(label).or_default().insert(value);
            }
        }
    }
    let (label, values) = values.into_iter().max_by_key(|(_, values)| values.len())?;
    let label = match label {
        Label::Name(name) => format!("label {name}"),
        Label::Number(number) => format!("label {}", number + 1),
    };
    Some(format!("; {label} has {} values in {} sets", values.len(), keys.len()))
}

/// A label, by its name or its place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Label {
    Name(String),
    Number(usize),
}

/// The labels of a set, and their values.
fn labels(reader: Reader<'_, Capture<'_>>, key: u64, names: &[Option<u64>]) -> Vec<(Label, u64)> {
    let name = |object: u64| match reader.words(Role::Attribute(object)) {
        Some(Link::Attribute(name)) => Some(name),
        _ => None,
    };
    let named = |number: usize| {
        let name = names.get(number).copied().flatten().and_then(name);
        name.map_or(Label::Number(number), Label::Name)
    };
    let values = reader.tuple(key);
    if !values.is_empty() {
        return values.into_iter().enumerate().map(|(it, value)| (named(it), value)).collect();
    }
    let mut pairs = Vec::new();
    reader.roles(key, &mut pairs);
    let pair = |(pair, _)| match *reader.tuple(pair) {
        [label, value] => Some((Label::Name(name(label)?), value)),
        _ => None,
    };
    pairs.into_iter().filter_map(pair).collect()
}
