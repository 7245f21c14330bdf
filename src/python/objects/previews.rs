//! The values of objects, shortened, for `--values`.
//!
//! Numbers, text and bytes as Python prints them, cut to a length; the first few items of containers. They go
//! only two levels deep, so cycles do not matter.

use super::edge_names::EdgeNames;
use super::edges::Role;
use super::links::quoted;
use super::reader::Reader;
use super::values::{bytes, int_text, string, type_name, type_of};
use crate::memory::{Memory, ReadError};
use crate::python::at;

/// The most characters or bytes that are shown.
const LONGEST: usize = 80;
/// The most items of a container that are shown.
const MOST_ITEMS: usize = 5;
/// How many levels of containers are shown.
pub(super) const LEVELS: u32 = 2;

impl<M: Memory> Reader<'_, M> {
    pub(super) fn preview_to(&self, object: u64, levels: u32) -> Option<String> {
        let (memory, layout) = (self.memory, self.layout());
        let name = type_name(memory, layout, type_of(memory, layout, object).ok()?).ok()?;
        let simple: Result<String, ReadError> = match &*name {
            "NoneType" => return Some("None".to_owned()),
            "bool" => int_text(memory, layout, object)
                .map(|text| if text == "0" { "False".to_owned() } else { "True".to_owned() }),
            "int" => int_text(memory, layout, object),
            "float" => {
                let value = memory.u64(at(object, layout.object.size));
                value.map(|bits| format!("{:?}", f64::from_bits(bits)))
            }
            "str" => string(memory, layout, object).map(|text| shortened(&text)),
            "bytes" => bytes(memory, layout, object).map(|bytes| byte_string(&bytes)),
            "list" | "tuple" | "set" | "frozenset" | "dict" => {
                return self.container(object, &name, levels);
            }
            _ => return None,
        };
        simple.ok()
    }

    fn container(&self, object: u64, name: &str, levels: u32) -> Option<String> {
        let (open, close) = match name {
            "list" => ("[", "]"),
            "tuple" => ("(", ")"),
            _ => ("{", "}"),
        };
        if levels == 0 {
            return Some(format!("{open}…{close}"));
        }
        let mut roles = Vec::new();
        self.roles(object, &mut roles);
        let is_item = |role: &Role| match role {
            Role::Index(_) | Role::Element => name != "dict",
            Role::Value(_) => name == "dict",
            _ => false,
        };
        roles.retain(|(_, role)| is_item(role));
        let mut items = Vec::new();
        for &(item, role) in roles.iter().take(MOST_ITEMS) {
            let mut text = self.preview_to(item, levels - 1).unwrap_or("…".to_owned());
            if let Role::Value(key) = role {
                let key = self.preview_to(key, 0).unwrap_or("…".to_owned());
                text = format!("{key}: {text}");
            }
            items.push(text);
        }
        match roles.len().saturating_sub(MOST_ITEMS) {
            0 => {}
            more => items.push(format!("… {more} more")),
        }
        Some(format!("{open}{}{close}", items.join(", ")))
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", quoted(text.get(..end).unwrap_or_default())),
        None => quoted(text),
    }
}

fn byte_string(bytes: &[u8]) -> String {
    let shown = bytes.get(..LONGEST.min(bytes.len())).unwrap_or_default();
    let more = if bytes.len() > LONGEST { "…" } else { "" };
    format!("b'{}'{more}", shown.escape_ascii())
}
