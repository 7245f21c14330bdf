//! Types as the user names them: in full, or by the end of the name; and what a misspelt name may mean.

use super::selector::SelectorError;
use crate::heap::analysis::Analysis;

/// The most types offered in place of an unknown one.
const MOST_OFFERS: usize = 3;
/// How alike two names must be to be taken for a slip of the pen: 0 is not at all, 1 is equal.
const ALIKE: f64 = 0.75;

/// Whether a type has this name.
pub(super) fn is(full: &str, name: &str) -> bool {
    full == name.strip_prefix("builtins.").unwrap_or(name)
}

/// Whether the name of a type ends with this one: `Entry` is the end of `app.cache.Entry`.
pub(super) fn ends_with(full: &str, name: &str) -> bool {
    full.strip_suffix(name).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// The full names of the types that the user means.
///
/// # Errors
/// There is no such type in the heap.
pub fn full_names(heap: &Analysis<'_>, name: &str) -> Result<Vec<String>, SelectorError> {
    let with = |is_meant: &dyn Fn(&str) -> bool| -> Vec<String> {
        let types = heap.graph.types().iter().filter(|info| is_meant(&info.name));
        types.map(|info| info.name.clone()).collect()
    };
    let mut found = with(&|other| is(other, name));
    if found.is_empty() {
        found = with(&|other| ends_with(other, name));
    }
    match found.is_empty() {
        true => Err(unknown(heap, name)),
        false => Ok(found),
    }
}

/// The error that there is no such type, with those that may be meant.
pub(super) fn unknown(heap: &Analysis<'_>, name: &str) -> SelectorError {
    let types = heap.graph.types().iter().map(|info| info.name.as_str());
    SelectorError::NoSuchType { name: name.to_owned(), offers: offers(types, name) }
}

/// Types with similar names, in words.
fn offers<'a>(types: impl Iterator<Item = &'a str>, name: &str) -> String {
    let plain = |name: &str| name.rsplit('.').next().unwrap_or_default().to_lowercase();
    let wanted = plain(name);
    let likeness = |other: &str| {
        let other = plain(other);
        match wanted.len() > 2 && other.len() > 2 {
            true if other.contains(&wanted) || wanted.contains(&other) => 1.0,
            true => strsim::normalized_damerau_levenshtein(&wanted, &other),
            false => 0.0,
        }
    };
    let mut names: Vec<(f64, &str)> = types.map(|other| (likeness(other), other)).collect();
    names.retain(|(likeness, _)| *likeness >= ALIKE);
    names.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    names.dedup_by_key(|(_, name)| *name);
    let names: Vec<&str> = names.into_iter().take(MOST_OFFERS).map(|(_, name)| name).collect();
    match names.as_slice() {
        [] => String::new(),
        [one] => format!("; did you mean {one}?"),
        [rest @ .., last] => format!("; did you mean {} or {last}?", rest.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_pen_is_understood() {
        let types = ["app.Session", "app.cache.Entry", "dict", "app.SessionStore", "int"];
        let offered = |name| offers(types.into_iter(), name);
        assert_eq!(offered("app.Sesion"), "; did you mean app.Session?");
        assert_eq!(offered("session"), "; did you mean app.Session or app.SessionStore?");
        assert_eq!(offered("entri"), "; did you mean app.cache.Entry?");
        assert_eq!([offered("in"), offered("Walrus")], ["", ""]);
    }

    #[test]
    fn a_type_is_named_in_full_or_by_its_end() {
        assert!(is("dict", "builtins.dict") && is("app.Entry", "app.Entry"));
        assert!(ends_with("app.cache.Entry", "cache.Entry") && !ends_with("app.MyEntry", "Entry"));
    }
}
