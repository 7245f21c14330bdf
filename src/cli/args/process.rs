//! Which process: `--pid`, `--name`, or a number where a file could stand.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::builder::{OsStringValueParser, TypedValueParser, ValueParser};
use clap::value_parser;

use crate::cli::errors::CommandError;
use crate::cli::processes::the_only;

/// `--pid` and `--name`. The command that flattens them says whether one is required, and what can replace it.
#[derive(Debug, Clone, clap::Args)]
pub struct ProcessArg {
    /// PID of the process.
    #[arg(short, long, value_name = "PID", value_parser = value_parser!(i32).range(1..))]
    pid: Option<i32>,
    /// The process whose command line contains this text, instead of a PID.
    #[arg(long, value_name = "TEXT", conflicts_with = "pid")]
    name: Option<String>,
}

impl ProcessArg {
    /// The process, once [`settle`](Self::settle) has looked for a name.
    pub fn pid(&self) -> Option<i32> {
        self.pid
    }

    /// The option that names the process, if there is one.
    pub fn option(&self) -> Option<&'static str> {
        match (self.pid, &self.name) {
            (_, Some(_)) => Some("--name <TEXT>"),
            (Some(_), None) => Some("--pid <PID>"),
            (None, None) => None,
        }
    }

    /// Finds the process that has the name, before anything else is done.
    ///
    /// # Errors
    /// There is none, or there are several.
    pub fn settle(&mut self) -> Result<(), CommandError> {
        if let Some(name) = &self.name {
            self.pid = Some(the_only(name)?);
        }
        Ok(())
    }
}

/// What a positional argument names: a process if it is a number, unless a file has that name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A process.
    Pid(i32),
    /// A file.
    File(PathBuf),
}

impl Place {
    /// Reads a PID or the path of a file.
    pub fn parser() -> ValueParser {
        OsStringValueParser::new().map(Place::of).into()
    }

    /// What a word names.
    pub fn of(word: OsString) -> Place {
        let pid = word.to_str().and_then(|word| word.parse().ok()).filter(|&pid: &i32| pid > 0);
        match pid {
            Some(pid) if !Path::new(&word).exists() => Place::Pid(pid),
            _ => Place::File(word.into()),
        }
    }

    /// Reads a PID; no file can stand in its place.
    pub fn only_pid(text: &str) -> Result<Place, String> {
        match text.parse() {
            Ok(pid @ 1..) => Ok(Place::Pid(pid)),
            _ => {
                Err(format!("not a PID; a command to start stands behind two dashes: `-- {text}`"))
            }
        }
    }

    /// The process, if it is one.
    pub fn pid(&self) -> Option<i32> {
        match self {
            Place::Pid(pid) => Some(*pid),
            Place::File(_) => None,
        }
    }

    /// The file, if it is one.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Place::Pid(_) => None,
            Place::File(path) => Some(path),
        }
    }
}
