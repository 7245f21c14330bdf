//! Why objects live, against the target's own search with `gc.get_referrers`; and the other commands that
//! describe one object or show the graph.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use leakspy::heap::{Analysis, NodeId, RootNames, Selector};
use leakspy::inspect::object;
use leakspy::inspect::why::{Excluded, Options, What, Why, why};
use leakspy::python::objects::Disclosure;
use libtest_mimic::{Failed, Trial};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::support::{
    Interpreter, Target, assert_documented, cases, interpreters, leakspy, wait_until, with_heap,
};

type Test = fn(&'static Interpreter) -> Result<(), Failed>;

pub fn trials() -> Vec<Trial> {
    let mut trials = cases("why_shapes", every_shape_has_the_path_that_the_target_finds);
    trials.extend(cases("show", an_object_is_as_the_target_says));
    trials.extend(cases("why_interned", the_table_of_interned_strings_has_a_name));
    let some = interpreters().last().expect("an interpreter");
    let tests: [(&str, Test); 8] = [
        ("why_at_rest", the_answer_is_the_same_whatever_the_target_does),
        ("why_options", each_option_does_what_its_help_says),
        ("why_types", paths_of_many_objects_are_few_lines),
        ("why_refusals", what_is_not_there_is_said),
        ("show_one", which_object_has_to_be_said),
        ("graph_command", pictures_show_what_is_there),
        ("graph_dense", what_is_tangled_is_drawn_or_refused),
        ("tree_command", the_tree_has_every_object_once),
    ];
    for (name, test) in tests {
        trials.push(Trial::test(format!("{name}::{}", some.name), move || test(some)));
    }
    trials
}

fn options() -> Options {
    Options { paths: 1, excluded: Vec::new(), disclosure: Disclosure::Keys }
}

fn of_object(heap: &Analysis<'_>, names: &RootNames, address: u64, options: &Options) -> Why {
    let nodes = Selector::Address(address).find(heap).expect("there is an object");
    why(heap, names, &nodes, options)
}

/// The lines of a tree that is a single path, as words.
fn words(why: &Why) -> Vec<String> {
    let word = |what: &What| match what {
        What::Root(words) => words.to_string(),
        What::Frame(frame) => frame.function.to_string(),
        What::Objects { link: Some(link), kind } => format!("{link} {kind}"),
        What::Objects { link: None, kind } => kind.to_string(),
    };
    why.lines.iter().map(|line| word(&line.what)).collect()
}

/// The words of each shape's path. `…` stands for parts that differ between versions.
const SHAPES: [(&str, &[&str]); 22] = [
    ("class attribute", &["module __main__", "Class type", ".attribute __main__.Kept"]),
    ("dict key", &["module __main__", "BY_KEY dict", ".keys() __main__.Kept"]),
    ("dict value", &["module __main__", "BY_VALUE dict", "['entry'] __main__.Kept"]),
    ("long key", &["module __main__", "LONG dict", "[str] __main__.Kept"]),
    ("attribute", &["module __main__", "HOLDER __main__.Holder", ".thing __main__.Kept"]),
    ("slot", &["module __main__", "SLOTTED __main__.Slotted", ".thing __main__.Kept"]),
    ("list index", &["module __main__", "LIST list", "[2] __main__.Kept"]),
    ("closure cell", &["module __main__", "CLOSURE function", "closure thing __main__.Kept"]),
    ("default argument", &["module __main__", "DEFAULT function", "default thing __main__.Kept"]),
    ("frame local", &["thread keeper", "stay", "local local __main__.Kept"]),
    ("generator local", &["module __main__", "GENERATOR generator", "local thing __main__.Kept"]),
    ("task", &["…", "local inner __main__.Kept"]),
    ("weak reference", &["module __main__", "WATCHED __main__.Slotted", ".thing __main__.Kept"]),
    ("module global", &["module __main__", "GLOBAL __main__.Kept"]),
    ("bound method", &["module __main__", "METHOD method", ".__self__ __main__.Kept"]),
    (
        "traceback",
        &[
            "module __main__",
            "ERROR ValueError",
            ".__traceback__ traceback",
            ".tb_next traceback",
            ".tb_frame frame",
            "local inner __main__.Kept",
        ],
    ),
    (
        "lru_cache",
        &["module __main__", "cached functools._lru_cache_wrapper", "…", "__main__.Kept"],
    ),
    (
        "partial",
        &["module __main__", "PARTIAL functools.partial", ".args tuple", "[0] __main__.Kept"],
    ),
    ("property", &["module __main__", "PROPERTY property", ".fget __main__.Kept"]),
    ("thread-local", &["module __main__", "LOCAL _thread._local", "…", "['thing'] __main__.Kept"]),
    ("contextvar", &["thread MainThread", "…", "__main__.Kept"]),
    ("C-held", &["native code", "__main__.Kept"]),
];

/// Whether words match; `…` stands for any number of them, and the last may have a prefix.
fn reads(found: &[String], expected: &[&str]) -> bool {
    match expected {
        [] => found.is_empty(),
        ["…", rest @ ..] => (0..=found.len()).any(|skipped| reads(&found[skipped..], rest)),
        [last] => found.len() == 1 && found[0].ends_with(last),
        [first, rest @ ..] => {
            found.first().is_some_and(|word| word == first) && reads(&found[1..], rest)
        }
    }
}

/// The path to the object in each shape reads as expected, and passes the objects that the target's own
/// search finds, or is shorter.
fn every_shape_has_the_path_that_the_target_finds(
    interpreter: &'static Interpreter,
) -> Result<(), Failed> {
    let mut target = Target::start(interpreter, "why", &[]);
    let truth = target.ask("shapes");
    let truth = truth.as_object().expect("an object");
    let mut wrong = Vec::new();
    with_heap(&target, |heap, names, _| {
        assert_eq!(truth.len(), SHAPES.len());
        for (shape, expected) in SHAPES {
            let address = truth[shape]["id"].as_u64().expect("an address");
            let found = of_object(heap, names, address, &options());
            assert_eq!([found.asked, found.paths], [1, 1], "{shape}");
            if !reads(&words(&found), expected) {
                wrong.push(format!("{shape}: {:?}", words(&found)));
            }
            let chain: Option<Vec<u64>> =
                serde_json::from_value(truth[shape]["chain"].clone()).expect("addresses");
            let example: Vec<u64> = found.example.iter().map(|(address, _)| *address).collect();
            match chain {
                Some(chain) if expected[0] == "module __main__" && example != chain => {
                    wrong.push(format!("{shape}: {example:x?}, not {chain:x?}"));
                }
                Some(chain) if example.len() > chain.len() => {
                    wrong.push(format!("{shape}: too long {example:x?}"));
                }
                _ => {}
            }
            // A weak reference is not a path: without the reference that holds the object no path is left.
            if shape == "weak reference" {
                let excluded = vec![Excluded::Type("__main__.Slotted".into())];
                let without = of_object(heap, names, address, &Options { excluded, ..options() });
                assert_eq!((without.unreached, without.lines), (1, Vec::new()));
            }
        }
    })?;
    assert!(wrong.is_empty(), "{wrong:#?}");
    target.assert_healthy();
    Ok(())
}

/// Shapes that differ in where their objects are held.
const DIFFERENT: [&str; 6] =
    ["attribute", "closure cell", "frame local", "generator local", "contextvar", "C-held"];

/// Their paths in words.
fn all_words(target: &Target, truth: &Value) -> Result<BTreeMap<String, Vec<String>>, Failed> {
    with_heap(target, |heap, names, _| {
        let of = |(shape, truth): (&String, &Value)| {
            let address = truth["id"].as_u64().expect("an address");
            (shape.clone(), words(&of_object(heap, names, address, &options())))
        };
        let all = truth.as_object().expect("an object").iter();
        all.filter(|(shape, _)| DIFFERENT.contains(&shape.as_str())).map(of).collect()
    })
}

/// A target that waits in a C call, one that runs endlessly, and both while they are stopped.
fn the_answer_is_the_same_whatever_the_target_does(
    interpreter: &'static Interpreter,
) -> Result<(), Failed> {
    let mut all = Vec::new();
    for arguments in [&[][..], &["loop"]] {
        let mut target = Target::start(interpreter, "why", arguments);
        let truth = target.ask("shapes");
        all.push(all_words(&target, &truth)?);
        let pid = Pid::from_raw(target.pid());
        kill(pid, Signal::SIGSTOP)?;
        wait_until("it is stopped", || {
            target.health().threads.iter().all(|thread| thread.state == 'T')
        });
        all.push(all_words(&target, &truth)?);
        let health = target.health();
        assert!(health.threads.iter().all(|thread| thread.state == 'T'), "{health:?}");
        kill(pid, Signal::SIGCONT)?;
        target.ask("describe");
    }
    assert_eq!(all.len(), 4);
    for other in &all[1..] {
        assert_eq!(other, &all[0]);
    }
    Ok(())
}

fn why_json(pid: i32, arguments: &[&str]) -> Result<Value, Failed> {
    let pid = pid.to_string();
    let output = leakspy(["why", "--json", "--pid", &pid].iter().chain(arguments));
    assert!(output.status.success(), "{output:?}");
    let document = serde_json::from_slice(&output.stdout)?;
    assert_documented("`leakspy why --json`", &document);
    assert_sorted(&document);
    Ok(document)
}

/// Lines that follow the same line are in the order of what they retain.
fn assert_sorted(document: &Value) {
    let mut last: Vec<Option<u64>> = Vec::new();
    for line in document["lines"].as_array().expect("an array") {
        let depth = line["depth"].as_u64().expect("a number") as usize;
        let retained = line["retained"].as_u64();
        last.resize(depth + 1, None);
        if let (Some(before), Some(now)) = (last[depth], retained) {
            assert!(before >= now, "{before} is before {now}: {document:#}");
        }
        last[depth] = retained;
    }
}

fn each_option_does_what_its_help_says(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let mut target = Target::start(interpreter, "why", &[]);
    let truth = target.ask("shapes");
    let pid = target.pid();
    let address = |shape: &str| format!("{:#x}", truth[shape]["id"].as_u64().expect("an address"));
    let links = |document: &Value| -> Vec<String> {
        let lines = document["lines"].as_array().expect("an array");
        lines.iter().filter_map(|line| Some(line["link"].as_str()?.to_owned())).collect()
    };
    // The printed path leads to the object again.
    let by_path = why_json(pid, &["__main__:BY_VALUE['entry']"])?;
    let by_address = why_json(pid, &[&address("dict value")])?;
    assert_eq!(by_path["lines"], by_address["lines"]);
    assert_eq!(links(&by_path), ["BY_VALUE", "['entry']"]);
    let attribute = why_json(pid, &["__main__:HOLDER.thing"])?;
    assert_eq!(attribute["example"], why_json(pid, &[&address("attribute")])?["example"]);

    let redacted = why_json(pid, &["--redact", &address("dict value")])?;
    assert_eq!(links(&redacted), ["BY_VALUE", "[str]"]);

    // The first of several paths is the shortest.
    let several = why_json(pid, &["--all-paths", "20", &address("weak reference")])?;
    assert_eq!(several["sampled"], 1);
    let paths = several["paths"].as_u64().expect("a number");
    assert!(paths > 1 && paths <= 20, "{paths}");
    let text = several["lines"].to_string();
    assert!(text.contains("\"WATCHED\"") && !text.contains("WEAK"), "{text}");

    // Only a frame holds this object: without frames it is unreached, without the other roots it is not.
    let local = address("frame local");
    assert_eq!(why_json(pid, &["--exclude", "frames,weak", &local])?["unreached"], 1);
    assert_eq!(why_json(pid, &["--exclude", "native,modules", &local])?["unreached"], 0);
    Ok(())
}

fn paths_of_many_objects_are_few_lines(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let mut target = Target::start(interpreter, "holders", &["global"]);
    let rows = target.ask("rows").as_u64().expect("a number");
    target.wait_until_still();
    let document = why_json(target.pid(), &["__main__.Row"])?;
    assert_eq!(document["objects"], rows);
    assert_eq!(document["paths"], rows);
    assert_eq!(document["type"], "__main__.Row");
    let lines = document["lines"].as_array().expect("an array");
    let ends: u64 = lines.iter().map(|line| line["ends"].as_u64().expect("a number")).sum();
    assert_eq!(ends, rows);
    assert!(lines.len() < 30, "{lines:#?}");
    // Below each line are the objects that it leads to.
    assert_eq!(lines[0]["root"], "module __main__");
    let of = |link: &str| lines.iter().find(|line| line["link"] == link).expect("a line");
    let cache = lines.iter().position(|line| line["link"] == "CACHE").expect("a line");
    assert_eq!(lines[cache]["paths"], 20_000);
    assert_eq!(lines[cache]["objects"], 1);
    let below = &lines[cache + 1];
    assert_eq!([&below["link"], &below["type"]], ["[…]", "__main__.Row"]);
    assert_eq!([&below["ends"], &below["objects"]], [20_000, 20_000]);
    assert!(of("local rows")["paths"] == 50);
    // Rows hold only their own objects, so their retained sizes add up.
    let heap = leakspy(["heap", "--json", "--pid", &target.pid().to_string()]);
    let heap: Value = serde_json::from_slice(&heap.stdout)?;
    let types = heap["types"].as_array().expect("an array");
    let row = types.iter().find(|row| row["type"] == "__main__.Row").expect("rows");
    assert_eq!(document["retained"], row["retained"]);

    let pid = target.pid().to_string();
    let output = leakspy(["why", "--pid", &pid, "--breadth", "2", "Row"]);
    let text = String::from_utf8(output.stdout)?;
    assert!(text.contains("20,250 objects of type __main__.Row together retain "), "{text}");
    assert!(text.contains("└ (") && text.contains("├ CACHE dict 0x"), "{text}");
    Ok(())
}

fn what_is_not_there_is_said(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let target = Target::start(interpreter, "why", &[]);
    let pid = target.pid().to_string();
    for (subject, words) in [
        ("Slotte", "there is no object of the type Slotte; did you mean __main__.Slotted?"),
        ("0x10", "there is no object at 0x10"),
        ("nowhere:X", "there is no module nowhere in the process"),
        ("__main__:BY_VALUE['x']", "__main__:BY_VALUE has no ['x']"),
        ("__main__:NAUGHT", "__main__ has no NAUGHT"),
        ("0xz", "`0xz` is neither a type"),
    ] {
        let output = leakspy(["why", "--pid", &pid, subject]);
        assert_eq!(output.status.code(), Some(1), "{subject}");
        let said = String::from_utf8(output.stderr)?;
        assert!(said.contains(words) && said.lines().count() == 1, "{said}");
    }
    Ok(())
}

fn the_tree_has_every_object_once(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let target = Target::start(interpreter, "holders", &["global"]);
    target.wait_until_still();
    let pid = target.pid().to_string();
    let output = leakspy(["tree", "--json", "--depth", "100", "--pid", &pid]);
    assert!(output.status.success(), "{output:?}");
    let document: Value = serde_json::from_slice(&output.stdout)?;
    assert_documented("`leakspy tree --json`", &document);
    let lines = document["lines"].as_array().expect("an array");
    let number = |line: &Value, key: &str| line[key].as_u64().expect("a number");
    for (key, all) in [("retained", "bytes"), ("objects", "objects")] {
        let first = lines.iter().filter(|line| line["depth"] == 0);
        let sum: u64 = first.map(|line| number(line, key)).sum();
        assert_eq!(document[all], sum, "{key}");
    }
    let own: u64 = lines.iter().map(|line| number(line, "own_objects")).sum();
    assert_eq!(document["objects"], own);
    // The live view of the same heap: the rows are below the global that holds them.
    let cache = lines.iter().position(|line| line["held"] == "CACHE").expect("a line");
    let rows = lines[cache..].iter().find(|line| line["held"] == "[…] __main__.Row");
    assert_eq!(number(rows.expect("a line"), "own_objects"), 20_000);
    let output = leakspy(["tree", "--depth", "3", "--pid", &pid]);
    let text = String::from_utf8(output.stdout)?;
    assert!(text.contains("module __main__") && text.contains("├ CACHE"), "{text}");
    Ok(())
}

fn an_object_is_as_the_target_says(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let mut target = Target::start(interpreter, "show", &[]);
    let truth = target.ask("objects");
    with_heap(&target, |heap, names, _| {
        for (name, truth) in truth.as_object().expect("an object") {
            let path: Selector = format!("__main__:{name}").parse().expect("a path");
            let [node] = path.find(heap).expect("there is an object")[..] else { panic!("one") };
            let options = object::Options { most: 10, disclosure: Disclosure::Values };
            let shown = object::show(heap, names, node, options);
            assert_eq!(truth["address"], shown.address, "{name}");
            assert_eq!(truth["type"], shown.kind, "{name}");
            assert_eq!(truth["size"], shown.shallow, "{name}: {shown:?}");
            if let Some(value) = truth["value"].as_str() {
                assert_eq!(shown.value.as_deref(), Some(value), "{name}");
            }
            if let (Some(references), Some(counted)) =
                (truth["references"].as_u64(), shown.references_counted)
            {
                assert_eq!([counted, shown.references_found], [references; 2], "{name}: {shown:?}");
            }
            for holder in truth["referrers"].as_array().expect("an array") {
                let is_there = shown.referrers.1.iter().any(|other| *holder == other.address);
                assert!(is_there, "{name}: {holder} is not in {shown:?}");
            }
            assert_eq!(truth["tracked"], shown.generation.is_some(), "{name}: {shown:?}");
            assert!(!shown.is_garbage, "{name}");
        }
    })?;
    target.assert_healthy();
    Ok(())
}

/// The table of interned strings is a root of its own, and no other root grows with their number.
fn the_table_of_interned_strings_has_a_name(
    interpreter: &'static Interpreter,
) -> Result<(), Failed> {
    const MORE: u64 = 200_000;
    /// The size of a key and a value.
    const ENTRY: u64 = 16;
    let mut target = Target::start(interpreter, "show", &[]);
    let dicts = |target: &Target| {
        with_heap(target, |heap, names, _| {
            let subject = Selector::Type("builtins.dict".into());
            let dicts = subject.find(heap).expect("there are dicts");
            let large = |&node: &NodeId| heap.graph.size(node) > MORE * ENTRY;
            let large: Vec<NodeId> = dicts.into_iter().filter(large).collect();
            words(&why(heap, names, &large, &options()))
        })
    };
    assert_eq!(dicts(&target)?, [""; 0]);
    assert_eq!(target.ask(&format!("intern {MORE}")), MORE);
    assert_eq!(dicts(&target)?, ["interned strings", "dict"]);
    target.assert_healthy();
    Ok(())
}

fn which_object_has_to_be_said(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let target = Target::start(interpreter, "show", &[]);
    let pid = target.pid().to_string();
    let output = leakspy(["show", "--json", "--pid", &pid, "__main__:INSTANCE"]);
    assert_documented("`leakspy show --json`", &serde_json::from_slice(&output.stdout)?);
    let several = leakspy(["show", "--pid", &pid, "dict"]);
    assert_eq!(several.status.code(), Some(1));
    assert!(String::from_utf8(several.stderr)?.contains("objects of the type dict"));
    Ok(())
}

/// Asserts that Graphviz draws a picture without complaint.
fn assert_drawn_by_graphviz(dot: &str) -> Result<(), Failed> {
    let mut command = Command::new("dot");
    command.arg("-Tsvg").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    child.stdin.take().expect("it is piped").write_all(dot.as_bytes())?;
    let output = child.wait_with_output()?;
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && !complaints.contains("rror"), "{complaints}");
    let svg = String::from_utf8(output.stdout)?;
    assert_eq!(svg.matches("class=\"node\"").count(), dot.matches("fillcolor=").count(), "{svg}");
    Ok(())
}

