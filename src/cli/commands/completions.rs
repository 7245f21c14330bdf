//! `leakspy completions`: what a shell needs to complete commands and options, derived from their definition.

use std::io::Write;
use std::process::ExitCode;

use clap::CommandFactory;
use clap_complete::{Shell, generate};

use crate::cli::Cli;
use crate::cli::errors::CommandError;
use crate::cli::terminal::print;

/// Print the completions of commands and options for a shell.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The shell.
    #[arg(value_name = "SHELL")]
    pub shell: Shell,
}

const EXAMPLES: &str = "\
Examples:
  leakspy completions bash > ~/.local/share/bash-completion/completions/leakspy
  leakspy completions zsh > ~/.zfunc/_leakspy           (~/.zfunc is in $fpath before compinit)
  leakspy completions fish > ~/.config/fish/completions/leakspy.fish
  leakspy completions powershell >> $PROFILE
  leakspy completions elvish >> ~/.config/elvish/rc.elv";

/// Prints them.
pub fn run(args: &Args) -> Result<ExitCode, CommandError> {
    // In memory first: the generator panics where it cannot write.
    let mut script = Vec::new();
    let mut command = Cli::command();
    let name = command.get_name().to_owned();
    generate(args.shell, &mut command, name, &mut script);
    print(true, |out| Ok(out.write_all(&script)?))
}
