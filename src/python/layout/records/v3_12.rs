//! CPython 3.12: type parameters.

use super::{Record, held, record, shown};

/// What is new or different in 3.12.
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
            shown("__type_params__", 120),
        ],
    ),
    record(
        "generator",
        &[shown("__name__", 24), shown("__qualname__", 32), shown("exc_value", 40)],
    ),
    record(
        "coroutine",
        &[
            shown("__name__", 24),
            shown("__qualname__", 32),
            shown("exc_value", 40),
            held("cr_origin", 56),
        ],
    ),
    record(
        "async_generator",
        &[
            shown("__name__", 24),
            shown("__qualname__", 32),
            shown("exc_value", 40),
            shown("finalizer", 56),
        ],
    ),
    record("longrange_iterator", &[shown("start", 16), shown("step", 24), shown("length", 32)]),
    record(
        "ImportError",
        &[shown("msg", 72), shown("name", 80), shown("path", 88), shown("name_from", 96)],
    ),
    record(
        "typing.TypeAliasType",
        &[
            held("__name__", 16),
            shown("__type_params__", 24),
            shown("evaluate_value", 32),
            shown("__value__", 40),
            shown("__module__", 48),
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
        ],
    ),
    record("_io.StringIO", &[shown("decoder", 120), shown("readnl", 128), shown("writenl", 136)]),
    record("_io.BytesIO", &[shown("buffer", 16)]),
    record("typing.ParamSpecArgs", &[shown("__origin__", 16)]),
    record("typing.ParamSpecKwargs", &[shown("__origin__", 16)]),
    record("_io.BufferedRWPair", &[shown("reader", 16), shown("writer", 24)]),
    record("typing.ParamSpec", &[held("__name__", 16), shown("__bound__", 24)]),
    record("typing.TypeVarTuple", &[held("__name__", 16)]),
];
