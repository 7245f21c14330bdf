//! The objects of the C modules behind `pickle` and `xml`, which keep references in blocks of their own: a memo, a
//! stack, a table of handlers. (`Modules/_pickle.c`, `Modules/pyexpat.c`, `Modules/_elementtree.c`)

use super::edges::{Role, Sink};
use super::view::each;
use super::visit::{Size, Visit};
use crate::memory::{Memory, ReadError};
use crate::python::at;

/// The longest name of an encoding, or line of input, in bytes.
const LONGEST_TEXT: usize = 1 << 16;

/// `PyMemoTable`: its number of entries {key, value}, their address, its own bytes and those of an entry.
mod memo {
    pub const ALLOCATED: usize = 16;
    pub const TABLE: usize = 24;
    pub const SIZE: u64 = 32;
    pub const ENTRY: u64 = 16;
}

/// `PicklerObject` up to 3.12, and in 3.13.5 and later; in 3.13.0 one field is missing, so all after it lie 8 before.
mod pickler {
    pub const SIZE: u64 = 152;
    pub const MEMO: usize = 16;
    pub const PERSISTENT: usize = 24;
    /// Up to 3.12 not a reference, but the object whose method the former is.
    pub const PERSISTENT_OF: usize = 32;
    pub const DISPATCH_TABLE: usize = 40;
    pub const REDUCER_OVERRIDE: usize = 48;
    pub const WRITE: usize = 56;
    pub const OUTPUT: usize = 64;
    pub const FAST_MEMO: usize = 136;
    pub const BUFFER_CALLBACK: usize = 144;
}

/// `UnpicklerObject`: first what all versions have at one place, then from `read` on.
mod unpickler {
    pub const STACK: usize = 16;
    pub const MEMO: usize = 24;
    pub const MEMO_SIZE: usize = 32;
    pub const PERSISTENT: usize = 48;
    /// `input_line`, from the end of `buffer`, a `Py_buffer` with the object `obj` whose memory it is.
    pub const BUFFER_TO_LINE: usize = 88;
    pub const BUFFER_OBJECT: usize = 8;
    pub const METHODS: [&str; 4] = ["read", "readinto", "readline", "peek"];
    pub const BUFFERS: usize = 32;
    pub const ENCODING: usize = 40;
    pub const ERRORS: usize = 48;
    pub const MARKS_SIZE: usize = 72;

    /// The offsets of `input_line` and of `read` in an object of this many bytes: 3.13.0, up to 3.12 and 3.13.5,
    /// 3.14, 3.15.
    pub fn places(basic_size: u64) -> Option<[usize; 2]> {
        match basic_size {
            264 => Some([144, 176]),
            272 => Some([152, 184]),
            296 => Some([152, 200]),
            304 => Some([160, 208]),
            _ => None,
        }
    }
}

/// `xmlparseobject`: the last two words are `intern`, a dict, and `handlers`.
const HANDLERS: [&str; 22] = [
    "StartElementHandler",
    "EndElementHandler",
    "ProcessingInstructionHandler",
    "CharacterDataHandler",
    "UnparsedEntityDeclHandler",
    "NotationDeclHandler",
    "StartNamespaceDeclHandler",
    "EndNamespaceDeclHandler",
    "CommentHandler",
    "StartCdataSectionHandler",
    "EndCdataSectionHandler",
    "DefaultHandler",
    "DefaultHandlerExpand",
    "NotStandaloneHandler",
    "ExternalEntityRefHandler",
    "StartDoctypeDeclHandler",
    "EndDoctypeDeclHandler",
    "EntityDeclHandler",
    "XmlDeclHandler",
    "ElementDeclHandler",
    "AttlistDeclHandler",
    "SkippedEntityHandler",
];

/// `Pdata`: `data`, the items, and `allocated`.
const STACK_ITEMS: usize = 24;
const STACK_ALLOCATED: usize = 48;

/// `ElementIterObject`: entries {element, index}, how many are used, how many there is room for.
const PARENTS: usize = 16;
const PARENTS_USED: usize = 24;
const PARENTS_SIZE: usize = 32;
const PARENT: u64 = 16;

/// Whether the layout of an `Unpickler` of this many bytes is known.
pub(super) fn is_known_unpickler(basic_size: u64) -> bool {
    unpickler::places(basic_size).is_some()
}

