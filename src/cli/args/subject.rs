//! A heap and objects in it: two words, the first of which an option may replace.
//!
//! Both words are optional to clap, which cannot tell which of them a single word is. With
//! `allow_missing_positional` it guesses by what follows, and takes `1234` in `why 1234 --json app.Session` for the
//! type.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgMatches, Command, Error, FromArgMatches};

use super::process::Place;
use super::source::{NamedSourceArgs, SourceArgs};

/// Which heap, and which objects in it.
#[derive(Debug, Clone)]
pub struct SubjectArgs {
    /// The heap.
    pub source: SourceArgs,
    /// The objects, as the user named them.
    pub subject: String,
}

/// The same as it is typed.
#[derive(Debug, Clone, clap::Args)]
struct Words {
    /// PID of the process, or the snapshot file to read instead (written by `leakspy snapshot`); left out with
    /// --pid, --name or --core.
    #[arg(value_name = "PID|FILE")]
    place: Option<OsString>,
    /// The objects of a type (app.Session, or Session), the object at an address (0x7f12…), or the object at
    /// a path (app.cache.CACHE['key'].items[-1]).
    #[arg(value_name = SUBJECT)]
    subject: Option<OsString>,
    #[command(flatten)]
    named: NamedSourceArgs,
}

const PLACE: &str = "[PID|FILE]";
const SUBJECT: &str = "TYPE|ADDRESS|PATH";

impl TryFrom<Words> for SubjectArgs {
    type Error = Error;

    fn try_from(words: Words) -> Result<SubjectArgs, Error> {
        let (place, subject) = match (words.named.option(), words.place, words.subject) {
            (None, Some(place), Some(subject)) => (Some(Place::of(place)), subject),
            (Some(_), Some(subject), None) => (None, subject),
            (Some(option), Some(_), Some(_)) => {
                let mut error = Error::new(ErrorKind::ArgumentConflict);
                error.insert(ContextKind::InvalidArg, ContextValue::String(PLACE.into()));
                error.insert(ContextKind::PriorArg, ContextValue::String(option.into()));
                return Err(error);
            }
            (Some(_), None, _) => return Err(missing(&[SUBJECT])),
            (None, None, _) => return Err(missing(&["PID|FILE", SUBJECT])),
            (None, Some(_), None) => return Err(missing(&[SUBJECT])),
        };
        let subject = subject.into_string().map_err(|_| Error::new(ErrorKind::InvalidUtf8))?;
        Ok(SubjectArgs { source: SourceArgs::new(place, words.named), subject })
    }
}

fn missing(words: &[&str]) -> Error {
    let mut error = Error::new(ErrorKind::MissingRequiredArgument);
    let words = words.iter().map(|word| format!("<{word}>")).collect();
    error.insert(ContextKind::InvalidArg, ContextValue::Strings(words));
    error
}

impl clap::Args for SubjectArgs {
    fn augment_args(command: Command) -> Command {
        Words::augment_args(command)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Words::augment_args_for_update(command)
    }
}

impl FromArgMatches for SubjectArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<SubjectArgs, Error> {
        Words::from_arg_matches(matches)?.try_into()
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = SubjectArgs::from_arg_matches(matches)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        about: SubjectArgs,
        #[arg(long)]
        json: bool,
        #[arg(long)]
        top: Option<usize>,
    }

    fn parse(words: &[&str]) -> Result<Cli, ErrorKind> {
        Cli::try_parse_from(["why"].iter().chain(words)).map_err(|error| error.kind())
    }

    /// Every order of the parts in which those of `fixed` keep theirs.
    fn orders<'a>(fixed: &[&'a [&'a str]], free: &[&'a [&'a str]]) -> Vec<Vec<&'a str>> {
        let mut all = vec![fixed.to_vec()];
        for part in free {
            let insert = |parts: &Vec<&'a [&'a str]>, at: usize| {
                let mut parts = parts.clone();
                parts.insert(at, *part);
                parts
            };
            all = all
                .iter()
                .flat_map(|parts| (0..=parts.len()).map(move |at| insert(parts, at)))
                .collect();
        }
        all.iter().map(|parts| parts.concat()).collect()
    }

    #[test]
    fn options_may_stand_anywhere() {
        let options: [&[&str]; 2] = [&["--json"], &["--top", "3"]];
        for place in ["1234", "app.leakspy"] {
            for words in orders(&[&[place], &["app.Session"]], &options) {
                let cli = parse(&words).unwrap_or_else(|kind| panic!("{words:?}: {kind}"));
                assert_eq!(cli.about.source.words(), place, "{words:?}");
                assert_eq!(cli.about.subject, "app.Session", "{words:?}");
                assert_eq!((cli.json, cli.top), (true, Some(3)), "{words:?}");
            }
        }
        for (source, shown) in [
            (&["--pid", "1234"][..], "1234"),
            (&["-p1234"], "1234"),
            (&["--core", "core.1"], "--core core.1"),
        ] {
            for subject in ["app.Session", "0x7f1234567890", "77"] {
                for words in orders(&[&[subject]], &[source, options[0], options[1]]) {
                    let cli = parse(&words).unwrap_or_else(|kind| panic!("{words:?}: {kind}"));
                    assert_eq!(cli.about.source.words(), shown, "{words:?}");
                    assert_eq!(cli.about.subject, subject, "{words:?}");
                }
            }
        }
    }

    #[test]
    fn too_few_words_or_two_sources_are_refused() {
        let missing = Some(ErrorKind::MissingRequiredArgument);
        let conflict = Some(ErrorKind::ArgumentConflict);
        for (words, expected) in [
            (&[][..], missing),
            (&["1234"], missing),
            (&["--pid", "1234"], missing),
            (&["--core", "core.1", "--json"], missing),
            (&["--pid", "1234", "app.leakspy", "app.Session"], conflict),
            (&["app.leakspy", "--core", "core.1", "app.Session"], conflict),
            (&["--pid", "1", "--core", "core.1", "app.Session"], conflict),
            (&["--pid", "1", "--name", "app", "app.Session"], conflict),
            (&["--core", "core.1", "--nonblocking", "app.Session"], conflict),
        ] {
            assert_eq!(parse(words).err(), expected, "{words:?}");
        }
    }
}
