//! Selecting objects as typed on the command line: by type, by address, or by a path from a module.

use std::str::FromStr;

use crate::heap::analysis::Analysis;
use crate::heap::ids::NodeId;
use crate::heap::trace::roots::RootKind;
use crate::obstacle::{Obstructed, Obstruction};
use crate::python::objects::{EdgeNames, Link, Role};

/// The maximum number of types suggested in place of an unknown one.
const MOST_OFFERS: usize = 5;

/// Which objects the user asks about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selector {
    /// All objects of the types with this name: `app.cache.Entry`, or its end, `Entry`.
    Type(String),
    /// The object at this address.
    Address(u64),
    /// The object at the end of a path from a module: `app.cache:CACHE['key'].entries[3]`.
    Path {
        /// The module's name.
        module: String,
        /// The steps from there, as written in Python.
        steps: Vec<String>,
    },
}

/// Why a selector selects nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectorError {
    /// It cannot be parsed.
    #[error(
        "`{0}` is neither a type, nor an address such as 0x7f12…, nor a path such as app.cache:CACHE"
    )]
    Form(String),
    /// No object has such a type.
    #[error("there is no object of the type {name}{offers}")]
    NoSuchType {
        /// The type.
        name: String,
        /// Types with similar names, in words.
        offers: String,
    },
    /// There is no object at this address.
    #[error("there is no object at {0:#x}")]
    NoObject(u64),
    /// There is no such module.
    #[error("there is no module {0} in the process")]
    NoSuchModule(String),
    /// A step of the path leads nowhere.
    #[error("{after} has no {step}")]
    NoSuchStep {
        /// The path up to there.
        after: String,
        /// The step.
        step: String,
    },
}

impl Obstructed for SelectorError {
    fn obstacle(&self) -> Option<Obstruction> {
        match self {
            SelectorError::Form(_)
            | SelectorError::NoSuchType { .. }
            | SelectorError::NoObject(_)
            | SelectorError::NoSuchModule(_)
            | SelectorError::NoSuchStep { .. } => None,
        }
    }
}

impl FromStr for Selector {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Selector, SelectorError> {
        let refused = || SelectorError::Form(text.to_owned());
        if let Some(digits) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
            return u64::from_str_radix(digits, 16).map(Selector::Address).map_err(|_| refused());
        }
        match text.split_once(':') {
            Some((module, path)) if !module.is_empty() => {
                let steps = steps(path).ok_or_else(refused)?;
                Ok(Selector::Path { module: module.to_owned(), steps })
            }
            Some(_) => Err(refused()),
            None if text.is_empty() || text.contains(char::is_whitespace) => Err(refused()),
            None => Ok(Selector::Type(text.to_owned())),
        }
    }
}

/// Splits a path: `CACHE['key'].entries` is `CACHE`, `['key']`, `.entries`. All quotes become single quotes.
fn steps(path: &str) -> Option<Vec<String>> {
    let mut steps = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        let is_first = steps.is_empty();
        let (step, behind) = match rest.strip_prefix('[') {
            Some(inside) => {
                let quote = inside.chars().next().filter(|first| matches!(first, '\'' | '"'));
                let (key, behind) = match quote {
                    Some(quote) => {
                        let inside = inside.get(1..)?;
                        let (key, behind) = inside.split_once(&format!("{quote}]"))?;
                        (format!("'{key}'"), behind)
                    }
                    None => {
                        let (key, behind) = inside.split_once(']')?;
                        (key.trim().to_owned(), behind)
                    }
                };
                (format!("[{key}]"), behind)
            }
            None => {
                let name = match (rest.strip_prefix('.'), is_first) {
                    (Some(name), false) => name,
                    (None, true) => rest,
                    _ => return None,
                };
                let end = name.find(['.', '[']).unwrap_or(name.len());
                let (name, behind) = name.split_at_checked(end)?;
                if name.is_empty() {
                    return None;
                }
                (format!(".{name}"), behind)
            }
        };
        steps.push(step);
        rest = behind;
    }
    Some(steps)
}

impl Selector {
    /// The selected nodes, at least one.
    ///
    /// # Errors
    /// There is no such object.
    pub fn find(&self, heap: &Analysis<'_>) -> Result<Vec<NodeId>, SelectorError> {
        match self {
            Selector::Type(name) => of_type(heap, name),
            Selector::Address(address) => {
                let node = heap.graph.node(*address);
                node.map(|node| vec![node]).ok_or(SelectorError::NoObject(*address))
            }
            Selector::Path { module, steps } => behind(heap, module, steps).map(|node| vec![node]),
        }
    }
}

