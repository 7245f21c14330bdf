//! CPython 3.9: generic aliases; cancelled futures keep their exception.

use super::{Record, record, shown};

/// What is new or different in 3.9.
pub const RECORDS: &[Record] = &[
    record("builtin_method", &[shown("class", 56)]),
    record(
        "types.GenericAlias",
        &[shown("__origin__", 16), shown("__args__", 24), shown("__parameters__", 32)],
    ),
    record(
        "_asyncio.Future",
        &[
            shown("loop", 16),
            shown("callback", 24),
            shown("context", 32),
            shown("callbacks", 40),
            shown("_exception", 48),
            shown("_result", 56),
            shown("_source_traceback", 64),
            shown("cancel_message", 72),
            shown("exc_type", 112),
            shown("exc_value", 120),
            shown("exc_traceback", 128),
        ],
    ),
    record(
        "_asyncio.Task",
        &[shown("waiter", 144), shown("coro", 152), shown("name", 160), shown("context", 168)],
    ),
    record(
        "_json.Scanner",
        &[
            shown("object_hook", 24),
            shown("object_pairs_hook", 32),
            shown("parse_float", 40),
            shown("parse_int", 48),
            shown("parse_constant", 56),
            shown("memo", 64),
        ],
    ),
];
