//! `leakspy graph`: a part of the object graph as a picture.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{ValueEnum, value_parser};

use crate::cli::args::disclosure::DisclosureArgs;
use crate::cli::args::flags::{JsonArg, MemoryArg};
use crate::cli::args::form::form;
use crate::cli::args::subject::SubjectArgs;
use crate::cli::errors::{CommandError, Context};
use crate::cli::output::{check_writable, png_of, write_whole};
use crate::cli::terminal::{print, say};
use crate::heap::Selector;
use crate::heap::figures::type_names::full_names;
use crate::inspect::subgraph::{Direction, Options, picture};
use crate::render::RenderError;
use crate::render::graph::layout::TooLarge;
use crate::render::graph::{dot, json, svg};

/// Draw a part of the object graph: referrers or referents of objects.
///
/// Cycles are red, GC roots round and green, the selected objects yellow. Attribute names and keys are shown;
/// values only with --values.
#[derive(Debug, clap::Args)]
#[command(override_usage = "leakspy graph [OPTIONS] [PID|FILE] <TYPE|ADDRESS|PATH>")]
pub struct Args {
    /// Which heap, and which objects.
    #[command(flatten)]
    pub about: SubjectArgs,
    /// How much memory it may take.
    #[command(flatten)]
    pub memory: MemoryArg,
    /// What to draw around them.
    #[arg(long, value_enum, default_value_t, value_name = "WHAT")]
    pub show: Show,
    /// How many references away from them.
    #[arg(long, value_name = "N", default_value_t = 4)]
    pub depth: usize,
    /// The most neighbours to draw per object.
    #[arg(long, value_name = "N", default_value_t = 4)]
    pub breadth: usize,
    /// The most objects to draw.
    #[arg(
        long, value_name = "N", default_value_t = 30, alias = "most",
        value_parser = value_parser!(u16).range(1..=500)
    )]
    pub top: u16,
    /// Types to leave out.
    #[arg(long, value_name = "TYPE,…", value_delimiter = ',')]
    pub exclude: Vec<String>,
    /// Types to highlight.
    #[arg(long, value_name = "TYPE,…", value_delimiter = ',')]
    pub highlight: Vec<String>,
    /// How much of keys and values is shown.
    #[command(flatten)]
    pub disclosure: DisclosureArgs,
    /// Whether JSON is printed.
    #[command(flatten)]
    pub json: JsonArg,
    /// The form of the picture [default: by the ending of the output, otherwise svg].
    #[arg(short, long, value_enum, value_name = "FORM", conflicts_with = "json")]
    pub format: Option<Format>,
    /// Where to write it; - is standard output [default: leakspy-PID-graph.svg].
    #[arg(short, long, value_name = "FILE", conflicts_with = "json")]
    pub output: Option<PathBuf>,
}

/// The objects drawn in addition to those asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Show {
    /// Objects that refer to them.
    #[default]
    Referrers,
    /// Objects that they refer to.
    Referents,
    /// A shortest reference chain from a GC root.
    Chain,
}

/// The forms of a picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A picture for a browser.
    #[default]
    Svg,
    /// A picture for everything else.
    Png,
    /// For Graphviz.
    Dot,
}

/// The forms by the extension of the file.
const FORMS: &[(&str, &[Format])] = &[
    ("svg", &[Format::Svg]),
    ("png", &[Format::Png]),
    ("dot", &[Format::Dot]),
    ("gv", &[Format::Dot]),
];

impl Format {
    /// The usual file name extension of this form.
    fn extension(self) -> &'static str {
        match self {
            Format::Svg => "svg",
            Format::Png => "png",
            Format::Dot => "dot",
        }
    }
}

/// Draws the picture.
pub fn run(args: &Args) -> Result<ExitCode, CommandError> {
    let subject: Selector = args.about.subject.parse()?;
    let wanted = args.output.as_deref();
    let format = form("format", args.format, wanted, FORMS)?.unwrap_or_default();
    if let Some(path) = wanted {
        check_writable(path)?;
    }
    let source = args.about.source.open(args.memory)?;
    let heap = args.about.source.heap(&*source, &args.disclosure)?;
    let types = |names: &[String]| -> Result<Vec<String>, CommandError> {
        let mut all = Vec::new();
        for name in names {
            all.extend(full_names(&heap.analysis, name)?);
        }
        Ok(all)
    };
    let options = Options {
        direction: match args.show {
            Show::Referrers => Direction::Referrers,
            Show::Referents => Direction::Referents,
            Show::Chain => Direction::Chain,
        },
        depth: args.depth,
        breadth: args.breadth,
        most: args.top.into(),
        excluded: types(&args.exclude)?,
        highlighted: types(&args.highlight)?,
        disclosure: (&args.disclosure).into(),
    };
    let subjects = subject.find(&heap.analysis)?;
    let drawn = picture(&heap.analysis, heap.names(), &subjects, &options);
    if args.json.json {
        return print(true, |out| Ok(json::write_json(&drawn, &heap.provenance, out)?));
    }
    let path = match wanted {
        Some(path) => path.to_owned(),
        None => format!("leakspy-{}-graph.{}", source.identity().pid, format.extension()).into(),
    };
    let mut bytes = Vec::new();
    match format {
        Format::Svg | Format::Png => svg::write(&drawn, &mut bytes).map_err(advised)?,
        Format::Dot => dot::write(&drawn, &mut bytes)?,
    }
    if format == Format::Png {
        bytes = png_of(&String::from_utf8_lossy(&bytes), &path)?;
    }
    if path == Path::new("-") {
        let mut out = io::stdout().lock();
        out.write_all(&bytes).and_then(|()| out.flush()).context("standard output")?;
        return Ok(ExitCode::SUCCESS);
    }
    write_whole(&path, &bytes).with_context(|| format!("cannot write {}", path.display()))?;
    say(format_args!("Wrote {}", path.display()));
    Ok(ExitCode::SUCCESS)
}

/// Adds what to do if a picture is too large.
fn advised(error: RenderError) -> CommandError {
    match error {
        RenderError::TooLarge(TooLarge { boxes, arrows }) => CommandError::new(format_args!(
            "{boxes} objects with {arrows} references between them make no picture that anyone can read. \
             Draw fewer (--top, --breadth, --depth), or write them for Graphviz with `--format dot`."
        )),
        error => error.into(),
    }
}
