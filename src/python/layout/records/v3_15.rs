//! CPython 3.15: lazy imports, sentinels, frozen dicts; modules rearranged.

use super::{Record, held, record, shown};

/// What is new or different in 3.15.
pub const RECORDS: &[Record] = &[
    record(
        "async_generator_athrow",
        &[shown("generator", 16), shown("type", 24), shown("traceback", 32), shown("value", 40)],
    ),
    record("module", &[held("__name__", 40)]),
    record(
        "typing.TypeAliasType",
        &[
            shown("__name__", 16),
            shown("__qualname__", 24),
            shown("__type_params__", 32),
            shown("evaluate_value", 40),
            shown("__value__", 48),
            shown("__module__", 56),
        ],
    ),
    record(
        "lazy_import",
        &[shown("builtins", 16), shown("from", 24), shown("attribute", 32), shown("code", 40)],
    ),
    record("sentinel", &[shown("__name__", 16), shown("__module__", 24), shown("repr", 32)]),
    record("bytearray", &[held("buffer", 56)]),
    record(
        "_json.Scanner",
        &[
            shown("object_hook", 24),
            shown("object_pairs_hook", 32),
            shown("parse_float", 40),
            shown("parse_int", 48),
            shown("parse_constant", 56),
            shown("array_hook", 64),
        ],
    ),
    record(
        "typing.TypeVarTuple",
        &[
            shown("__name__", 16),
            shown("__bound__", 24),
            shown("__default__", 32),
            shown("evaluate_default", 40),
        ],
    ),
];
