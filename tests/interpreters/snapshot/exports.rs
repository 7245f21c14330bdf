//! Exports, read back with small readers of their own: counts and bytes by type are those of `leakspy heap`.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use flate2::read::GzDecoder;
use libtest_mimic::Failed;
use serde_json::Value;

use super::commands::{Folder, json, say, text};
use crate::support::{Interpreter, Target};

/// Numbers of an array.
fn numbers(document: &Value, key: &str) -> Vec<u64> {
    let array = document[key].as_array().expect("an array");
    array.iter().map(|number| number.as_u64().expect("a number")).collect()
}

/// The count and the bytes of each type that `leakspy heap` lists.
fn types_of(file: &str) -> BTreeMap<String, (u64, u64)> {
    let heap = json(["heap", "--json", file]);
    let number = |row: &Value, key: &str| row[key].as_u64().expect("a number");
    let row = |row: &Value| {
        let bytes = number(row, "shallow") + number(row, "external");
        (row["type"].as_str().expect("a name").to_owned(), (number(row, "count"), bytes))
    };
    heap["types"].as_array().expect("an array").iter().map(row).collect()
}

pub fn chrome_has_every_object_and_reference(
    interpreter: &'static Interpreter,
) -> Result<(), Failed> {
    let mut target = Target::start(interpreter, "difference", &[]);
    let list = target.ask("change")["list"].as_u64().expect("an address");
    let folder = Folder::new();
    let path = folder.snapshot(&target, "heap", &[]);
    let (file, out) = (text(&path), folder.path("heap.heapsnapshot"));
    say(["export", file, "--to", "chrome", "-o", text(&out)]);
    let written = std::fs::read(&out)?;
    assert!(written.starts_with(b"{\"snapshot\":{\"meta\":"));
    let found: Value = serde_json::from_slice(&written)?;
    let strings: Vec<&str> =
        found["strings"].as_array().expect("strings").iter().filter_map(Value::as_str).collect();
    let (nodes, edges) = (numbers(&found, "nodes"), numbers(&found, "edges"));
    let nodes: Vec<&[u64]> = nodes.chunks_exact(6).collect();
    let edges: Vec<&[u64]> = edges.chunks_exact(3).collect();
    assert_eq!(found["snapshot"]["node_count"], nodes.len());
    assert_eq!(found["snapshot"]["edge_count"], edges.len());
    assert_eq!(nodes.iter().map(|node| node[4]).sum::<u64>(), edges.len() as u64);
    assert_eq!(nodes.iter().map(|node| node[2]).collect::<BTreeSet<_>>().len(), nodes.len());

    // By type, without the roots, which have no size and other names.
    let mut types: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for node in &nodes {
        let (count, bytes) = types.entry(strings[node[1] as usize].to_owned()).or_default();
        (*count, *bytes) = (*count + 1, *bytes + node[3]);
    }
    for (name, amount) in types_of(file) {
        assert_eq!(types.get(&name), Some(&amount), "{name}");
    }
    // Everything hangs on the first node.
    let mut starts = vec![0];
    nodes.iter().for_each(|node| starts.push(starts[starts.len() - 1] + node[4] as usize));
    let mut reached = vec![false; nodes.len()];
    let mut rest = vec![0];
    while let Some(node) = rest.pop() {
        if !std::mem::replace(&mut reached[node], true) {
            let own = &edges[starts[node]..starts[node + 1]];
            assert!(own.iter().all(|edge| edge[2] % 6 == 0));
            rest.extend(own.iter().map(|edge| edge[2] as usize / 6));
        }
    }
    assert!(reached.iter().all(|&is| is));
    // The list by its address, with its items in order.
    let place = nodes.iter().position(|node| node[2] == u64::from((list >> 4) as u32));
    let place = place.expect("its id is from its address");
    let own = &edges[starts[place]..starts[place + 1]];
    let mut items: Vec<u64> = own.iter().filter(|edge| edge[0] == 1).map(|edge| edge[1]).collect();
    items.sort_unstable();
    assert_eq!(items, (0..600).collect::<Vec<_>>());
    let named: BTreeSet<&str> =
        edges.iter().filter(|edge| edge[0] == 2).map(|edge| strings[edge[1] as usize]).collect();
    assert!(named.contains("module __main__") && named.contains("__dict__"), "{named:?}");
    // Values only if they are asked for.
    let is_text = |strings: &[&str]| strings.iter().any(|text| text.contains("session-"));
    assert!(!is_text(&strings));
    let path = folder.snapshot(&target, "values", &["--values"]);
    let told: Value = serde_json::from_str(&say([
        "export",
        text(&path),
        "--to",
        "chrome",
        "--values",
        "-o",
        "-",
    ]))?;
    let strings: Vec<&str> =
        told["strings"].as_array().expect("strings").iter().filter_map(Value::as_str).collect();
    assert!(is_text(&strings));
    Ok(())
}

