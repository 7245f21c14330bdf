//! CPython 3.14: lazily evaluated annotations; templates.

use super::{Record, held, record, shown};

/// What is new or different in 3.14.
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
            shown("__annotate__", 120),
            shown("__type_params__", 128),
        ],
    ),
    record(
        "frame",
        &[
            shown("f_back", 16),
            shown("f_trace", 32),
            shown("f_extra_locals", 48),
            shown("f_locals_cache", 56),
            shown("f_overwritten_fast_locals", 64),
        ],
    ),
    record(
        "BaseExceptionGroup",
        &[shown("message", 72), shown("exceptions", 80), shown("exceptions_text", 88)],
    ),
    record(
        "SyntaxError",
        &[
            shown("msg", 72),
            shown("filename", 80),
            shown("lineno", 88),
            shown("offset", 96),
            shown("end_lineno", 104),
            shown("end_offset", 112),
            shown("text", 120),
            shown("print_file_and_line", 128),
            shown("metadata", 136),
        ],
    ),
    record(
        "types.UnionType",
        &[
            shown("__args__", 16),
            shown("hashable_args", 24),
            shown("unhashable_args", 32),
            shown("__parameters__", 40),
        ],
    ),
    record(
        "typing.Union",
        &[
            shown("__args__", 16),
            shown("hashable_args", 24),
            shown("unhashable_args", 32),
            shown("__parameters__", 40),
        ],
    ),
    record(
        "typing.TypeAliasType",
        &[
            shown("__name__", 16),
            shown("__type_params__", 24),
            shown("evaluate_value", 32),
            shown("__value__", 40),
            shown("__module__", 48),
        ],
    ),
    record(
        "typing.TypeVar",
        &[
            shown("__name__", 16),
            shown("__bound__", 24),
            shown("evaluate_bound", 32),
            shown("__constraints__", 40),
            shown("evaluate_constraints", 48),
            shown("__default__", 56),
            shown("evaluate_default", 64),
        ],
    ),
    record("string.templatelib.Template", &[shown("strings", 16), shown("interpolations", 24)]),
    record(
        "string.templatelib.Interpolation",
        &[
            shown("value", 16),
            shown("expression", 24),
            shown("conversion", 32),
            shown("format_spec", 40),
        ],
    ),
    record("_io.StringIO", &[shown("decoder", 72), shown("readnl", 80), shown("writenl", 88)]),
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
            shown("awaited_by", 96),
        ],
    ),
    record(
        "_asyncio.Task",
        &[shown("waiter", 120), shown("coro", 128), shown("name", 136), shown("context", 144)],
    ),
    record("_ctypes.CField", &[shown("type", 40), held("name", 72)]),
    record("ctypes.CField", &[shown("type", 40), held("name", 72)]),
    record(
        "operator.methodcaller",
        &[
            shown("name", 16),
            shown("args", 24),
            shown("keywords", 32),
            shown("call_args", 40),
            shown("call_names", 48),
        ],
    ),
    record(
        "typing.ParamSpec",
        &[
            shown("__name__", 16),
            shown("__bound__", 24),
            shown("__default__", 32),
            shown("evaluate_default", 40),
        ],
    ),
    record(
        "typing.TypeVarTuple",
        &[shown("__name__", 16), shown("__default__", 24), shown("evaluate_default", 32)],
    ),
];
