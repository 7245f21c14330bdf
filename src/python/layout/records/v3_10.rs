//! CPython 3.10: functions rearranged, and with builtins of their own; unions.

use super::{Record, held, record, shown};

/// What is new or different in 3.10.
pub const RECORDS: &[Record] = &[
    record(
        "function",
        &[
            shown("__code__", 48),
            shown("__globals__", 16),
            shown("__builtins__", 24),
            shown("__defaults__", 56),
            shown("__kwdefaults__", 64),
            shown("__closure__", 72),
            shown("__doc__", 80),
            shown("__name__", 32),
            shown("__qualname__", 40),
            shown("__module__", 104),
            shown("__annotations__", 112),
        ],
    ),
    record(
        "property",
        &[
            shown("fget", 16),
            shown("fset", 24),
            shown("fdel", 32),
            shown("__doc__", 40),
            held("__name__", 48),
        ],
    ),
    record(
        "code",
        &[
            held("co_code", 48),
            held("co_consts", 56),
            held("co_names", 64),
            held("co_varnames", 72),
            held("co_freevars", 80),
            held("co_cellvars", 88),
            held("co_filename", 104),
            held("co_name", 112),
            held("co_linetable", 120),
        ],
    ),
    record(
        "frame",
        &[
            shown("f_back", 24),
            shown("f_code", 32),
            shown("f_builtins", 40),
            shown("f_globals", 48),
            shown("f_locals", 56),
            shown("f_trace", 72),
        ],
    ),
    record(
        "generator",
        &[
            shown("gi_frame", 16),
            shown("gi_code", 24),
            shown("__name__", 40),
            shown("__qualname__", 48),
            shown("exc_type", 56),
            shown("exc_value", 64),
            shown("exc_traceback", 72),
        ],
    ),
    record(
        "coroutine",
        &[
            shown("cr_frame", 16),
            shown("cr_code", 24),
            shown("__name__", 40),
            shown("__qualname__", 48),
            shown("exc_type", 56),
            shown("exc_value", 64),
            shown("exc_traceback", 72),
            shown("cr_origin", 88),
        ],
    ),
    record(
        "async_generator",
        &[
            shown("ag_frame", 16),
            shown("ag_code", 24),
            shown("__name__", 40),
            shown("__qualname__", 48),
            shown("exc_type", 56),
            shown("exc_value", 64),
            shown("exc_traceback", 72),
            shown("finalizer", 88),
        ],
    ),
    record(
        "SyntaxError",
        &[
            shown("msg", 64),
            shown("filename", 72),
            shown("lineno", 80),
            shown("offset", 88),
            shown("end_lineno", 96),
            shown("end_offset", 104),
            shown("text", 112),
            shown("print_file_and_line", 120),
        ],
    ),
    record("NameError", &[shown("name", 64)]),
    record("AttributeError", &[shown("obj", 64), shown("name", 72)]),
    record("types.UnionType", &[shown("__args__", 16), shown("__parameters__", 24)]),
    record("typing.Union", &[shown("__args__", 16), shown("__parameters__", 24)]),
    record(
        "functools._lru_cache_wrapper",
        &[
            shown("__wrapped__", 88),
            shown("cache", 72),
            shown("cache_info_type", 128),
            shown("keyword_mark", 112),
            shown("element_type", 120),
        ],
    ),
    record(
        "_asyncio.Future",
        &[
            shown("loop", 16),
            shown("callback", 24),
            shown("context", 32),
            shown("callbacks", 40),
            shown("_exception", 48),
            shown("exception_traceback", 56),
            shown("_result", 64),
            shown("_source_traceback", 72),
            shown("cancel_message", 80),
            shown("exc_type", 120),
            shown("exc_value", 128),
            shown("exc_traceback", 136),
        ],
    ),
    record(
        "_asyncio.Task",
        &[shown("waiter", 152), shown("coro", 160), shown("name", 168), shown("context", 176)],
    ),
];
