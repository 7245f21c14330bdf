//! The heaviest places of a profile, as deep inside the stacks as their weight reaches.

use std::collections::BTreeMap;

use super::{Style, labels};
use crate::inspect::live::SHARED;
use crate::profile::Profile;

/// A place is replaced by those inside it if one of them has more than this part of its weight: what is inside a place
/// of many parts says less than the place.
const MOST: f64 = 0.5;

/// A place, with everything inside it.
#[derive(Clone, Debug, PartialEq)]
pub struct Telling {
    /// Its labels, outermost first.
    pub labels: Vec<String>,
    /// Its weight, or by how much it grew.
    pub weight: f64,
}

/// A box of a picture; number 0 is around all others.
#[derive(Default)]
struct Place {
    label: String,
    inside: BTreeMap<String, usize>,
    weight: f64,
}

/// The `count` heaviest places of `profile`; if there is an `earlier` profile, those that grew most since.
/// None is inside another.
pub fn telling(
    profile: &Profile,
    earlier: Option<&Profile>,
    style: Style,
    count: usize,
) -> Vec<Telling> {
    let mut places = vec![Place::default()];
    add(&mut places, profile, style, 1.0);
    if let Some(earlier) = earlier {
        add(&mut places, earlier, style, -1.0);
    }
    let mut found = Vec::new();
    let mut rest: Vec<(usize, Vec<String>)> = vec![(0, Vec::new())];
    while let Some((index, labels)) = rest.pop() {
        let Some(place) = places.get(index) else { continue };
        let inside =
            || place.inside.values().filter_map(|&index| Some((index, places.get(index)?)));
        // What several places hold has nothing in common.
        let is_one = place.label != SHARED;
        let is_spread = is_one && !inside().any(|(_, inner)| inner.weight > MOST * place.weight);
        if is_spread && index > 0 {
            found.push(Telling { labels, weight: place.weight });
            continue;
        }
        for (index, inner) in inside().filter(|(_, inner)| inner.weight > 0.0) {
            let labels = labels.iter().chain([&inner.label]).cloned().collect();
            rest.push((index, labels));
        }
    }
    found.sort_by(|a, b| b.weight.total_cmp(&a.weight).then_with(|| a.labels.cmp(&b.labels)));
    found.truncate(count);
    found
}

fn add(places: &mut Vec<Place>, profile: &Profile, style: Style, factor: f64) {
    for (stack, weight) in profile.sorted() {
        let weight = factor * weight.by(style.by);
        let mut index = 0;
        for label in labels::of_stack(stack, style.paths) {
            let next = places.len();
            let Some(place) = places.get_mut(index) else { break };
            index = *place.inside.entry(label.text.clone()).or_insert(next);
            place.weight += weight;
            if index == next {
                places.push(Place { label: label.text, ..Place::default() });
            }
        }
        if let Some(place) = places.get_mut(index) {
            place.weight += weight;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::{Stack, Weight};

    fn profile(paths: &[(&[&str], f64)]) -> Profile {
        let mut profile = Profile::new();
        for (path, bytes) in paths {
            let path = path.iter().map(|&part| part.into()).collect();
            let stack = Stack { path, ..Stack::default() };
            profile.add(stack, Weight { bytes: *bytes, objects: 1.0 });
        }
        profile
    }

    fn told(profile: &Profile, earlier: Option<&Profile>) -> Vec<(String, f64)> {
        let places = telling(profile, earlier, Style::default(), 2);
        places.into_iter().map(|place| (place.labels.join("/"), place.weight)).collect()
    }

    #[test]
    fn the_heaviest_are_followed_inwards_until_they_spread() {
        let now = profile(&[
            (&["module a", "CACHE", "dict", "v"], 21.0),
            (&["module a", "CACHE", "dict", "w"], 21.0),
            (&["module a", "CACHE", "dict", "x"], 21.0),
            (&["module a", "CACHE", "dict", "y"], 21.0),
            (&["module a", "CACHE", "dict", "z"], 21.0),
            (&["module a", "small"], 5.0),
            (&["module b"], 20.0),
        ]);
        let expected = [("module a/CACHE/dict".to_owned(), 105.0), ("module b".to_owned(), 20.0)];
        assert_eq!(told(&now, None), expected);
    }

    #[test]
    fn what_retains_most_is_named_and_not_its_largest_leaf() {
        let now = profile(&[
            (&["module a", "CACHE dict", "Session"], 60.0),
            (&["module a", "CACHE dict", "Session", ".user str"], 40.0),
            (&["module a", "CACHE dict", "int"], 20.0),
            (&[SHARED, "type"], 30.0),
            (&[SHARED, "str"], 20.0),
        ]);
        let session = "module a/CACHE dict/Session".to_owned();
        assert_eq!(told(&now, None), [(session, 100.0), (format!("{SHARED}/type"), 30.0)]);
    }

    #[test]
    fn against_an_earlier_moment_growth_counts() {
        let before = profile(&[(&["large"], 100.0), (&["leak"], 1.0)]);
        let after = profile(&[(&["large"], 90.0), (&["leak"], 31.0)]);
        assert_eq!(told(&after, Some(&before)), [("leak".to_owned(), 30.0)]);
    }
}
