//! Prints the types that retain the most memory in a Python process: `cargo run --example heap -- PID`.

#![allow(clippy::print_stdout)]

use std::env;
use std::error::Error;

use leakspy::{Grouping, Source, Summary, attach};

fn main() -> Result<(), Box<dyn Error>> {
    let pid = env::args().nth(1).ok_or("usage: heap PID")?.parse()?;
    let process = attach(pid)?;
    let heap = process.heap()?;
    let summary = Summary::of(&heap.analysis, process.identity().owner(), Grouping::Type);
    let total = summary.total();
    println!("{} objects, {} bytes, paused for {:?}", total.count, total.bytes(), summary.pause);
    let mut types = summary.types;
    types.sort_by_key(|group| std::cmp::Reverse(group.retained));
    for group in types.iter().take(10) {
        println!("{:>12} {}", group.retained.unwrap_or(0), group.name);
    }
    Ok(())
}
