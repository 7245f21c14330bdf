//! The command line: one file per subcommand, with its arguments and what it does.
//!
//! Only this layer prints, exits and addresses a user: errors of the library become [`advice`] here. Text for
//! people goes to standard error, output for programs to standard output, so that `record -- COMMAND` can
//! pass the command's own output through.

use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};

use self::args::process::ProcessArg;
use self::commands::{
    completions, cycles, diff, dump, export, graph, heap, hunt, info, man, mem, peak, plot, ps,
    record, report, show, snapshot, timeline, top, tree, waste, watch, why,
};
use self::errors::{CommandError, advice};
use self::help::closing;
use self::terminal::{Colour, say};
use crate::guardian::Program;
use crate::heap::give_memory_back;
use crate::process::watchdog;

pub mod args;
pub mod children;
pub mod clock;
pub mod collection;
pub mod command;
pub mod commands;
pub mod errors;
pub mod help;
pub mod known_leaks;
pub mod output;
pub mod processes;
pub mod progress;
pub mod saved_figures;
pub mod signals;
pub mod terminal;

/// Find out where the memory of a running Python process is, and what makes it grow.
///
/// leakspy attaches by PID to any CPython from 3.8 to 3.15. The process is not restarted, needs no package,
/// and leakspy never writes into it.
#[derive(Debug, Parser)]
#[command(version, after_help = EXAMPLES)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    /// When text has colours.
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    color: Colour,
}

const EXAMPLES: &str = "\
Examples:
  leakspy ps                                list the Pythons here
  leakspy top 1234                          watch its types live
  leakspy hunt 1234                         say what leaks, what holds it and which line feeds it
  leakspy record 1234 --duration 30s        record for 30 seconds, draw what grew
  leakspy record -o start.svg -- python app.py
                                            record a program from its start
  leakspy heap 1234                         print which types of objects take the memory
  leakspy why 1234 app.Session              print what keeps the objects of a type alive
  leakspy waste 1234                        print what is alive and needless
  leakspy dump 1234                         print what every thread is doing
  leakspy mem 1234                          print what its memory is made of
  leakspy timeline 1234 -o run.csv          write down its memory over time
  leakspy plot run.csv                      draw that";

#[derive(Debug, Subcommand)]
enum Command {
    #[command(after_help = closing("ps"))]
    Ps(ps::Args),
    #[command(after_help = closing("top"))]
    Top(top::Args),
    #[command(after_help = closing("record"))]
    Record(record::Args),
    #[command(after_help = closing("hunt"))]
    Hunt(hunt::Args),
    #[command(after_help = closing("heap"))]
    Heap(heap::Args),
    #[command(after_help = closing("diff"))]
    Diff(diff::Args),
    #[command(after_help = closing("why"))]
    Why(why::Args),
    #[command(after_help = closing("tree"))]
    Tree(tree::Args),
    #[command(after_help = closing("cycles"))]
    Cycles(cycles::Args),
    #[command(after_help = closing("waste"))]
    Waste(waste::Args),
    #[command(after_help = closing("report"))]
    Report(report::Args),
    #[command(after_help = closing("show"))]
    Show(show::Args),
    #[command(after_help = closing("graph"))]
    Graph(graph::Args),
    #[command(after_help = closing("dump"))]
    Dump(dump::Args),
    #[command(after_help = closing("mem"))]
    Mem(mem::Args),
    #[command(after_help = closing("snapshot"))]
    Snapshot(snapshot::Args),
    #[command(after_help = closing("export"))]
    Export(export::Args),
    #[command(after_help = closing("info"))]
    Info(info::Args),
    #[command(after_help = closing("timeline"))]
    Timeline(timeline::Args),
    #[command(after_help = closing("plot"))]
    Plot(plot::Args),
    #[command(after_help = closing("peak"))]
    Peak(peak::Args),
    #[command(after_help = closing("watch"))]
    Watch(watch::Args),
    #[command(after_help = closing("completions"))]
    Completions(completions::Args),
    #[command(after_help = closing("man"))]
    Man(man::Args),
}

