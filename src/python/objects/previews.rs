//! The values of objects for `--values`, as `repr` prints them, shortened.
//!
//! Objects of the built-in types only: of others, `repr` runs code of the program. What is cut ends in `…`; an
//! object inside a container that has no value to show is its type in angle brackets. A value is bounded in
//! length and depth, so rings do not matter.

use super::edges::{Role, Sink};
use super::number_text;
use super::quoting::{write_bytes, write_text};
use super::reader::Reader;
use super::values::{Number, bytes, int, text};
use super::visit::Visit;
use crate::memory::{Memory, ReadError};
use crate::python::at;

/// The most characters or bytes of a text that are shown.
const LONGEST: usize = 80;
/// The most items of a container that are shown.
const MOST_ITEMS: usize = 5;
/// How many levels of containers are shown.
const LEVELS: usize = 3;
/// Behind so many bytes no further item of a container is shown.
const ENOUGH: usize = 400;

impl<M: Memory> Reader<'_, M> {
    /// An object's value, shortened; `None` if its type has none to show, or it cannot be read.
    pub(super) fn shortened_repr(&self, object: u64) -> Option<String> {
        let mut writer = Writer { reader: *self, text: String::new(), open: Vec::new() };
        writer.object(object)?;
        Some(writer.text)
    }
}

/// How a container looks.
#[derive(Clone, Copy)]
struct Brackets {
    /// What is before and behind its items.
    around: [&'static str; 2],
    /// An empty one.
    empty: &'static str,
    /// One within itself.
    within_itself: &'static str,
}

/// A kind of container, by the name of its type.
fn brackets(name: &str) -> Option<Brackets> {
    let [before, behind, empty, within_itself] = match name {
        "list" => ["[", "]", "[]", "[...]"],
        "tuple" => ["(", ")", "()", "(...)"],
        "dict" => ["{", "}", "{}", "{...}"],
        "frozendict" => ["frozendict({", "})", "frozendict()", "frozendict({...})"],
        "set" => ["{", "}", "set()", "set(...)"],
        "frozenset" => ["frozenset({", "})", "frozenset()", "frozenset(...)"],
        _ => return None,
    };
    Some(Brackets { around: [before, behind], empty, within_itself })
}

struct Writer<'r, M> {
    reader: Reader<'r, M>,
    text: String,
    /// The containers around what is being written.
    open: Vec<u64>,
}

