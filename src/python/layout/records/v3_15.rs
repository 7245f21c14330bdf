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
    record("sentinel", &[held("__name__", 16), held("__module__", 24), held("repr", 32)]),
];