impl<M: Memory, S: Sink> Visit<'_, M, S> {
    fn field(
        &mut self,
        name: &'static str,
        offset: usize,
        is_shown: bool,
    ) -> Result<(), ReadError> {
        let child = self.view.u64(offset)?;
        self.sink.reference(child, Role::Field(name), is_shown);
        Ok(())
    }

    /// `pickle.Pickler`, whose type written in C has this many bytes.
    pub fn pickler(&mut self, basic_size: u64) -> Result<Size, ReadError> {
        let layout = self.context.layout.objects.pickles;
        let missing = pickler::SIZE.saturating_sub(basic_size) as usize;
        self.field("persistent_id", pickler::PERSISTENT, true)?;
        if missing == 0 && !layout.methods_are_split {
            self.field("persistent_id", pickler::PERSISTENT_OF, true)?;
        }
        for (name, offset, is_shown) in [
            ("dispatch_table", pickler::DISPATCH_TABLE, true),
            ("reducer_override", pickler::REDUCER_OVERRIDE, true),
            ("write", pickler::WRITE, true),
            ("output_buffer", pickler::OUTPUT, false),
            ("fast_memo", pickler::FAST_MEMO, true),
            ("buffer_callback", pickler::BUFFER_CALLBACK, true),
        ] {
            self.field(name, offset - missing, is_shown)?;
        }
        let size = self.plain_size()?;
        let memo = self.view.u64(pickler::MEMO)?;
        if memo == 0 {
            return Ok(size);
        }
        let allocated = self.memory.u64(at(memo, memo::ALLOCATED))?;
        let table = self.memory.u64(at(memo, memo::TABLE))?;
        let sink = &mut *self.sink;
        each(self.memory, table, allocated, self.context.extent, |_, [key, _]| {
            sink.reference(key, Role::Field("memo"), layout.memo_is_shown);
        })?;
        let memo = memo::SIZE.saturating_add(allocated.saturating_mul(memo::ENTRY));
        Ok(Size::shallow(size.shallow.saturating_add(memo)))
    }

    /// `pickle.Unpickler`, whose type written in C has this many bytes.
    pub fn unpickler(&mut self, basic_size: u64) -> Result<Size, ReadError> {
        let size = self.plain_size()?;
        let layout = self.context.layout.objects.pickles;
        let Some([line, read]) = unpickler::places(basic_size) else { return Ok(size) };
        self.field("stack", unpickler::STACK, true)?;
        let buffer = line - unpickler::BUFFER_TO_LINE;
        let persistent = match layout.methods_are_split {
            true => unpickler::PERSISTENT..unpickler::PERSISTENT + 8,
            false => unpickler::PERSISTENT..buffer,
        };
        for offset in persistent.step_by(8) {
            self.field("persistent_load", offset, true)?;
        }
        self.field("buffer", buffer + unpickler::BUFFER_OBJECT, false)?;
        for (number, name) in unpickler::METHODS.into_iter().enumerate() {
            self.field(name, read + 8 * number, true)?;
        }
        self.field("buffers", read + unpickler::BUFFERS, true)?;
        let count = self.view.u64(unpickler::MEMO_SIZE)?;
        let memo = self.view.u64(unpickler::MEMO)?;
        let sink = &mut *self.sink;
        each(self.memory, memo, count, self.context.extent, |_, [child]| {
            sink.reference(child, Role::Field("memo"), layout.memo_is_shown);
        })?;
        let marks = self.view.u64(read + unpickler::MARKS_SIZE)?;
        let mut all = size.shallow.saturating_add(count.saturating_add(marks).saturating_mul(8));
        for offset in [line, read + unpickler::ENCODING, read + unpickler::ERRORS] {
            let text = self.view.u64(offset)?;
            if text != 0 {
                let length = self.memory.c_string(text, LONGEST_TEXT)?.len() as u64;
                all = all.saturating_add(length).saturating_add(1);
            }
        }
        Ok(Size::shallow(all))
    }

    /// The stack of an `Unpickler`.
    pub fn unpickler_stack(&mut self) -> Result<Size, ReadError> {
        let items = self.view.u64(STACK_ITEMS)?;
        let length = self.length()?;
        self.references(items, length, true)?;
        let external = self.view.u64(STACK_ALLOCATED)?.saturating_mul(8);
        Ok(Size {
            external: external.min(self.context.extent),
            ..Size::shallow(self.info.basic_size)
        })
    }

    /// `xml.parsers.expat.XMLParserType`.
    pub fn xml_parser(&mut self) -> Result<Size, ReadError> {
        let end = self.info.basic_size as usize;
        let [intern, handlers] = [16, 8].map(|before| end.saturating_sub(before));
        self.field("intern", intern, false)?;
        let handlers = self.view.u64(handlers)?;
        let sink = &mut *self.sink;
        if handlers != 0 {
            let count = HANDLERS.len() as u64;
            each(self.memory, handlers, count, self.context.extent, |number, [child]| {
                let name = HANDLERS.get(number as usize).copied().unwrap_or_default();
                sink.reference(child, Role::Field(name), true);
            })?;
        }
        Ok(Size { external: 8 * HANDLERS.len() as u64, ..self.plain_size()? })
    }

    /// An iterator over the elements of a tree: those that it is inside.
    pub fn element_iterator(&mut self) -> Result<Size, ReadError> {
        let parents = self.view.u64(PARENTS)?;
        let used = self.view.u64(PARENTS_USED)?;
        let sink = &mut *self.sink;
        each(self.memory, parents, used, self.context.extent, |_, [parent, _]| {
            sink.reference(parent, Role::Field("parent"), true);
        })?;
        let external = self.view.u64(PARENTS_SIZE)?.saturating_mul(PARENT);
        Ok(Size { external: external.min(self.context.extent), ..self.plain_size()? })
    }
}
