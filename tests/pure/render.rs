//! The forms of a profile: against golden files, and with any names that a target may have.
//!
//! `BLESS=1 cargo test --test pure render` rewrites the golden files; check the difference before committing
//! it.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use leakspy::profile::precision::{Accuracy, Between, Precision};
use leakspy::profile::{By, Profile, Stack, Weight};
use leakspy::python;
use leakspy::python::lines::Columns;
use leakspy::python::thread_dump::{DumpedThread, FrameDetails, ThreadDump};
use leakspy::python::{Frame, Version};
use leakspy::render::dump;
use leakspy::render::dump::Dump;
use leakspy::render::{Form, Heading, Paths, Pauses, Style, View, labels, summary};
use proptest::prelude::*;
use serde_json::Value;

fn frame(function: &str, file: &str, line: u32) -> Frame {
    Frame::new(function, file, Some(line))
}

/// A shop's server with two workers, as `--subprocesses --threads` would show it.
fn shop() -> Profile {
    const APP: &str = "/srv/shop/app";
    const PACKAGES: &str = "/srv/shop/venv/lib/python3.12/site-packages";
    const LIBRARY: &str = "/usr/lib/python3.12";
    let file = |directory: &str, name: &str| format!("{directory}/{name}");
    let serve = [
        frame("Worker.run", &file(PACKAGES, "waitress/task.py"), 84),
        frame("Thread._bootstrap", &file(LIBRARY, "threading.py"), 1030),
    ];
    let view = |inner: &[&Frame]| {
        let mut frames: Vec<Frame> = inner.iter().copied().cloned().collect();
        frames.push(frame("View.dispatch", &file(PACKAGES, "django/views/generic.py"), 143));
        frames.extend(serve.iter().cloned());
        frames
    };
    let cart = frame("CartView.get", &file(APP, "views.py"), 31);
    let search = frame("SearchView.get", &file(APP, "views.py"), 77);
    let decode = frame("JSONDecoder.raw_decode", &file(LIBRARY, "json/decoder.py"), 353);
    let load = frame("load_cart", &file(APP, "carts.py"), 12);
    let rank = frame("rank.<locals>.<lambda>", &file(APP, "ranking.py"), 40);
    let tokens = frame("tokens", &file(APP, "ranking.py"), 18);
    let main = frame("<module>", &file(APP, "main.py"), 9);

    let mut profile = Profile::new();
    let mut add = |worker: u32, frames: Vec<Frame>, leaf: &str, bytes: f64, objects: f64| {
        let roots: [Arc<str>; 2] = [
            format!("process {worker}: python main.py --port {worker}").into(),
            if frames.len() == 1 { "thread MainThread".into() } else { "thread worker-1".into() },
        ];
        let stack =
            Stack { roots: roots.into(), frames, leaf: Some(leaf.into()), ..Stack::default() };
        profile.add(stack, Weight { bytes, objects });
    };
    for (worker, scale) in [(4301, 1.0), (4302, 0.6)] {
        let mut add = |frames, leaf, bytes: f64, objects: f64| {
            add(worker, frames, leaf, bytes * scale, objects * scale);
        };
        add(vec![main.clone()], "49-64 bytes · PyDict_New", 2.1e6, 33e3);
        add(view(&[&decode, &load, &cart]), "49-64 bytes · PyDict_New", 410.4e6, 6.4e6);
        add(view(&[&decode, &load, &cart]), "33-48 bytes", 154e6, 3.6e6);
        add(view(&[&load, &cart]), "more than 512 bytes · PyBytes_FromStringAndSize", 612e6, 41e3);
        add(view(&[&rank, &search]), "17-32 bytes · PyFloat_FromDouble", 88e6, 3.2e6);
        add(view(&[&tokens, &search]), "49-64 bytes · PyUnicode_New", 305e6, 5.1e6);
    }
    profile
}

fn heading() -> Heading {
    Heading {
        pid: 4301,
        command: "python main.py --port 4301".into(),
        python: "3.12.1".into(),
        view: View::Allocated,
        duration: Duration::from_millis(20_043),
        samples: 1_987,
        pauses: Pauses {
            mean: Duration::from_micros(143),
            max: Duration::from_micros(2_310),
            total: Duration::from_millis(284),
        },
        accuracy: Some(Accuracy {
            totals: [
                Between { least: 1.9e9, most: None },
                Between { least: 2.1e7, most: Some(4.4e7) },
            ],
            shares: [Precision { variance: 0.01, between_bursts: 0.5, factor: 2.0 }; 2],
        }),
        earlier: None,
    }
}

