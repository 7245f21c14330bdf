//! CPython 3.13: defaults of type parameters; extra locals of frames.

use super::{Record, held, record, shown};

/// What is new or different in 3.13.
pub const RECORDS: &[Record] = &[
    record(
        "frame",
        &[
            shown("f_back", 16),
            shown("f_trace", 32),
            shown("f_extra_locals", 48),
            shown("f_locals_cache", 56),
        ],
    ),
    record(
        "typing.TypeVar",
        &[
            held("__name__", 16),
            shown("__bound__", 24),
            shown("evaluate_bound", 32),
            shown("__constraints__", 40),
            shown("evaluate_constraints", 48),
            shown("__default__", 56),
            shown("evaluate_default", 64),
        ],
    ),
    record(
        "_thread._local",
        &[shown("args", 16), shown("kw", 24), shown("dicts", 40), shown("watchdogs", 48)],
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
            shown("cancelled_exception", 88),
        ],
    ),
    record(
        "_asyncio.Task",
        &[shown("waiter", 112), shown("coro", 120), shown("name", 128), shown("context", 136)],
    ),
    record("_queue.SimpleQueue", &[]),
    record(
        "_json.Scanner",
        &[
            shown("object_hook", 24),
            shown("object_pairs_hook", 32),
            shown("parse_float", 40),
            shown("parse_int", 48),
            shown("parse_constant", 56),
        ],
    ),
    record("itertools.pairwise", &[shown("iterator", 16), shown("old", 24), shown("result", 32)]),
    record(
        "typing.ParamSpec",
        &[
            held("__name__", 16),
            shown("__bound__", 24),
            shown("__default__", 32),
            shown("evaluate_default", 40),
        ],
    ),
    record(
        "typing.TypeVarTuple",
        &[held("__name__", 16), shown("__default__", 24), shown("evaluate_default", 32)],
    ),
];
