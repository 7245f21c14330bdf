//! Selecting objects as typed on the command line: by type, by address, or by a path from a module.

use std::str::FromStr;

use super::type_names;
use crate::heap::analysis::Analysis;
use crate::heap::ids::NodeId;
use crate::heap::trace::roots::RootKind;
use crate::obstacle::{Obstructed, Obstruction};
use crate::python::objects::{EdgeNames, Link, Role};

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
    /// The same as Python writes it, `app.cache.CACHE['key'].entries[-1]`: which part is the module is known only
    /// in the process.
    Expression(Vec<String>),
}

/// Why a selector selects nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectorError {
    /// It cannot be parsed.
    #[error(
        "`{0}` is neither a type, nor an address such as 0x7f12…, nor a path such as app.cache.CACHE['key']"
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
        // A colon in a key is not one behind a module.
        match text.split_once(':').filter(|(module, _)| !module.contains('[')) {
            Some((module, path)) if !module.is_empty() => {
                let steps = steps(path).ok_or_else(refused)?;
                Ok(Selector::Path { module: module.to_owned(), steps })
            }
            Some(_) => Err(refused()),
            None if text.contains('[') => match steps(text) {
                Some(steps) => Ok(Selector::Expression(steps)),
                None => Err(refused()),
            },
            None if text.is_empty() || text.contains(char::is_whitespace) => Err(refused()),
            None => Ok(Selector::Type(text.to_owned())),
        }
    }
}

/// Splits a path: `CACHE['key'].entries` is `CACHE`, `['key']`, `.entries`. Quotes become those that are shown.
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
                        (quoted_as_shown(key, quote), behind)
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

/// A key between quotes as it is shown: in double quotes if it has a single one and no double one.
fn quoted_as_shown(key: &str, quote: char) -> String {
    let bare = key.replace(&format!("\\{quote}"), &quote.to_string());
    match (bare.contains('\''), bare.contains('"')) {
        (true, false) => format!("\"{bare}\""),
        (true, true) => format!("'{}'", bare.replace('\'', "\\'")),
        (false, _) => format!("'{bare}'"),
    }
}

impl Selector {
    /// The selected nodes, at least one.
    ///
    /// # Errors
    /// There is no such object.
    pub fn find(&self, heap: &Analysis<'_>) -> Result<Vec<NodeId>, SelectorError> {
        match self {
            Selector::Type(name) => of_type(heap, name).or_else(|no_type| {
                // `app.cache.CACHE` reads like a type.
                match steps(name).map(|steps| dotted(heap, &steps)) {
                    Some(Ok(node)) => Ok(vec![node]),
                    Some(Err(error @ SelectorError::NoSuchStep { .. }))
                        if !has_offers(&no_type) =>
                    {
                        Err(error)
                    }
                    _ => Err(no_type),
                }
            }),
            Selector::Expression(steps) => dotted(heap, steps).map(|node| vec![node]),
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
    let objects = |is_meant: &dyn Fn(&str) -> bool| -> Vec<NodeId> {
        let wanted: Vec<bool> = types.iter().map(|info| is_meant(&info.name)).collect();
        if !wanted.contains(&true) {
            return Vec::new();
        }
        let is_wanted = |node: &NodeId| {
            let kind = graph.type_id(*node).and_then(|id| wanted.get(id.0 as usize));
            kind.copied().unwrap_or_default()
        };
        graph.objects().filter(is_wanted).collect()
    };
    let mut found = objects(&|other| type_names::is(other, name));
    if found.is_empty() {
        found = objects(&|other| type_names::ends_with(other, name));
    }
    match found.is_empty() {
        true => Err(type_names::unknown(heap, name)),
        false => Ok(found),
    }
}

/// The object at a path whose module is not marked off: the longest beginning that names a module.
fn dotted(heap: &Analysis<'_>, steps: &[String]) -> Result<NodeId, SelectorError> {
    let names: Vec<&str> = steps.iter().map_while(|step| step.strip_prefix('.')).collect();
    for count in (1..=names.len()).rev() {
        let module = names.iter().take(count).copied().collect::<Vec<_>>().join(".");
        if let (Ok(_), Some(rest)) = (module_object(heap, &module), steps.get(count..)) {
            return behind(heap, &module, rest);
        }
    }
    let first = names.first().copied().unwrap_or_default();
    Err(SelectorError::NoSuchModule(first.to_owned()))
}

/// The object of a module.
fn module_object(heap: &Analysis<'_>, module: &str) -> Result<u64, SelectorError> {
    let is_meant = |kind: &RootKind| matches!(kind, RootKind::Module { name } if name == module);
    let root = heap.graph.roots().iter().find(|root| is_meant(&root.kind));
    let no_module = || SelectorError::NoSuchModule(module.to_owned());
    root.and_then(|root| root.objects.first()).copied().ok_or_else(no_module)
}

/// The object at the end of a path.
fn behind(heap: &Analysis<'_>, module: &str, steps: &[String]) -> Result<NodeId, SelectorError> {
    let mut object = module_object(heap, module)?;
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

/// Whether an error offers types with similar names.
fn has_offers(error: &SelectorError) -> bool {
    matches!(error, SelectorError::NoSuchType { offers, .. } if !offers.is_empty())
}

/// The number behind the minus of a step such as `[-1]`.
fn from_the_end(step: &str) -> Option<u64> {
    step.strip_prefix("[-")?.strip_suffix(']')?.parse().ok().filter(|&index| index > 0)
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
    if let Some(index) = from_the_end(step) {
        let item = |role| match role {
            Role::Index(index) => Some(index),
            _ => None,
        };
        let count = roles.iter().filter_map(|(_, role)| item(*role)).max()?.checked_add(1)?;
        let index = count.checked_sub(index)?;
        return roles.iter().find(|(_, role)| item(*role) == Some(index)).map(|(found, _)| *found);
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
        for typed in [r"app.cache:C['it\'s']", "app.cache:C['it's']", "app.cache:C[\"it's\"]"] {
            assert_eq!(typed.parse(), path(&[".C", "[\"it's\"]"]));
        }
        let steps = [".app", ".C", "['k:l']", "[-1]", ".x"].map(str::to_owned).to_vec();
        assert_eq!("app.C['k:l'][-1].x".parse(), Ok(Selector::Expression(steps)));
        for refused in ["", "0xyz", ":x", "a b", "m:a..b", "m:a[", "m:a['x]", "m:a]b[", "m:.x"] {
            assert_eq!(refused.parse::<Selector>(), Err(SelectorError::Form(refused.to_owned())));
        }
    }
}