impl Command {
    /// The argument that may name the process that the command is about.
    fn process(&mut self) -> Option<&mut ProcessArg> {
        match self {
            Command::Record(args) => Some(args.target.process()),
            Command::Hunt(args) => Some(args.target.process()),
            Command::Timeline(args) => Some(args.target.process()),
            Command::Heap(args) => Some(args.source.process()),
            Command::Tree(args) => Some(args.source.process()),
            Command::Graph(args) => Some(args.about.source.process()),
            Command::Show(args) => Some(args.about.source.process()),
            Command::Cycles(args) => Some(args.source.process()),
            Command::Waste(args) => Some(args.source.process()),
            Command::Report(args) => Some(args.source.process()),
            Command::Why(args) => Some(args.about.source.process()),
            Command::Dump(args) => Some(args.source.process()),
            Command::Mem(args) => Some(args.source.process()),
            Command::Export(args) => Some(args.source.process()),
            Command::Snapshot(args) => Some(args.process()),
            Command::Top(args) => Some(args.process()),
            // It waits for a process of that name.
            Command::Watch(_) => None,
            Command::Ps(_)
            | Command::Diff(_)
            | Command::Info(_)
            | Command::Plot(_)
            | Command::Peak(_)
            | Command::Completions(_)
            | Command::Man(_) => None,
        }
    }
}

impl Cli {
    /// Runs the command, with `guardian` where a target must be traced, and returns the exit status. Errors
    /// have been printed by then.
    pub fn run(mut self, guardian: &Program) -> ExitCode {
        give_memory_back();
        self.color.apply();
        match self.command.process().map(ProcessArg::settle) {
            Some(Err(error)) => {
                say(format_args!("leakspy: {}", advice::explain(&error, None)));
                return ExitCode::FAILURE;
            }
            Some(Ok(())) => watchdog::start(),
            None => {}
        }
        let (result, pid) = match &self.command {
            Command::Record(args) => (record::run(args, guardian), args.target.pid()),
            Command::Hunt(args) => (hunt::run(args, guardian), args.target.pid()),
            Command::Heap(args) => (heap::run(args), args.source.pid()),
            Command::Ps(args) => (ps::run(args), None),
            Command::Top(args) => (top::run(args), args.pid()),
            Command::Diff(args) => (diff::run(args), None),
            Command::Tree(args) => (tree::run(args), args.source.pid()),
            Command::Graph(args) => (graph::run(args), args.about.source.pid()),
            Command::Show(args) => (show::run(args), args.about.source.pid()),
            Command::Cycles(args) => (cycles::run(args), args.source.pid()),
            Command::Waste(args) => (waste::run(args), args.source.pid()),
            Command::Report(args) => (report::run(args), args.source.pid()),
            Command::Why(args) => (why::run(args), args.about.source.pid()),
            Command::Dump(args) => (dump::run(args), args.source.pid()),
            Command::Mem(args) => (mem::run(args), args.source.pid()),
            Command::Snapshot(args) => (snapshot::run(args), args.pid()),
            Command::Export(args) => (export::run(args), args.source.pid()),
            Command::Info(args) => (info::run(args), None),
            Command::Timeline(args) => (timeline::run(args), args.target.pid()),
            Command::Plot(args) => (plot::run(args), None),
            Command::Peak(args) => (peak::run(args), None),
            Command::Watch(args) => (watch::run(args), args.whom.pid()),
            Command::Completions(args) => (completions::run(args), None),
            Command::Man(args) => (man::run(args), None),
        };
        match result {
            Ok(status) => status,
            // The reader of leakspy's output has closed it: `leakspy dump | head`.
            Err(error) if error.is_closed_pipe() => ExitCode::SUCCESS,
            Err(CommandError::Usage(sentence)) => {
                Cli::command().error(ErrorKind::ArgumentConflict, sentence).exit()
            }
            Err(error) => {
                say(format_args!("leakspy: {}", advice::explain(&error, pid)));
                ExitCode::FAILURE
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn each_help_ends_with_examples_that_are_understood_and_with_statuses() {
        let root = Cli::command();
        for command in root.get_subcommands() {
            let name = command.get_name();
            let help = command.get_after_help().expect("it has an end").to_string();
            let (examples, statuses) = help.split_once("\n\n").expect("two parts");
            assert!(statuses.starts_with("Exit status:\n  0  done\n"), "{name}");
            let examples: Vec<&str> = examples.lines().skip(1).collect();
            assert!(!examples.is_empty(), "{name}");
            for example in examples {
                let words = words_of(example);
                assert!(example.len() <= 80, "{example}");
                assert!(Cli::try_parse_from(&words).is_ok(), "{example}: {words:?}");
            }
        }
    }

    /// The words of a line, as a shell has them.
    fn words_of(line: &str) -> Vec<String> {
        let mut words = Vec::new();
        let (mut word, mut quote) = (String::new(), None);
        for character in line.trim().chars().chain([' ']) {
            match (character, quote) {
                ('\'' | '"', None) => quote = Some(character),
                (' ', None) if word.is_empty() => {}
                (' ', None) => words.push(std::mem::take(&mut word)),
                (end, Some(begin)) if end == begin => quote = None,
                _ => word.push(character),
            }
        }
        words
    }
}