fn written(form: Form, profile: &Profile, heading: &Heading, style: Style) -> String {
    let mut out = Vec::new();
    form.write(profile, heading, style, &mut out).expect("written");
    String::from_utf8(out).expect("UTF-8")
}

/// Compares line by line with a file in `tests/golden`, or writes the file where `BLESS` is set.
#[track_caller]
fn assert_golden(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(path, text).expect("golden file written");
        return;
    }
    let golden = std::fs::read_to_string(path).expect("golden file");
    for (number, (expected, found)) in golden.lines().zip(text.lines()).enumerate() {
        assert_eq!(expected, found, "{name}, line {}", number + 1);
    }
    assert_eq!(golden.lines().count(), text.lines().count(), "lines of {name}");
}

/// The part of an SVG that leakspy writes: without inferno's style sheet and script.
fn without_script(svg: &str) -> String {
    let (start, rest) = svg.split_once("<style").expect("a style sheet");
    let (_, end) = rest.split_once("</script>").expect("a script");
    format!("{start}<!-- style and script -->{end}")
}

fn pretty(json: &str) -> String {
    let value: Value = serde_json::from_str(json).expect("JSON");
    serde_json::to_string_pretty(&value).expect("JSON")
}

#[test]
fn flamegraph_by_bytes() {
    let svg = written(Form::Flamegraph, &shop(), &heading(), Style::default());
    assert_golden("shop.svg", &without_script(&svg));
}

#[test]
fn flamegraph_of_stack_samples() {
    let mut profile = Profile::new();
    for (function, samples) in [("parse", 61.0), ("render", 39.0)] {
        let frames = vec![frame(function, "/srv/app.py", 3), frame("<module>", "/srv/app.py", 9)];
        let stack = Stack { frames, ..Stack::default() };
        profile.add(stack, Weight { bytes: 0.0, objects: samples });
    }
    let heading = Heading {
        command: format!("python app.py {}", "--verbose ".repeat(20)),
        view: View::Stacks,
        samples: 100,
        accuracy: None,
        ..heading()
    };
    let svg = written(Form::Flamegraph, &profile, &heading, Style::default());
    assert_golden("stacks.svg", &without_script(&svg));
}

#[test]
fn folded_with_full_paths() {
    let style = Style { by: By::Objects, paths: Paths::Full };
    assert_golden("shop.folded", &written(Form::Folded, &shop(), &heading(), style));
}

#[test]
fn speedscope_in_the_form_its_schema_asks_for() {
    let json = written(Form::Speedscope, &shop(), &heading(), Style::default());
    assert_golden("shop.speedscope.json", &pretty(&json));
}

#[test]
fn json_as_documented() {
    let json = written(Form::Json, &shop(), &heading(), Style::default());
    assert_golden("shop.json", &pretty(&json));
}

/// The paths of all keys in a value, with the type of each value that is not null.
fn keys(value: &Value, path: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                keys(value, &format!("{path}.{key}"), found);
            }
        }
        Value::Array(array) => array.iter().for_each(|value| keys(value, path, found)),
        Value::Number(_) => drop(found.insert(format!("{path}: number"))),
        Value::String(_) => drop(found.insert(format!("{path}: string"))),
        Value::Bool(_) | Value::Null => drop(found.insert(format!("{path}: other"))),
    }
}

/// Compares the example and the table in one section of `docs/json.md` with a real document.
#[track_caller]
fn assert_documented(section: &str, document: &Value) {
    let page = include_str!("../../docs/json.md");
    let (_, section) = page.split_once(&format!("## `{section}`")).expect("the section");
    let (_, example) = section.split_once("```json").expect("an example");
    let (example, explanation) = example.split_once("```").expect("its end");
    let (mut documented, mut found) = (BTreeSet::new(), BTreeSet::new());
    keys(&serde_json::from_str(example).expect("JSON"), "", &mut documented);
    keys(document, "", &mut found);
    assert_eq!(documented, found);
    for key in document.as_object().expect("an object").keys().filter(|&key| key != "schema") {
        assert!(explanation.contains(&format!("| `{key}` |")), "{key} is not explained");
    }
}

#[test]
fn the_documentation_of_a_recording_has_every_key_and_no_other() {
    let json = written(Form::Json, &shop(), &heading(), Style::default());
    let document = serde_json::from_str(&json).expect("JSON");
    assert_documented("leakspy record --format json", &document);
}

