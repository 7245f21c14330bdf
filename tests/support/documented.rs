//! Compares JSON with the page that describes it: every key that `docs/json.md` names is present with the
//! type that the page gives, and there are no others.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// Keys of documents inside a document: each is like the whole, without these keys and `schema`.
const WHOLE: [&str; 2] = ["subprocesses", "together"];
/// The objects that are like one of `findings`.
const LIKE_A_FINDING: [&str; 2] = ["filling[].growth", "undecided[].growth"];
/// How the paths of objects end that are frames.
const OF_FRAMES: [&str; 3] = ["frame", "function", "place"];
/// The end of the type of an optional key.
const OPTIONAL: &str = ", optional";

/// Asserts that `document` matches the section with this title.
#[track_caller]
pub fn assert_documented(title: &str, document: &Value) {
    let page = include_str!("../../docs/json.md");
    let section = |title: &str| {
        let (_, rest) = page.split_once(&format!("\n## {title}\n")).expect("the section");
        rest.split_once("\n## ").map_or(rest, |(section, _)| section)
    };
    let mut types = rows(section(title));
    types.insert("schema", "number");
    let page = Page { types, of_frames: rows(section("What you can rely on")) };
    page.check_object(document, "", &page.types);
}

/// The first two columns of all tables in a text: a key, and its type.
fn rows(text: &str) -> BTreeMap<&str, &str> {
    text.lines()
        .filter_map(|line| {
            let mut columns = line.trim().strip_prefix("| `")?.split(" | ");
            Some((columns.next()?.strip_suffix('`')?, columns.next()?))
        })
        .collect()
}

/// The page's description: `stacks[].bytes` is a key of the objects in the array `stacks`.
struct Page<'a> {
    types: BTreeMap<&'a str, &'a str>,
    of_frames: BTreeMap<&'a str, &'a str>,
}

impl Page<'_> {
    /// `place` is the path of the object, a prefix of the keys of `types`.
    #[track_caller]
    fn check_object(&self, value: &Value, place: &str, types: &BTreeMap<&str, &str>) {
        let object = value.as_object().unwrap_or_else(|| panic!("{place} is no object: {value}"));
        let here = types.iter().filter_map(|(path, kind)| {
            let key = path.strip_prefix(place).filter(|key| !key.contains(['.', '[']))?;
            Some((key, *kind))
        });
        let here: BTreeMap<&str, &str> = here.collect();
        let found: BTreeSet<&str> = object.keys().map(String::as_str).collect();
        let is_expected =
            |(key, kind): &(&&str, &&str)| !kind.ends_with(OPTIONAL) || found.contains(**key);
        let expected = here.iter().filter(is_expected).map(|(key, _)| *key);
        assert_eq!(found, expected.collect(), "the keys at {place:?}");
        for (key, value) in object {
            self.check(value, &format!("{place}{key}"), here[key.as_str()], types);
        }
    }

    #[track_caller]
    fn check(&self, value: &Value, path: &str, kind: &str, types: &BTreeMap<&str, &str>) {
        let kind = kind.strip_suffix(OPTIONAL).unwrap_or(kind);
        let nullable = kind.strip_suffix(" or null");
        let fits = match nullable.unwrap_or(kind) {
            _ if value.is_null() => nullable.is_some(),
            "number" => value.is_number(),
            "string" => value.is_string(),
            "boolean" => value.is_boolean(),
            "array" | "array of strings" => value.is_array(),
            "object" => value.is_object(),
            other => panic!("{path} is said to be of the type {other}"),
        };
        assert!(fits, "{path} is no {kind}: {value}");
        let mut part = types.clone();
        part.retain(|key, _| !WHOLE.contains(key) && *key != "schema");
        match value {
            Value::Object(_) if WHOLE.contains(&path) => self.check_object(value, "", &part),
            Value::Object(_) if OF_FRAMES.iter().any(|end| path.ends_with(end)) => {
                self.check_object(value, "", &self.of_frames);
            }
            Value::Object(_) if LIKE_A_FINDING.contains(&path) => {
                self.check_object(value, "findings[].", types);
            }
            Value::Object(_) => self.check_object(value, &format!("{path}."), types),
            _ => {}
        }
        for element in value.as_array().into_iter().flatten() {
            if kind == "array of strings" {
                assert!(element.is_string(), "in {path}: {element}");
            } else if WHOLE.contains(&path) {
                self.check_object(element, "", &part);
            } else if path.ends_with("stack") {
                self.check_object(element, "", &self.of_frames);
            } else {
                self.check_object(element, &format!("{path}[]."), types);
            }
        }
    }
}
