//! The messages where there is nothing to read, or the system refuses: what is wrong and what helps, in one
//! or two sentences. The status is 1, and the target is unharmed.
//!
//! Conditions that this machine cannot produce are tested beside the texts, in `cli::errors::advice`: the
//! values of `ptrace_scope`, a process in another user namespace, the kinds of containers.

// The test knows the registers of this architecture only.
#[cfg(target_arch = "x86_64")]
mod breakpoints;
#[cfg(target_arch = "x86_64")]
mod ended;
mod not_utf8;
mod races;
mod refusals;
mod targets;

use std::process::{Command, Output};

use libtest_mimic::{Failed, Trial};

use crate::support::{Target, interpreters, leakspy_command};

pub fn trials() -> Vec<Trial> {
    let mut trials = targets::trials();
    trials.extend(refusals::trials());
    trials.extend(races::trials());
    trials.extend(not_utf8::trials());
    #[cfg(target_arch = "x86_64")]
    trials.extend(breakpoints::trials().into_iter().chain(ended::trials()));
    trials
}

/// A way to ask about a process.
#[derive(Clone, Copy)]
struct Way {
    name: &'static str,
    /// The arguments before its PID.
    words: &'static [&'static str],
}

const DUMP: Way = Way { name: "dump", words: &["dump", "--pid"] };
const HEAP: Way = Way { name: "heap", words: &["heap", "--pid"] };
const HUNT: Way = Way { name: "hunt", words: &["hunt", "--duration", "1", "--pid"] };
const WHY: Way = Way { name: "why", words: &["why", "dict", "--pid"] };
const CYCLES: Way = Way { name: "cycles", words: &["cycles", "--pid"] };
const MEM: Way = Way { name: "mem", words: &["mem", "--pid"] };
const LIVE: Way = Way { name: "live", words: &["record", "--output", "/dev/null", "--pid"] };
const TRACED: Way = Way {
    name: "traced",
    words: &["record", "--view", "traced", "--output", "/dev/null", "--pid"],
};
const ALLOC: Way = Way {
    name: "alloc",
    words: &["record", "--view", "alloc", "-o", "/dev/null", "-d", "0.2", "--pid"],
};
const STACKS: Way = Way {
    name: "alloc without pauses",
    words: &["record", "--view=alloc", "--nonblocking", "-o", "/dev/null", "-d", "0.2", "--pid"],
};
/// All ways, those that trace the process first.
const WAYS: [Way; 10] = [DUMP, HEAP, HUNT, WHY, CYCLES, MEM, LIVE, TRACED, ALLOC, STACKS];

/// A trial for each way, `name::dump`, in which a process is asked about.
fn each(
    ways: &[Way],
    name: &str,
    test: impl Fn(Way) -> Result<(), Failed> + Clone + Send + 'static,
) -> Vec<Trial> {
    ways.iter()
        .map(|&way| {
            let test = test.clone();
            Trial::test(format!("{name}::{}", way.name), move || test(way))
        })
        .collect()
}

/// A target with tracemalloc on, for the view that needs it.
fn start() -> Target {
    let interpreter = interpreters().first().expect("an interpreter");
    Target::start_with(interpreter, "stacks", &[], &["-X", "tracemalloc"])
}

fn ask(way: Way, pid: i32) -> Command {
    let mut command = leakspy_command();
    command.args(way.words).arg(pid.to_string());
    command
}

/// Returns the message, if it is one line of at most two sentences and the status is 1.
#[track_caller]
fn message(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    let text = String::from_utf8(output.stderr.clone()).expect("UTF-8");
    let line = text.strip_suffix(".\n").unwrap_or_else(|| panic!("it does not end so: {text:?}"));
    assert!(line.starts_with("leakspy: ") && !line.contains('\n'), "{text:?}");
    assert!(line.matches(". ").count() <= 1, "more than two sentences: {text:?}");
    text
}

#[track_caller]
fn assert_says(text: &str, pieces: &[&str]) {
    for piece in pieces {
        assert!(text.contains(piece), "{piece:?} is not in {text:?}");
    }
}
