//! How static types of CPython 3.8 to 3.15 are told from each other without their names.

/// The types of values that are attributes of built-in types, in every version: the type that has the attribute,
/// the attribute, and the name of the value's type.
pub const BY_ROLE: [(&str, &str, &str); 6] = [
    ("int", "__add__", "wrapper_descriptor"),
    ("str", "join", "method_descriptor"),
    ("dict", "fromkeys", "classmethod_descriptor"),
    ("int", "real", "getset_descriptor"),
    ("slice", "start", "member_descriptor"),
    ("list", "__hash__", "NoneType"),
];

/// The same for values in the module `builtins`.
pub const BY_BUILTIN: [(&str, &str); 3] = [
    ("len", "builtin_function_or_method"),
    ("Ellipsis", "ellipsis"),
    ("NotImplemented", "NotImplementedType"),
];

/// Types by attributes that no other static type has together.
pub const BY_ATTRIBUTES: &[(&str, &[&str])] = &[
    ("function", &["__code__"]),
    ("code", &["co_name"]),
    ("cell", &["cell_contents"]),
    ("frame", &["f_back"]),
    ("generator", &["gi_code"]),
    ("coroutine", &["cr_code"]),
    ("async_generator", &["asend", "ag_code"]),
    ("traceback", &["tb_next"]),
    ("method", &["__func__", "__self__"]),
    ("method-wrapper", &["__gt__", "__objclass__"]),
    ("mappingproxy", &["get", "__str__"]),
    ("types.SimpleNamespace", &["__gt__", "__new__", "__dict__"]),
    ("types.GenericAlias", &["__dir__", "__args__"]),
    ("typing.Union", &["__args__", "__name__"]),
    ("collections.OrderedDict", &["move_to_end"]),
    ("collections.defaultdict", &["default_factory"]),
    ("collections.deque", &["rotate"]),
    ("_collections._tuplegetter", &["__set__", "__new__", "__reduce__"]),
    ("_asyncio.Future", &["get_loop"]),
    ("_asyncio.Task", &["_coro"]),
    ("_io.TextIOWrapper", &["buffer"]),
    ("_io.FileIO", &["closefd"]),
    ("_io.BytesIO", &["getbuffer"]),
    ("_io.StringIO", &["getvalue", "newlines"]),
    ("_thread.RLock", &["_is_owned"]),
    ("_thread.lock", &["locked"]),
    ("array.array", &["tofile"]),
    ("functools.partial", &["func"]),
    ("functools._lru_cache_wrapper", &["cache_info"]),
    ("re.Match", &["re"]),
    ("re.Pattern", &["sub"]),
    ("datetime.date", &["day"]),
    ("datetime.datetime", &["now"]),
    ("datetime.time", &["dst", "strftime"]),
    ("datetime.timedelta", &["days"]),
    ("datetime.timezone", &["utc"]),
    ("datetime.tzinfo", &["fromutc", "__reduce__"]),
    ("hamt", &["delete"]),
    ("sys.flags", &["quiet"]),
    ("sys.float_info", &["dig"]),
    ("sys.hash_info", &["nan"]),
    ("sys.int_info", &["sizeof_digit"]),
    ("sys.thread_info", &["lock"]),
    ("sys.version_info", &["minor"]),
    ("symtable entry", &["nested"]),
    ("pickle.PickleBuffer", &["raw", "release"]),
];

/// Modules whose names for types are the types' own, without that of the module.
pub const OWN_NAMES: [&str; 2] = ["builtins", "_collections_abc"];

/// The modules whose names for types are the types' own with that of the module in front, first those that other
/// modules import from.
pub const QUALIFIED: [&str; 8] =
    ["itertools", "_io", "_thread", "_contextvars", "_operator", "operator", "_weakref", "types"];

/// `weakref.ref`, which had a shorter name up to 3.9: the keys in the module `_weakref`, that name, and the later
/// one.
pub const WEAK: [(&str, &str, &str); 3] = [
    ("ref", "weakref", "weakref.ReferenceType"),
    ("ProxyType", "weakproxy", "weakref.ProxyType"),
    ("CallableProxyType", "weakcallableproxy", "weakref.CallableProxyType"),
];

/// The newest minor version with the shorter names.
pub const SHORT_WEAK: u8 = 9;