#[test]
fn the_documentation_of_a_dump_has_every_key_and_no_other() {
    let thread = DumpedThread {
        pthread: 1,
        tid: Some(4301),
        name: Some("MainThread".into()),
        holds_gil: true,
        running: true,
        interpreter: 0,
        collecting: false,
        wait: None,
        stack: python::Stack { frames: vec![frame("main", "app.py", 3)], complete: true },
        details: vec![FrameDetails {
            columns: Some(Columns { end_line: 3, start: 4, end: 9 }),
            locals: None,
        }],
    };
    let dump = Dump {
        pid: 4301,
        command: "python app.py".into(),
        version: Version { major: 3, minor: 12, micro: 1 },
        executable: "/usr/bin/python3.12".into(),
        threads: ThreadDump { pause: Duration::from_micros(123), threads: vec![thread] },
        death: None,
    };
    let mut out = Vec::new();
    dump::write_json(&dump, None, &mut out).expect("written");
    assert_documented("leakspy dump --json", &serde_json::from_slice(&out).expect("JSON"));
}

#[test]
fn the_closing_paragraph() {
    let mut out = Vec::new();
    summary::write(&shop(), &heading(), Style::default(), &mut out).expect("written");
    assert_golden("shop.txt", &String::from_utf8(out).expect("UTF-8"));
}

/// Exact numbers are called exact, or not called anything, and no form mentions estimates or samples.
#[test]
fn what_tracemalloc_knows_is_no_estimate() {
    let mut profile = Profile::new();
    for (line, bytes, domain) in [(3, 4096.0, None), (9, 64.0, Some("tracemalloc domain 7".into()))]
    {
        let frames = vec![frame("app.py", "/srv/shop/app.py", line)];
        let roots = vec!["(outer frames not kept by tracemalloc)".into()];
        let stack = Stack { roots, frames, leaf: domain, ..Stack::default() };
        profile.add(stack, Weight { bytes, objects: 2.0 });
    }
    let heading = Heading {
        view: View::Traced,
        duration: Duration::ZERO,
        samples: 1,
        accuracy: None,
        ..heading()
    };
    let svg = written(Form::Flamegraph, &profile, &heading, Style::default());
    assert_golden("traced.svg", &without_script(&svg));
    let json = written(Form::Json, &profile, &heading, Style::default());
    assert_golden("traced.json", &pretty(&json));
    let blocks = Style { by: By::Objects, ..Style::default() };
    let mut out = Vec::new();
    summary::write(&profile, &heading, blocks, &mut out).expect("written");
    let said = String::from_utf8(out).expect("UTF-8");
    assert_golden("traced.txt", &said);
    let speedscope = written(Form::Speedscope, &profile, &heading, blocks);
    // ("sampled" is the word of the format speedscope for a list of stacks.)
    for text in [without_script(&svg), said] {
        for word in ["estimate", "sampled", " samples", "±"] {
            assert!(!text.contains(word), "{word:?} is in {text}");
        }
    }
    let measures: Value = serde_json::from_str(&speedscope).expect("JSON");
    let measures = [0, 1].map(|index| measures["profiles"][index]["name"].clone());
    assert_eq!(measures, ["bytes", "blocks"]);
}

#[test]
fn every_form_of_nothing_is_valid() {
    let nothing = Profile::new();
    let heading = || Heading { command: "python -c '1 < 2 & 3 > 2'".into(), ..heading() };
    let svg = written(Form::Flamegraph, &nothing, &heading(), Style::default());
    let xml = roxmltree::Document::parse(&svg).expect("XML");
    let texts: Vec<_> = xml.descendants().filter_map(|node| node.text()).collect();
    assert!(texts.iter().any(|text| text.contains(&heading().command)), "{texts:?}");
    assert!(texts.contains(&"Nothing was recorded"), "{texts:?}");
    assert_eq!(written(Form::Folded, &nothing, &heading(), Style::default()), "");
    for form in [Form::Json, Form::Speedscope] {
        let json = written(form, &nothing, &heading(), Style::default());
        serde_json::from_str::<Value>(&json).expect("JSON");
    }
}

#[test]
fn weights_beyond_all_measure_are_drawn_in_proportion() {
    let mut profile = Profile::new();
    for (function, bytes) in [("huge", 3e300), ("half", 1e300), ("tiny", 1.0)] {
        let frames = vec![frame(function, "app.py", 1)];
        profile.add(Stack { frames, ..Stack::default() }, Weight { bytes, objects: 1.0 });
    }
    for form in [Form::Folded, Form::Json, Form::Speedscope] {
        written(form, &profile, &heading(), Style::default());
    }
    let svg = written(Form::Flamegraph, &profile, &heading(), Style::default());
    let width = r#"width="75.0000%""#;
    assert!(svg.lines().any(|line| line.contains(width)), "no frame has three quarters");
}