/// The fields of a protocol buffer: each with its number, and a number or bytes.
fn fields(mut bytes: &[u8]) -> Vec<(u64, u64, &[u8])> {
    let varint = |bytes: &mut &[u8]| {
        let (mut number, mut shift) = (0, 0);
        loop {
            let byte = bytes[0];
            *bytes = &bytes[1..];
            number |= u64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte < 0x80 {
                return number;
            }
        }
    };
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes);
        match key & 7 {
            0 => found.push((key >> 3, varint(&mut bytes), &[][..])),
            2 => {
                let length = varint(&mut bytes) as usize;
                let (content, rest) = bytes.split_at(length);
                found.push((key >> 3, 0, content));
                bytes = rest;
            }
            other => panic!("wire type {other}"),
        }
    }
    found
}

pub fn pprof_has_every_byte(interpreter: &'static Interpreter) -> Result<(), Failed> {
    let target = Target::start(interpreter, "difference", &[]);
    let folder = Folder::new();
    let path = folder.snapshot(&target, "heap", &[]);
    let (file, out) = (text(&path), folder.path("heap.pb.gz"));
    say(["export", file, "--to", "pprof", "-o", text(&out)]);
    let mut bytes = Vec::new();
    GzDecoder::new(&*std::fs::read(&out)?).read_to_end(&mut bytes)?;
    let all = fields(&bytes);
    let of = |number: u64| all.iter().filter(move |field| field.0 == number);
    let strings: Vec<&str> =
        of(6).map(|field| std::str::from_utf8(field.2).expect("UTF-8")).collect();
    assert_eq!(strings[0], "");
    let types: Vec<&str> = of(1).map(|field| strings[fields(field.2)[0].1 as usize]).collect();
    assert_eq!(types, ["inuse_objects", "inuse_space"]);
    let default = of(14).next().expect("a default");
    assert_eq!(strings[default.1 as usize], "inuse_space");
    let known: BTreeSet<u64> = of(4).map(|field| fields(field.2)[0].1).collect();
    let (mut objects, mut size) = (0, 0);
    for sample in of(2) {
        let parts = fields(sample.2);
        let packed = |number: u64| {
            let content = parts.iter().find(|part| part.0 == number).expect("it is there").2;
            // As if each were a field of its own.
            let with_keys: Vec<u8> = content
                .split_inclusive(|byte| *byte < 0x80)
                .flat_map(|number| [&[8][..], number].concat())
                .collect();
            fields(&with_keys).into_iter().map(|field| field.1).collect::<Vec<_>>()
        };
        assert!(packed(1).iter().all(|location| known.contains(location)));
        let values = packed(2);
        (objects, size) = (objects + values[0], size + values[1]);
    }
    let types = types_of(file);
    assert_eq!(objects, types.values().map(|(count, _)| count).sum::<u64>());
    assert_eq!(size, types.values().map(|(_, bytes)| bytes).sum::<u64>());
    Ok(())
}
