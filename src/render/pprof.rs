//! Profiles for `go tool pprof` and Pyroscope: gzipped protocol buffers (profile.proto of pprof).
//!
//! Every entry of a stack is a function: frames with file and line, other entries by their words.

use std::hash::Hash;
use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use rustc_hash::FxHashMap;

use super::{Heading, RenderError, Style, View, whole};
use crate::profile::{By, Profile, Stack};

/// The fields of a message, written one after the other.
#[derive(Debug, Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut number: u64) {
        /// The bits of a byte that are of the number; the other says that more follow.
        const MOST: u64 = 0x7f;
        while number > MOST {
            self.0.push((number & MOST | !MOST) as u8);
            number >>= MOST.count_ones();
        }
        self.0.push(number as u8);
    }

    /// A number; 0 is the default and is left out.
    fn number(&mut self, field: u64, number: u64) {
        if number != 0 {
            self.varint(8 * field);
            self.varint(number);
        }
    }

    fn bytes(&mut self, field: u64, bytes: &[u8]) {
        /// The wire type of what has a length.
        const WITH_LENGTH: u64 = 2;
        self.varint(8 * field + WITH_LENGTH);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    fn message(&mut self, field: u64, message: &Message) {
        self.bytes(field, &message.0);
    }

    /// Several numbers in one field.
    fn packed(&mut self, field: u64, numbers: impl IntoIterator<Item = u64>) {
        let mut packed = Message::default();
        numbers.into_iter().for_each(|number| packed.varint(number));
        self.message(field, &packed);
    }
}

/// The fields of `message Profile`.
mod profile {
    pub const SAMPLE_TYPE: u64 = 1;
    pub const SAMPLE: u64 = 2;
    pub const LOCATION: u64 = 4;
    pub const FUNCTION: u64 = 5;
    pub const STRINGS: u64 = 6;
    pub const DURATION: u64 = 10;
    pub const COMMENT: u64 = 13;
    pub const DEFAULT_SAMPLE_TYPE: u64 = 14;
}

/// Numbers for things, in the order of their first use.
#[derive(Debug)]
struct Numbers<K>(FxHashMap<K, u64>);

impl<K: Hash + Eq> Numbers<K> {
    /// The number of a thing, and whether it is new.
    fn of(&mut self, thing: K) -> (u64, bool) {
        let next = self.0.len() as u64;
        let number = *self.0.entry(thing).or_insert(next);
        (number, number == next && self.0.len() as u64 > next)
    }
}

/// Texts, functions and lines, each written once.
#[derive(Debug)]
struct Tables<'a> {
    strings: Numbers<&'a str>,
    functions: Numbers<(u64, u64)>,
    locations: Numbers<(u64, u64)>,
    out: Message,
}

impl<'a> Tables<'a> {
    fn new() -> Tables<'a> {
        let mut tables = Tables {
            strings: Numbers(FxHashMap::default()),
            functions: Numbers(FxHashMap::default()),
            locations: Numbers(FxHashMap::default()),
            out: Message::default(),
        };
        // The first string must be empty.
        tables.string("");
        tables
    }

    fn string(&mut self, text: &'a str) -> u64 {
        let (number, is_new) = self.strings.of(text);
        if is_new {
            self.out.bytes(profile::STRINGS, text.as_bytes());
        }
        number
    }

    /// The location of a line of a function; numbers begin with 1.
    fn location(&mut self, function: &'a str, file: &'a str, line: u64) -> u64 {
        let (name, file) = (self.string(function), self.string(file));
        let (number, is_new) = self.functions.of((name, file));
        let function = number + 1;
        if is_new {
            let mut message = Message::default();
            message.number(1, function);
            message.number(2, name);
            message.number(3, name);
            message.number(4, file);
            self.out.message(profile::FUNCTION, &message);
        }
        let (number, is_new) = self.locations.of((function, line));
        if is_new {
            let mut place = Message::default();
            place.number(1, function);
            place.number(2, line);
            let mut message = Message::default();
            message.number(1, number + 1);
            message.message(4, &place);
            self.out.message(profile::LOCATION, &message);
        }
        number + 1
    }

    /// The locations of a stack, innermost first.
    fn stack(&mut self, stack: &'a Stack) -> Vec<u64> {
        let mut found = Vec::new();
        for words in stack.leaf.iter().chain(stack.path.iter().rev()) {
            found.push(self.location(words, "", 0));
        }
        for frame in &stack.frames {
            let line = frame.line.unwrap_or_default().into();
            found.push(self.location(&frame.function, &frame.file, line));
        }
        for words in stack.roots.iter().rev() {
            found.push(self.location(words, "", 0));
        }
        found
    }
}

/// The names of the two values of a sample: how many, and how many bytes.
fn sample_types(view: View) -> [(&'static str, &'static str); 2] {
    match view {
        View::Live | View::Traced => [("inuse_objects", "count"), ("inuse_space", "bytes")],
        View::Allocated | View::Fed => [("alloc_objects", "count"), ("alloc_space", "bytes")],
        View::Stacks => [("samples", "count"), ("unknown", "bytes")],
    }
}

/// Writes a profile.
pub fn write(
    profile: &Profile,
    heading: &Heading,
    style: Style,
    out: &mut impl Write,
) -> Result<(), RenderError> {
    let mut tables = Tables::new();
    let types = sample_types(heading.view);
    for (name, unit) in types {
        let mut message = Message::default();
        message.number(1, tables.string(name));
        message.number(2, tables.string(unit));
        tables.out.message(profile::SAMPLE_TYPE, &message);
    }
    for (stack, weight) in profile.sorted() {
        let locations = tables.stack(stack);
        let mut message = Message::default();
        message.packed(1, locations);
        message.packed(2, [whole(weight.objects), whole(weight.bytes)]);
        tables.out.message(profile::SAMPLE, &message);
    }
    let [(objects, _), (bytes, _)] = types;
    let default = match heading.view.measure(style.by) {
        By::Objects => objects,
        By::Bytes => bytes,
    };
    let default = tables.string(default);
    tables.out.number(profile::DEFAULT_SAMPLE_TYPE, default);
    let comment = tables.string(&heading.command);
    tables.out.number(profile::COMMENT, comment);
    let duration = u64::try_from(heading.duration.as_nanos()).unwrap_or(u64::MAX);
    tables.out.number(profile::DURATION, duration);
    let mut gzip = GzEncoder::new(out, Compression::default());
    gzip.write_all(&tables.out.0)?;
    gzip.finish()?;
    Ok(())
}
