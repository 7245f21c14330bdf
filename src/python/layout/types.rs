//! Offsets in types, modules and instances.

/// `PyTypeObject`, and `PyHeapTypeObject`, which extends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Type {
    /// `tp_name`, a C string.
    pub name: usize,
    /// `tp_basicsize`.
    pub basic_size: usize,
    /// `tp_flags`.
    pub flags: usize,
    /// `tp_dictoffset`.
    pub dict_offset: usize,
    /// `tp_weaklistoffset`: the offset of an object's list of weak references.
    pub weak_offset: usize,
    /// `tp_itemsize`.
    pub item_size: usize,
    /// `tp_base`.
    pub base: usize,
    /// `tp_dict`.
    pub dict: usize,
    /// `tp_bases`.
    pub bases: usize,
    /// `tp_mro`.
    pub mro: usize,
    /// `tp_cache`.
    pub cache: usize,
    /// `tp_subclasses`, of most types (see [`StaticTypes`]).
    pub subclasses: usize,
    /// `tp_del`.
    pub old_finalizer: usize,
    /// `tp_finalize`.
    pub finalizer: usize,
    /// Bytes of a `PyTypeObject`.
    pub size: usize,
    /// `ht_name`, of heap types.
    pub heap_name: usize,
    /// `ht_slots`, of heap types.
    pub slots: usize,
    /// `ht_qualname`, of heap types.
    pub qualified_name: usize,
    /// `ht_cached_keys`, of heap types.
    pub cached_keys: usize,
    /// `ht_module`, of heap types (from 3.9 on).
    pub module: Option<usize>,
    /// The interpreter's state of its own static types (from 3.12 on).
    pub static_types: Option<StaticTypes>,
    /// `PyMemberDef`; heap types are followed by an array of them.
    pub member: Member,
}

/// `types.builtins` of `PyInterpreterState`: an array of `managed_static_type_state`. It has those fields of
/// the interpreter's static types that other types have in themselves; the `tp_subclasses` of a static type
/// is its index in the array plus one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StaticTypes {
    /// The array, in the interpreter's state.
    pub array: usize,
    /// Bytes of an entry.
    pub stride: usize,
    /// `tp_dict` in it.
    pub dict: usize,
    /// `tp_subclasses` in it.
    pub subclasses: usize,
}

/// `PyMemberDef`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    /// `name`, a C string.
    pub name: usize,
    /// `type`, an `int`.
    pub kind: usize,
    /// `offset` in the instance.
    pub offset: usize,
    /// Bytes of it.
    pub size: usize,
}

impl Member {
    /// The `type` of a member that is a slot: `T_OBJECT_EX`.
    pub const OBJECT: u32 = 16;
}

/// Where an instance keeps its attributes. Distances count backwards from the object's address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attributes {
    /// In the dict at `tp_dictoffset` (up to 3.10).
    Dict,
    /// In a dict, or where that is null in an array of values, both before the object (3.11).
    DictOrValues {
        /// Distance of the dict pointer.
        dict: u64,
        /// Distance of the pointer to the values.
        values: u64,
    },
    /// Behind one pointer before the object: a dict, or values if its lowest bit is set (3.12).
    Tagged {
        /// Distance of that word.
        word: u64,
    },
    /// In an array at the object's end while there is no dict, else in the dict (from 3.13 on).
    Inline {
        /// Distance of the dict pointer.
        dict: u64,
        /// `_dictvalues.valid`, a byte.
        valid: usize,
        /// `_dictvalues.values`.
        values: usize,
    },
}

/// `PyModuleObject`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Module {
    /// `md_dict`.
    pub dict: usize,
    /// `md_state`: the pointer to the state of a module written in C.
    pub state: usize,
    /// Where the size of that state is.
    pub state_size: ModuleStateSize,
}

/// Where the size of a module's state is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModuleStateSize {
    /// In its definition: `m_size` behind `md_def` (up to 3.14).
    Definition {
        /// `md_def`.
        pointer: usize,
        /// `PyModuleDef.m_size`.
        size: usize,
    },
    /// In the module itself: `md_state_size` (from 3.15 on).
    Own(usize),
}