fn what_is_tangled_is_drawn_or_refused(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let mut target = Target::start(interpreter, "cycles", &[]);
    let pid = target.pid().to_string();
    let folder = tempfile::tempdir()?;
    let graph = |name: &str| {
        let file = folder.path().join(name);
        let most = ["--show", "referents", "--most", "500", "--breadth", "500"];
        let mut words = vec!["graph", "--pid", &pid, "__main__:TANGLE", "-o"];
        words.extend(file.to_str());
        (leakspy(words.iter().chain(&most)), file)
    };
    // The list that has them all, twenty lists, and their references to each other.
    target.ask("tangle 20");
    let (output, svg) = graph("some.svg");
    assert!(output.status.success(), "{output:?}");
    let svg = fs::read_to_string(svg)?;
    let xml = roxmltree::Document::parse(&svg)?;
    let boxes = xml.descendants().find(|node| node.has_tag_name("g")).ok_or("no boxes")?;
    let count = |name: &str| boxes.descendants().filter(|node| node.has_tag_name(name)).count();
    assert_eq!((count("rect"), count("polygon")), (21, 20 + 20 * 19));
    #[cfg(feature = "png")]
    {
        let (output, png) = graph("some.png");
        assert!(output.status.success(), "{output:?}");
        let pixels = resvg::tiny_skia::Pixmap::load_png(&png)?;
        let size = |name: &str| xml.root_element().attribute(name).map(str::to_owned);
        let found = [pixels.width(), pixels.height()].map(|length| Some(length.to_string()));
        assert_eq!(found, [size("width"), size("height")]);
    }

    target.ask("tangle 200");
    let (output, svg) = graph("many.svg");
    let said = String::from_utf8(output.stderr)?;
    assert!(said.contains("201 objects with 40000 references"), "{said}");
    assert!(said.contains("`--format dot`") && !svg.exists(), "{said}");
    let (output, dot) = graph("many.dot");
    assert!(output.status.success(), "{output:?}");
    assert_eq!(fs::read_to_string(dot)?.matches(" -> ").count(), 200 + 200 * 199);
    Ok(())
}

