//! What stands at the end of each command's help: examples, and the exit statuses, which are defined here.

/// `hunt --fail-on-leak`: something leaks.
pub const LEAKS: u8 = 3;
/// `hunt --fail-on-leak`: something grows that may be a leak.
pub const MAY_LEAK: u8 = 4;
/// `watch`: the process or the time ended before a condition was met.
pub const NOT_MET: u8 = 3;

/// The statuses of every command.
const ALWAYS: [(u8, &str); 3] =
    [(0, "done"), (1, "not done; standard error says why"), (2, "the command line makes no sense")];
/// What those that start a command return if that ends by itself.
const OF_COMMAND: &str = "With -- COMMAND it is the status of the command.";

/// The end of a command's help.
pub fn closing(command: &str) -> String {
    let examples: Vec<String> = examples(command)
        .iter()
        .map(|example| format!("  leakspy {command} {example}").trim_end().to_owned())
        .collect();
    let mut statuses = ALWAYS.to_vec();
    match command {
        "hunt" => statuses.extend([
            (LEAKS, "with --fail-on-leak: something leaks that is not known"),
            (MAY_LEAK, "with --fail-on-leak: something grows that may be a leak"),
        ]),
        "watch" => {
            statuses.push((NOT_MET, "the process or the time ended before a condition was met"));
        }
        _ => {}
    }
    let mut lines: Vec<String> =
        statuses.iter().map(|(status, meaning)| format!("  {status}  {meaning}")).collect();
    if matches!(command, "hunt" | "record" | "timeline") {
        lines.push(format!("  {OF_COMMAND}"));
    }
    format!("Examples:\n{}\n\nExit status:\n{}", examples.join("\n"), lines.join("\n"))
}

/// What can be typed behind the name of a command.
fn examples(command: &str) -> &'static [&'static str] {
    match command {
        "ps" => &["", "gunicorn", "--json"],
        "top" => &["1234", "--name gunicorn"],
        "record" => &[
            "1234",
            "1234 --duration 30s -o grown.svg",
            "1234 --view alloc --duration 1m",
            "-o start.svg -- python app.py",
            "before.leakspy after.leakspy -o grown.svg",
        ],
        "hunt" => &[
            "1234",
            "1234 --duration 1h --report app.html",
            "1234 --every 'curl -s localhost:8000/cart' --times 20",
            "--fail-on-leak --baseline known.txt -- python app.py",
        ],
        "heap" => {
            &["1234", "1234 --own --sort retained", "1234 --largest 10", "app.leakspy --by module"]
        }
        "diff" => &["before.leakspy after.leakspy"],
        "why" => &[
            "1234 app.Session",
            "1234 \"app.cache.CACHE['key'].items[-1]\"",
            "--all-paths 5 app.leakspy 0x7f1234567890",
        ],
        "tree" => &["1234", "--depth 4 app.leakspy"],
        "cycles" => &["1234", "--json app.leakspy"],
        "waste" => &["1234", "--values app.leakspy"],
        "report" => &["1234 -o app.html", "app.leakspy -o app.html"],
        "show" => &["1234 0x7f1234567890", "1234 app.cache.CACHE"],
        "graph" => &["1234 app.Session", "--show chain -o chain.png 1234 app.Session"],
        "dump" => &["1234", "--subprocesses --name gunicorn", "--core core.1234"],
        "mem" => &["1234", "--subprocesses 1234"],
        "snapshot" => &["1234 -o app.leakspy", "--subprocesses --name gunicorn -o family"],
        "export" => {
            &["app.leakspy --to chrome -o app.heapsnapshot", "1234 --to pprof -o app.pb.gz"]
        }
        "info" => &["app.leakspy"],
        "timeline" => &["1234 -o run.csv", "--subprocesses --duration 1h 1234 -o run.csv"],
        "plot" => &["run.csv", "before.csv after.csv -o both.png"],
        "peak" => &["run.csv", "--of uss --from 1m run.csv"],
        "watch" => &[
            "1234 --rss-above 2GiB --snapshot full.leakspy",
            "--name gunicorn --growth 50MiB/min --every --mem",
        ],
        "completions" => &["bash"],
        "man" => &["share/man/man1"],
        _ => &[],
    }
}