/// All objects of the types with this name or, if there are none, of those whose names end with it.
fn of_type(heap: &Analysis<'_>, name: &str) -> Result<Vec<NodeId>, SelectorError> {
    let graph = &heap.graph;
    let types = graph.types();
    let ends_so = |other: &str| {
        other.strip_suffix(name).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    let plain = name.strip_prefix("builtins.").unwrap_or(name);
    let mut wanted: Vec<bool> = types.iter().map(|info| info.name == plain).collect();
    let objects = |wanted: &[bool]| -> Vec<NodeId> {
        let is_wanted = |node: &NodeId| {
            let kind = graph.type_id(*node).and_then(|id| wanted.get(id.0 as usize));
            kind.copied().unwrap_or_default()
        };
        graph.objects().filter(is_wanted).collect()
    };
    let mut found = if wanted.contains(&true) { objects(&wanted) } else { Vec::new() };
    if found.is_empty() {
        wanted = types.iter().map(|info| ends_so(&info.name)).collect();
        found = if wanted.contains(&true) { objects(&wanted) } else { Vec::new() };
    }
    if found.is_empty() {
        let name = name.to_owned();
        return Err(SelectorError::NoSuchType { offers: offers(heap, &name), name });
    }
    Ok(found)
}

/// Types with similar names, in words.
fn offers(heap: &Analysis<'_>, name: &str) -> String {
    let plain = |name: &str| name.rsplit('.').next().unwrap_or_default().to_lowercase();
    let wanted = plain(name);
    let mut names: Vec<&str> = heap.graph.types().iter().map(|info| info.name.as_str()).collect();
    names.retain(|other| {
        let other = plain(other);
        wanted.len() > 2 && other.len() > 2 && (other.contains(&wanted) || wanted.contains(&other))
    });
    names.sort_unstable();
    names.dedup();
    names.truncate(MOST_OFFERS);
    match names.as_slice() {
        [] => String::new(),
        names => format!("; there are types {}", names.join(", ")),
    }
}

/// The object at the end of a path.
fn behind(heap: &Analysis<'_>, module: &str, steps: &[String]) -> Result<NodeId, SelectorError> {
    let is_meant = |kind: &RootKind| matches!(kind, RootKind::Module { name } if name == module);
    let root = heap.graph.roots().iter().find(|root| is_meant(&root.kind));
    let no_module = || SelectorError::NoSuchModule(module.to_owned());
    let mut object = *root.and_then(|root| root.objects.first()).ok_or_else(no_module)?;
    let mut after = module.to_owned();
    for (number, step) in steps.iter().enumerate() {
        let shown = if number == 0 { step.replacen('.', ":", 1) } else { step.clone() };
        object = next(heap, object, step).ok_or_else(|| {
            let step = shown.trim_start_matches([':', '.']).to_owned();
            SelectorError::NoSuchStep { after: after.clone(), step }
        })?;
        after.push_str(&shown);
    }
    heap.graph.node(object).ok_or(SelectorError::NoObject(object))
}

/// The object that a step from another leads to.
fn next(heap: &Analysis<'_>, object: u64, step: &str) -> Option<u64> {
    let names = heap.names();
    let mut roles = Vec::new();
    names.roles(object, &mut roles);
    let says = |role: Role| names.words(role).is_some_and(|link| link.to_string() == step);
    if let Some(&(found, _)) = roles.iter().find(|(_, role)| says(*role)) {
        return Some(found);
    }
    // An attribute may be in the dict of the object or of a class.
    let name = step.strip_prefix('.')?;
    let is_dict = |role: Role| role == Role::Field("__dict__");
    let dicts: Vec<u64> =
        roles.iter().filter(|(_, role)| is_dict(*role)).map(|(dict, _)| *dict).collect();
    dicts.into_iter().find_map(|dict| {
        roles.clear();
        names.roles(dict, &mut roles);
        let key = |role| match role {
            Role::Value(key) => names.words(Role::Attribute(key)),
            _ => None,
        };
        let is_meant =
            |role: Role| matches!(key(role), Some(Link::Attribute(found)) if found == name);
        roles.iter().find(|(_, role)| is_meant(*role)).map(|(value, _)| *value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_is_told_from_the_others() {
        let path = |steps: &[&str]| {
            let steps = steps.iter().map(|step| (*step).to_owned()).collect();
            Ok(Selector::Path { module: "app.cache".into(), steps })
        };
        assert_eq!("0x7f12".parse(), Ok(Selector::Address(0x7f12)));
        assert_eq!("app.Entry".parse(), Ok(Selector::Type("app.Entry".into())));
        assert_eq!("app.cache:".parse(), path(&[]));
        assert_eq!("app.cache:CACHE".parse(), path(&[".CACHE"]));
        assert_eq!(
            "app.cache:CACHE['a.b[0]'].items[3]".parse(),
            path(&[".CACHE", "['a.b[0]']", ".items", "[3]"])
        );
        assert_eq!("app.cache:C[\"k\"]".parse(), path(&[".C", "['k']"]));
        for refused in ["", "0xyz", ":x", "a b", "m:a..b", "m:a[", "m:a['x]", "m:a]b[", "m:.x"] {
            assert_eq!(refused.parse::<Selector>(), Err(SelectorError::Form(refused.to_owned())));
        }
    }
}