/// Names that a target may have: mostly characters that separate something somewhere.
fn name() -> impl Strategy<Value = String> {
    let separators = prop::collection::vec(
        prop::sample::select(vec![
            ";", "\n", "\r", "\t", " ", "<", ">", "&", "\"", "'", "#", "\\", "]]>", "--", "(", ")",
            "0", "12", ".", "\0", "\u{7f}", "\u{85}", "\u{2028}", "\u{fffe}", "é", "名", "🐍", "a",
        ]),
        0..6,
    );
    prop_oneof![separators.prop_map(|pieces| pieces.concat()), any::<String>()]
}

fn any_stack() -> impl Strategy<Value = Stack> {
    let frame = (name(), name(), any::<Option<u32>>())
        .prop_map(|(function, file, line)| Frame::new(function, file, line));
    (
        prop::collection::vec(name().prop_map(Arc::from), 0..3),
        prop::collection::vec(frame, 0..6),
        prop::option::of(name().prop_map(Arc::from)),
    )
        .prop_map(|(roots, frames, leaf)| Stack { roots, frames, leaf, ..Stack::default() })
}

proptest! {
    #[test]
    fn any_name_survives_in_the_folded_form(stack in any_stack()) {
        let mut profile = Profile::new();
        profile.add(stack.clone(), Weight { bytes: 640.0, objects: 10.0 });
        let style = Style { paths: Paths::Full, ..Style::default() };
        let text = written(Form::Folded, &profile, &heading(), style);
        prop_assert_eq!(text.split('\n').count(), 2, "one line and its end");
        let (labels, count) = text.trim_end().rsplit_once(' ').expect("a count");
        prop_assert_eq!(count, "640");
        let expected: Vec<_> =
            labels::of_stack(&stack, Paths::Full).into_iter().map(|label| label.text).collect();
        prop_assert_eq!(labels.split(';').collect::<Vec<_>>(), expected);
    }

    #[test]
    fn any_name_survives_in_the_svg(stack in any_stack(), command in name()) {
        let mut profile = Profile::new();
        profile.add(stack.clone(), Weight { bytes: 640.0, objects: 10.0 });
        let heading = Heading { command, ..heading() };
        let svg = written(Form::Flamegraph, &profile, &heading, Style::default());
        let options = roxmltree::ParsingOptions { allow_dtd: true, ..Default::default() };
        let xml = roxmltree::Document::parse_with_options(&svg, options).expect("XML");
        let mut titles: Vec<_> = xml
            .descendants()
            .filter(|node| node.has_tag_name(("http://www.w3.org/2000/svg", "title")))
            .filter_map(|node| node.text())
            .map(str::to_owned)
            .collect();
        let mut expected: Vec<_> = labels::of_stack(&stack, Paths::Short)
            .into_iter()
            .map(|label| format!("{} (640 bytes, 100.00%)", label.text))
            .collect();
        expected.push("all (640 bytes, 100%)".into());
        titles.sort();
        expected.sort();
        prop_assert_eq!(titles, expected);
    }

    #[test]
    fn any_name_is_itself_in_json(stack in any_stack()) {
        let mut profile = Profile::new();
        profile.add(stack.clone(), Weight { bytes: 640.0, objects: 10.0 });

        let json = written(Form::Json, &profile, &heading(), Style::default());
        let json: Value = serde_json::from_str(&json).expect("JSON");
        let frames = serde_json::to_value(&stack.frames).expect("JSON");
        prop_assert_eq!(&json["stacks"][0]["stack"], &frames);

        let json = written(Form::Speedscope, &profile, &heading(), Style::default());
        let json: Value = serde_json::from_str(&json).expect("JSON");
        let outermost_first: Vec<&Value> = json["profiles"][0]["samples"][0]
            .as_array()
            .expect("indices")
            .iter()
            .map(|index| &json["shared"]["frames"][index.as_u64().expect("index") as usize]["name"])
            .collect();
        let names = stack
            .roots
            .iter()
            .chain(stack.frames.iter().rev().map(|frame| &frame.function))
            .chain(&stack.leaf);
        let expected: Vec<Value> = names.map(|name| Value::from(&**name)).collect();
        prop_assert_eq!(outermost_first, expected.iter().collect::<Vec<_>>());
    }
}