impl<M: Memory> Writer<'_, M> {
    fn object(&mut self, object: u64) -> Option<()> {
        let (memory, layout) = (self.reader.memory, self.reader.layout());
        let info = self.reader.type_of(object).ok()?;
        // A class of the program may have any name.
        if info.made_in_python {
            return None;
        }
        let float = |offset: usize| memory.u64(at(object, offset)).map(f64::from_bits).ok();
        let value = layout.object.size;
        let simple = match &*info.name {
            "NoneType" => "None".to_owned(),
            "ellipsis" => "Ellipsis".to_owned(),
            "NotImplementedType" => "NotImplemented".to_owned(),
            "bool" => match int(memory, layout, object).ok()? {
                Number::Digits { digits, .. } if digits.iter().all(|&digit| digit == 0) => {
                    "False".to_owned()
                }
                _ => "True".to_owned(),
            },
            "int" => match int(memory, layout, object).ok()? {
                Number::Digits { digits, is_negative } => number_text::int(&digits, is_negative),
                Number::Long { bits, is_negative } => {
                    let sign = if is_negative { "negative " } else { "" };
                    format!("<{sign}int of {bits} bits>")
                }
            },
            "float" => number_text::float(float(value)?),
            "complex" => number_text::complex(float(value)?, float(value + 8)?),
            "str" => return self.text_of(object).ok(),
            "bytes" => return self.bytes(&bytes(memory, layout, object).ok()?),
            "bytearray" => return self.bytearray(object),
            "range" => return self.call(object, "range", &["start", "stop", "step"]),
            "slice" => return self.call(object, "slice", &["start", "stop", "step"]),
            name => return self.container(object, name, brackets(name)?),
        };
        self.text.push_str(&simple);
        Some(())
    }

    fn text_of(&mut self, object: u64) -> Result<(), ReadError> {
        let layout = self.reader.layout();
        let mut code_points = text(self.reader.memory, layout, object)?;
        let is_cut = code_points.len() > LONGEST;
        code_points.truncate(LONGEST);
        write_text(&code_points, layout.unicode.printable, &mut self.text);
        self.text.push_str(if is_cut { "…" } else { "" });
        Ok(())
    }

    fn bytes(&mut self, bytes: &[u8]) -> Option<()> {
        write_bytes(bytes.get(..LONGEST).unwrap_or(bytes), &mut self.text);
        self.text.push_str(if bytes.len() > LONGEST { "…" } else { "" });
        Some(())
    }

    fn bytearray(&mut self, object: u64) -> Option<()> {
        let (memory, layout) = (self.reader.memory, self.reader.layout());
        let length = memory.u64(at(object, layout.object.size)).ok()?;
        let start = memory.u64(at(object, layout.objects.bytearray.start)).ok()?;
        let shown = length.min(LONGEST as u64 + 1);
        // An empty one may have no buffer.
        let bytes = match shown {
            0 => Vec::new(),
            _ => memory.bytes(start, shown, LONGEST + 1).ok()?,
        };
        self.text.push_str("bytearray(");
        let start = self.text.len();
        self.bytes(&bytes)?;
        // Before it was made of `bytes`, it escaped single quotes inside double ones too.
        if !layout.objects.bytearray.is_in_bytes {
            let literal = self.text.split_off(start);
            match literal.starts_with("b\"") {
                true => self.text.push_str(&literal.replace('\'', "\\'")),
                false => self.text.push_str(&literal),
            }
        }
        self.text.push(')');
        Some(())
    }

    /// A call with these fields as arguments.
    fn call(&mut self, object: u64, name: &str, fields: &[&'static str]) -> Option<()> {
        let mut found = Items { wanted: |role| matches!(role, Role::Field(_)), ..Items::default() };
        self.visit(object, &mut found)?;
        let fields = fields.iter().map(|&name| {
            let mut all = found.first.iter();
            all.find(|(_, role)| *role == Role::Field(name)).map(|&(child, _)| child)
        });
        let fields = fields.collect::<Option<Vec<u64>>>()?;
        self.text.push_str(name);
        self.text.push('(');
        for (number, &field) in fields.iter().enumerate() {
            let start = self.text.len();
            self.text.push_str(if number == 0 { "" } else { ", " });
            self.item(field);
            // A range does not show a step of 1.
            if name == "range" && number == 2 && self.text.get(start..) == Some(", 1") {
                self.text.truncate(start);
            }
        }
        self.text.push(')');
        Some(())
    }

    fn container(&mut self, object: u64, name: &str, brackets: Brackets) -> Option<()> {
        if self.open.contains(&object) {
            self.text.push_str(brackets.within_itself);
            return Some(());
        }
        let [before, behind] = brackets.around;
        let is_dict = matches!(name, "dict" | "frozendict");
        let wanted = match is_dict {
            true => |role| matches!(role, Role::Value(_)),
            false => |role| matches!(role, Role::Index(_) | Role::Element),
        };
        let mut items = Items { wanted, ..Items::default() };
        self.visit(object, &mut items)?;
        if items.count == 0 {
            self.text.push_str(brackets.empty);
            return Some(());
        }
        self.text.push_str(before);
        if self.open.len() == LEVELS {
            self.text.push_str(&format!("…{behind}"));
            return Some(());
        }
        self.open.push(object);
        let mut shown = 0;
        for (item, role) in items.first {
            if shown > 0 && self.text.len() > ENOUGH {
                break;
            }
            self.text.push_str(if shown == 0 { "" } else { ", " });
            if let Role::Value(key) = role {
                self.item(key);
                self.text.push_str(": ");
            }
            self.item(item);
            shown += 1;
        }
        self.open.pop();
        match items.count - shown {
            0 if name == "tuple" && shown == 1 => self.text.push(','),
            0 => {}
            more => self.text.push_str(&format!(", … {more} more")),
        }
        self.text.push_str(behind);
        Some(())
    }

    /// A part of an object: its type, if it has no value to show.
    fn item(&mut self, object: u64) {
        let start = self.text.len();
        if self.object(object).is_none() {
            self.text.truncate(start);
            let info = self.reader.type_of(object);
            let name = info.as_ref().map_or("unreadable", |info| &info.name);
            self.text.push_str(&format!("<{name}>"));
        }
    }

    fn visit(&self, object: u64, sink: &mut Items) -> Option<()> {
        let reader = &self.reader;
        let info = reader.type_of(object).ok()?;
        Visit::of(reader.memory, &reader.types.context, info, object, sink).ok()?;
        Some(())
    }
}

/// The first of the wanted references, and how many there are.
struct Items {
    wanted: fn(Role) -> bool,
    first: Vec<(u64, Role)>,
    count: usize,
}

impl Default for Items {
    fn default() -> Items {
        Items { wanted: |_| true, first: Vec::new(), count: 0 }
    }
}

impl Sink for Items {
    const WANTS_ROLES: bool = true;

    fn shown(&mut self, child: u64, role: Role) {
        if (self.wanted)(role) {
            self.count += 1;
            if self.first.len() < MOST_ITEMS {
                self.first.push((child, role));
            }
        }
    }

    fn held(&mut self, child: u64, role: Role) {
        self.shown(child, role);
    }

    fn candidate(&mut self, _word: u64, _role: Role) {}
}
