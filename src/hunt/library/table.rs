//! The table of known mistakes. A new one is a [`Row`]; the first that fits is told, so the more special come
//! first. `tests/interpreters/advice.rs` shows each: a fixture makes the mistake, and the hunt names it.
//!
//! A row must be true wherever it fits. If a name can mean several things, ask for the type of the object that
//! has it; if a type can be used in several ways, ask for the state.

use super::row::Place::{Attribute, Called, Global, Holder, Within};
use super::row::State::{DoNotRun, Have, HaveNot, LeadBack, PlaceHas, Run};
use super::row::{ANY, Row};

const TASK: &[&str] = &["_asyncio.Task", "asyncio.tasks.Task"];
const FUTURE: &[&str] =
    &["_asyncio.Future", "asyncio.futures.Future", "concurrent.futures._base.Future"];
/// The states of all three kinds of futures.
const DONE: &[&str] = &["FINISHED", "CANCELLED", "CANCELLED_AND_NOTIFIED"];
const UNDONE: &[&str] = &["PENDING", "RUNNING"];
const CALLABLE: &[&str] = &[
    "function",
    "method",
    "builtin_function_or_method",
    "functools.partial",
    "weakref.ReferenceType",
    "weakref",
];
/// What lists of callbacks are called.
const LISTENERS: &[&str] = &[
    "*listeners",
    "*handlers",
    "*callbacks",
    "*observers",
    "*subscribers",
    "*receivers",
    "*hooks",
    "*slots",
    "_events",
    "on_*",
];