/// The nodes and references of a picture in the language of Graphviz.
fn the_json_has_what_is_drawn(pid: &str, dot: &str) -> Result<(), Failed> {
    let output = leakspy(["graph", pid, "--json", "Pair"]);
    assert!(output.status.success(), "{output:?}");
    let document: Value = serde_json::from_slice(&output.stdout)?;
    assert_documented("`leakspy graph --json`", &document);
    let [nodes, edges] =
        ["nodes", "edges"].map(|key| document[key].as_array().expect("an array").as_slice());
    let is_edge = |line: &&str| line.contains(" -> ");
    assert_eq!(edges.len(), dot.lines().filter(is_edge).count(), "{dot}");
    let drawn = |line: &&str| line.contains("[label=") && !is_edge(line);
    assert_eq!(nodes.len(), dot.lines().filter(drawn).count(), "{dot}");
    let selected: Vec<&Value> = nodes.iter().filter(|node| node["selected"] == true).collect();
    assert_eq!(selected.len(), 4, "{nodes:?}");
    assert!(
        selected.iter().all(|node| node["type"] == "__main__.Pair" && node["in_cycle"] == true)
    );
    let roots: Vec<&Value> = nodes.iter().filter(|node| node["type"].is_null()).collect();
    assert!(roots.iter().any(|node| node["root"] == "module __main__"), "{roots:?}");
    for edge in edges {
        let ends = ["from", "to"].map(|end| edge[end].as_u64().expect("an index") as usize);
        assert!(ends.iter().all(|&end| end < nodes.len()), "{edge}");
    }
    assert_eq!(edges.iter().filter(|edge| edge["link"] == ".other").count(), 4, "{edges:?}");
    let refused = leakspy(["graph", pid, "--json", "-o", "a.svg", "Pair"]);
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    Ok(())
}

