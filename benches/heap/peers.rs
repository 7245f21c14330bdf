//! Programs that read a heap from inside.

use std::error::Error;

use crate::common::statistics::median;
use crate::stages::Spent;
use crate::support::{Interpreter, Target};

/// A program to compare with.
#[derive(Debug, Clone, Copy)]
pub struct Peer {
    /// The question that `fixtures/heap_peers.py` answers.
    question: &'static str,
    /// Its title in the table.
    pub title: &'static str,
    /// Whether it only counts objects by type.
    pub is_quick: bool,
}

/// All of them.
const PEERS: [Peer; 3] = [
    Peer { question: "guppy3", title: "guppy3", is_quick: false },
    Peer { question: "pympler", title: "pympler", is_quick: false },
    Peer { question: "objgraph", title: "objgraph", is_quick: true },
];

/// Runs each on a heap of its own with this many objects, and returns the medians of its costs.
pub fn run(
    python: &Interpreter,
    objects: u64,
    runs: usize,
) -> Result<Vec<(Peer, Spent)>, Box<dyn Error>> {
    let mut taken = Vec::new();
    for peer in PEERS.into_iter().filter(|_| runs > 0) {
        let mut target = Target::start(python, "heap_peers", &[&objects.to_string()]);
        let answers = (0..runs).map(|_| serde_json::from_value(target.ask(peer.question)));
        let answers: Vec<Option<(f64, f64)>> = answers.collect::<Result<_, _>>()?;
        let (times, cpu): (Vec<f64>, Vec<f64>) = answers.into_iter().flatten().unzip();
        if times.is_empty() {
            println!("{} is not there: see benches/install-peers", peer.title);
        } else {
            taken.push((peer, Spent { time: median(&times), cpu: median(&cpu) }));
        }
    }
    Ok(taken)
}