/// All that is known.
pub const TABLE: &[Row] = &[
    // functools
    Row {
        places: &[
            Holder(&["functools._lru_cache_wrapper"]),
            Attribute(&["functools._lru_cache_wrapper"], &["cache"]),
        ],
        state: PlaceHas("maxsize", &["None"]),
        meaning: "a functools.lru_cache keeps every argument and result, and this one has no limit",
        advice: "give it a maxsize; and do not cache methods, which keeps their objects alive",
        ..ANY
    },
    Row {
        places: &[
            Holder(&["functools._lru_cache_wrapper"]),
            Attribute(&["functools._lru_cache_wrapper"], &["cache"]),
        ],
        meaning: "a functools.lru_cache keeps every argument and result that it has room for",
        advice: "set a smaller maxsize; and do not cache methods, which keeps their objects alive",
        ..ANY
    },
    // Metrics
    Row {
        places: &[Attribute(&["prometheus_client.metrics.MetricWrapperBase"], &["_metrics"])],
        meaning: "a Prometheus metric keeps a time series for each combination of label values{labels}",
        advice: "give labels few values: no ids, no addresses, no times",
        ..ANY
    },
    Row {
        places: &[Within(
            &[
                "opentelemetry.sdk.metrics._internal._view_instrument_match._ViewInstrumentMatch",
                "opentelemetry.sdk.metrics._internal.aggregation._Aggregation",
            ],
            &["_attributes_aggregation"],
        )],
        meaning: "an OpenTelemetry instrument keeps an aggregation for each set of attributes{labels}",
        advice: "give attributes few values: no ids, no addresses, no times; or drop them in a View",
        ..ANY
    },
    // asyncio and concurrent.futures
    Row {
        objects: TASK,
        state: Have("_state", DONE),
        have_ended: true,
        meaning: "tasks are kept although they have finished ({count})",
        advice: "keep each only until it is done: {discard}",
        ..ANY
    },
    Row {
        objects: TASK,
        state: Have("_state", UNDONE),
        meaning: "tasks wait{wait}, and do not end ({count})",
        advice: "await with a time limit (asyncio.wait_for), or cancel them",
        ..ANY
    },
    Row {
        places: &[Within(FUTURE, &["callback", "callbacks", "_callbacks", "_done_callbacks"])],
        meaning: "callbacks are added again and again to a future that is not done",
        advice: "add_done_callback() once, or remove_done_callback()",
        ..ANY
    },
    Row {
        objects: FUTURE,
        state: Have("_state", DONE),
        have_ended: true,
        meaning: "futures are kept although they are done ({count})",
        advice: "drop each once its result has been read: {discard}",
        ..ANY
    },
    Row {
        objects: FUTURE,
        state: Have("_state", UNDONE),
        meaning: "futures have no result yet ({count})",
        advice: "set a result or an exception on every way, or cancel them",
        ..ANY
    },
    Row {
        objects: &["asyncio.events.Handle"],
        state: Have("_cancelled", &["True"]),
        have_ended: true,
        meaning: "cancelled timers stay where they are kept ({count}); a loop drops those of its own late",
        advice: "set fewer timers: one that checks many deadlines; and drop the handle with cancel()",
        ..ANY
    },
    Row {
        objects: &["asyncio.events.Handle"],
        state: HaveNot("_cancelled", &["True"]),
        meaning: "timers are set faster than their time comes ({count} are not cancelled)",
        advice: "keep the handle that call_later() or call_at() returns, and cancel() it",
        ..ANY
    },
    Row {
        places: &[
            Within(&["queue.Queue", "asyncio.queues.Queue"], &["queue", "_queue"]),
            Holder(&["_queue.SimpleQueue"]),
        ],
        meaning: "a queue is filled faster than it is emptied",
        advice: "see whether its consumer still runs; a maxsize makes producers wait",
        ..ANY
    },
    // Threads
    Row {
        objects: &["threading.Thread"],
        state: DoNotRun,
        have_ended: true,
        meaning: "threads are kept although they do not run ({count})",
        advice: "drop each after join(), or use a concurrent.futures.ThreadPoolExecutor",
        ..ANY
    },
    Row {
        objects: &["threading.Thread"],
        state: Run,
        meaning: "threads are started faster than they end",
        advice: "give each a way to stop, or use a concurrent.futures.ThreadPoolExecutor",
        ..ANY
    },
    // Connections
    Row {
        objects: &["_socket.socket"],
        state: Have("fileno", &["-1"]),
        have_ended: true,
        meaning: "sockets are kept although they are closed ({count})",
        advice: "drop each where it is closed",
        ..ANY
    },
    Row {
        objects: &["_socket.socket"],
        state: HaveNot("fileno", &["-1"]),
        meaning: "sockets are opened and not closed ({count} are open), and each takes a file descriptor",
        advice: "close() each, with `with` or in `finally`, and set a timeout",
        ..ANY
    },
    Row {
        objects: &["http.client.HTTPConnection"],
        state: Have("sock", &["None"]),
        have_ended: true,
        meaning: "connections are kept although they are not open ({count})",
        advice: "drop each where it is closed",
        ..ANY
    },
    Row {
        objects: &["http.client.HTTPConnection"],
        state: HaveNot("sock", &["None"]),
        meaning: "connections are opened and not closed ({count} are open)",
        advice: "close() each, or use one for many requests",
        ..ANY
    },
    Row {
        objects: &["asyncio.transports.BaseTransport"],
        state: Have("_closing", &["True"]),
        have_ended: true,
        meaning: "transports are kept although they are closed ({count})",
        advice: "drop each in connection_lost()",
        ..ANY
    },
    Row {
        objects: &["asyncio.transports.BaseTransport"],
        state: HaveNot("_closing", &["True"]),
        meaning: "connections are opened and not closed ({count} are open)",
        advice: "close() the transport, and set a time limit for clients that say nothing",
        ..ANY
    },
    Row {
        objects: &["asyncio.streams.StreamWriter"],
        state: Have("_transport._closing", &["True"]),
        have_ended: true,
        meaning: "streams are kept although they are closed ({count})",
        advice: "drop each where it is closed, in `finally`",
        ..ANY
    },
    Row {
        objects: &["asyncio.streams.StreamWriter"],
        state: HaveNot("_transport._closing", &["True"]),
        meaning: "streams are opened and not closed ({count} are open)",
        advice: "close() each in `finally`, and set a time limit for clients that say nothing",
        ..ANY
    },
    Row {
        objects: &["sqlite3.Connection", "psycopg2.extensions.connection"],
        meaning: "database connections are opened and kept",
        advice: "close() each (`with` only ends its transaction), or take them from a pool",
        ..ANY
    },
    Row {
        objects: &["_ssl._SSLContext"],
        meaning: "TLS contexts are made again and again, and each loads its certificates anew",
        advice: "make one and share it: ssl.create_default_context() at the start, or one HTTP client for all",
        ..ANY
    },
    Row {
        places: &[Attribute(&["sqlalchemy.orm.identity.IdentityMap"], &["_dict"])],
        meaning: "a session of SQLAlchemy keeps every object that it has loaded, as long as it is used or changed",
        advice: "one Session for each request or batch; expunge_all() or close() it",
        ..ANY
    },
    // logging
    Row {
        places: &[Attribute(&["logging.Manager"], &["loggerDict"])],
        meaning: "logging keeps each logger, by its name, for ever",
        advice: "use one name a module, and put what changes into the message or a LoggerAdapter",
        ..ANY
    },
    Row {
        objects: &["logging.Handler"],
        places: &[Attribute(&["logging.Logger"], &["handlers"])],
        meaning: "handlers are added to a logger again and again, and each handles every message",
        advice: "addHandler() once, where the program starts; or removeHandler()",
        ..ANY
    },
    Row {
        places: &[Attribute(&["logging.Filterer"], &["filters"])],
        meaning: "filters are added again and again, and each is asked about every message",
        advice: "addFilter() once, where the program starts; or removeFilter()",
        ..ANY
    },
    // warnings
    Row {
        places: &[Global(&["__warningregistry__", "onceregistry"])],
        meaning: "warnings remembers every text that it has shown, and each text is new",
        advice: "keep what changes out of the text of the warning, or filter it (warnings.simplefilter)",
        ..ANY
    },
    // Weak references
    Row {
        places: &[Attribute(&["weakref.WeakKeyDictionary"], &["data"])],
        state: LeadBack,
        meaning: "values of a WeakKeyDictionary refer to their keys, so that neither is freed ({count})",
        advice: "keep the value as an attribute of the key, or let it refer to the key weakly",
        ..ANY
    },
    Row {
        places: &[Attribute(&["weakref.WeakKeyDictionary"], &["data"])],
        meaning: "an entry of a WeakKeyDictionary goes with its key, and something else keeps the keys",
        advice: "see what holds them: leakspy why",
        ..ANY
    },
    Row {
        places: &[Attribute(&["weakref.finalize"], &["_registry"])],
        meaning: "weakref.finalize keeps its function and arguments as long as its object lives",
        advice: "call or detach() the finalizer, or watch an object that lives as long as the arguments",
        ..ANY
    },
    // contextvars
    Row {
        objects: &["_contextvars.ContextVar", "ContextVar"],
        meaning: "context variables are made again and again, and the context keeps each with its value",
        advice: "make each once, at module level",
        ..ANY
    },
    Row {
        objects: &["_contextvars.Context", "Context", "_contextvars.Token", "Token"],
        meaning: "contexts, with the values of their variables, are kept",
        advice: "drop the Token after reset(), and what copy_context() returned after run()",
        ..ANY
    },
    // Interactive use
    Row {
        places: &[Global(&["Out", "_oh"])],
        package: Some("IPython"),
        meaning: "IPython keeps the result of every cell in Out",
        advice: "end a cell with a semicolon, or %reset out; InteractiveShell.cache_size = 0 turns it off",
        ..ANY
    },
    Row {
        objects: &["matplotlib.figure.Figure", "matplotlib.backend_bases.FigureManagerBase"],
        places: &[Within(&["matplotlib._pylab_helpers.Gcf"], &["figs"])],
        meaning: "pyplot keeps every figure until it is closed",
        advice: "plt.close(figure), or make it without pyplot: matplotlib.figure.Figure()",
        ..ANY
    },
    // unittest
    Row {
        places: &[
            Within(&["unittest.mock.NonCallableMock"], &["*mock_calls", "*method_calls"]),
            Within(&["unittest.mock.NonCallableMock"], &["*call_args_list"]),
        ],
        meaning: "a mock keeps all calls with their arguments",
        advice: "reset_mock(), or put a plain function in its place",
        ..ANY
    },
    // Code made at run time
    Row {
        objects: &["module"],
        places: &[Called(&["sys.modules"])],
        meaning: "modules are made under ever new names, and sys.modules keeps each",
        advice: "load it once under one name, or delete it from sys.modules",
        ..ANY
    },
    Row {
        objects: &["type"],
        meaning: "classes are made again and again at run time",
        advice: "make each once: a class statement, type() or namedtuple() inside a function makes a new one a call",
        ..ANY
    },
    Row {
        objects: &["generator"],
        meaning: "generators are kept and not finished{wait}",
        advice: "read each to its end, or close() it",
        ..ANY
    },
    // Event emitters
    Row {
        objects: CALLABLE,
        places: &[Within(&[], LISTENERS)],
        meaning: "callbacks are registered again and again and not removed",
        advice: "register each once, or take it out (off, disconnect, unsubscribe) when its object goes",
        ..ANY
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_says_what_it_means_and_what_to_do() {
        for row in TABLE {
            let words = format!("{}: {}", row.meaning, row.advice);
            assert!(!row.meaning.is_empty() && !row.advice.is_empty(), "{words}");
            assert!(!words.ends_with('.') && !words.contains("  "), "{words}");
            assert!(!row.objects.is_empty() || !row.places.is_empty(), "it fits anything: {words}");
            let is_counted = matches!(row.state, Have(..) | HaveNot(..));
            assert!(!words.contains("{count}") || is_counted || is_about_objects(row), "{words}");
            let known = ["{count}", "{wait}", "{discard}", "{labels}"];
            let rest = known.iter().fold(words.clone(), |words, it| words.replace(it, ""));
            assert!(!rest.contains(['{', '}']), "{words}");
        }
    }

    fn is_about_objects(row: &Row) -> bool {
        matches!(row.state, DoNotRun | LeadBack)
    }
}
