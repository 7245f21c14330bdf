//! CPython 3.11: code objects rearranged; notes in exceptions, and exception groups.

use super::{Record, held, record, shown};

/// What is new or different in 3.11.
pub const RECORDS: &[Record] = &[
    record(
        "code",
        &[
            held("co_consts", 24),
            held("co_names", 32),
            held("co_filename", 112),
            held("co_name", 120),
            held("co_qualname", 128),
            held("co_linetable", 136),
            held("co_exceptiontable", 40),
            held("co_localsplusnames", 96),
            held("co_localspluskinds", 104),
        ],
    ),
    record("frame", &[shown("f_back", 16), shown("f_trace", 32)]),
    record(
        "generator",
        &[
            shown("gi_code", 16),
            shown("__name__", 32),
            shown("__qualname__", 40),
            shown("exc_value", 48),
        ],
    ),
    record(
        "coroutine",
        &[
            shown("cr_code", 16),
            shown("__name__", 32),
            shown("__qualname__", 40),
            shown("exc_value", 48),
            held("cr_origin", 64),
        ],
    ),
    record(
        "async_generator",
        &[
            shown("ag_code", 16),
            shown("__name__", 32),
            shown("__qualname__", 40),
            shown("exc_value", 48),
            shown("finalizer", 64),
        ],
    ),
    record(
        "enumerate",
        &[shown("iterator", 24), shown("result", 32), shown("index", 40), held("one", 48)],
    ),
    record(
        "BaseException",
        &[
            shown("args", 24),
            shown("__notes__", 32),
            shown("__traceback__", 40),
            shown("__context__", 48),
            shown("__cause__", 56),
        ],
    ),
    record("BaseExceptionGroup", &[shown("message", 72), shown("exceptions", 80)]),
    record(
        "OSError",
        &[shown("errno", 72), shown("strerror", 80), shown("filename", 88), shown("filename2", 96)],
    ),
    record("StopIteration", &[shown("value", 72)]),
    record("SystemExit", &[shown("code", 72)]),
    record("ImportError", &[shown("msg", 72), shown("name", 80), shown("path", 88)]),
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
        ],
    ),
    record(
        "UnicodeEncodeError",
        &[shown("encoding", 72), shown("object", 80), shown("reason", 104)],
    ),
    record(
        "UnicodeDecodeError",
        &[shown("encoding", 72), shown("object", 80), shown("reason", 104)],
    ),
    record(
        "UnicodeTranslateError",
        &[shown("encoding", 72), shown("object", 80), shown("reason", 104)],
    ),
    record("NameError", &[shown("name", 72)]),
    record("AttributeError", &[shown("obj", 72), shown("name", 80)]),
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
            shown("cancelled_exception", 120),
        ],
    ),
    record(
        "_asyncio.Task",
        &[shown("waiter", 128), shown("coro", 136), shown("name", 144), shown("context", 152)],
    ),
];