fn pictures_show_what_is_there(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let mut target = Target::start(interpreter, "cycles", &[]);
    target.ask("hold 1");
    let pid = target.pid().to_string();
    let graph = |options: &[&str]| -> Result<String, Failed> {
        let words = ["graph", "--pid", &pid, "-o", "-"];
        let output = leakspy(words.iter().chain(options));
        assert!(output.status.success(), "{output:?}");
        Ok(String::from_utf8(output.stdout)?)
    };
    let dot = graph(&["Pair", "--format", "dot"])?;
    assert!(dot.starts_with("digraph objects {") && dot.ends_with("}\n"), "{dot}");
    assert_eq!(dot.matches("[label=\"__main__.Pair").count(), 4, "{dot}");
    // The two of a pair refer to each other by `.other`, which makes a cycle.
    let others = dot.lines().filter(|line| line.contains("label=\".other\""));
    let others: Vec<&str> = others.collect();
    assert_eq!(others.len(), 4, "{dot}");
    assert!(others.iter().all(|line| line.contains("#c0392b")), "{dot}");
    assert!(dot.contains("module __main__"), "{dot}");

    let svg = graph(&["Pair", "--most", "30", "--depth", "6"])?;
    let xml = roxmltree::Document::parse(&svg)?;
    let texts = xml.descendants().filter(|node| node.has_tag_name("text"));
    let texts: Vec<&str> = texts.filter_map(|node| node.text()).collect();
    assert_eq!(texts.iter().filter(|text| **text == "__main__.Pair").count(), 4, "{texts:?}");
    assert!(texts.contains(&"module __main__"), "{texts:?}");
    // The title, and what its colours mean.
    assert!(texts.iter().any(|text| text.starts_with("__main__.Pair: 4 selected, ")), "{texts:?}");
    assert!(["selected", "GC root", "in a cycle"].iter().all(|words| texts.contains(words)));

    match Command::new("dot").arg("-V").output() {
        Ok(_) => assert_drawn_by_graphviz(&dot)?,
        Err(_) => println!("dot is not installed: how Graphviz takes the picture is not tested"),
    }

    the_json_has_what_is_drawn(&pid, &dot)?;
    let chain = graph(&["__main__:ONCE[0].other", "--show", "chain", "--format", "dot"])?;
    assert!(chain.contains("label=\"['ONCE']\""), "{chain}");
    let without = graph(&["Pair", "--exclude", "list", "--format", "dot"])?;
    assert!(!without.contains("label=\"list"), "{without}");
    let highlighted = graph(&["Pair", "--highlight", "list", "--format", "dot"])?;
    assert!(highlighted.contains("#f5cba7"), "{highlighted}");
    Ok(())
}
