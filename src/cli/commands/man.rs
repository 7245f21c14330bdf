//! `leakspy man`: a manual page for each command, derived from the same definition as `--help`.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Command, CommandFactory};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};

use crate::cli::Cli;
use crate::cli::errors::{CommandError, Context};
use crate::cli::terminal::say;
use crate::private_file::PrivateFile;

/// Write the manual pages into a folder, one for each command.
///
/// `man -l DIR/leakspy-hunt.1` shows one of them; in ~/.local/share/man/man1, `man leakspy-hunt` finds it.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The folder. It is created if it is not there.
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
}

/// Writes them.
pub fn run(args: &Args) -> Result<ExitCode, CommandError> {
    let cannot = || format!("cannot write into {}", args.folder.display());
    fs::create_dir_all(&args.folder).with_context(cannot)?;
    let mut root = Cli::command().disable_help_subcommand(true);
    root.build();
    let version = root.render_version();
    for command in root.get_subcommands().chain([&root]) {
        let path = args.folder.join(format!("{}.1", title(command)));
        let page = page(&root, command, version.trim())?;
        let mut file = PrivateFile::create_public(&path).with_context(cannot)?;
        file.write_all(&page).and_then(|()| file.finish()).with_context(cannot)?;
    }
    let count = 1 + root.get_subcommands().count();
    say(format_args!("Wrote {count} pages into {}.", args.folder.display()));
    Ok(ExitCode::SUCCESS)
}

/// A page in the language of `man`.
fn page(root: &Command, command: &Command, source: &str) -> Result<Vec<u8>, CommandError> {
    let man = Man::new(command.clone());
    // Without a date, so that the same version gives the same page. `Man` would drop the empty field. Names of
    // commands and options are not hyphenated.
    let mut page = format!(".TH {} 1 \"\" \"{source}\" \"leakspy\"\n.nh\n.ad l\n", title(command))
        .into_bytes();
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    if let Some(text) = command.get_after_help() {
        for section in text.to_string().split("\n\n") {
            closing(section).to_writer(&mut page)?;
        }
    }
    see_also(root, command).to_writer(&mut page)?;
    Ok(page)
}

/// The lines of a part of a command's closing text, as they are. The first is their heading.
fn closing(text: &str) -> Roff {
    let mut roff = Roff::new();
    let mut lines = text.lines();
    let heading = lines.next().unwrap_or_default().trim_end_matches(':').to_uppercase();
    roff.control("SH", [heading.as_str()]).control("nf", []);
    for line in lines {
        roff.text([roman(line)]);
    }
    roff.control("fi", []);
    roff
}

/// The pages of the other commands.
fn see_also(root: &Command, command: &Command) -> Roff {
    let others: Vec<String> = [root]
        .into_iter()
        .chain(root.get_subcommands())
        .map(title)
        .filter(|other| *other != title(command))
        .map(|other| format!("{other}(1)"))
        .collect();
    let mut roff = Roff::new();
    roff.control("SH", ["SEE ALSO"]).text([roman(others.join(", "))]);
    roff
}

/// The name of a command's page: `leakspy-hunt`.
fn title(command: &Command) -> &str {
    command.get_display_name().unwrap_or_else(|| command.get_name())
}
