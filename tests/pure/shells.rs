//! Completions and manual pages, tried with what reads them: the shells, and `man`.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};

fn leakspy(arguments: &[&str]) -> Vec<u8> {
    let output =
        Command::new(env!("CARGO_BIN_EXE_leakspy")).args(arguments).output().expect("leakspy");
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    output.stdout
}

/// The names of all commands, as the help lists them.
fn commands() -> Vec<String> {
    let help = String::from_utf8(leakspy(&["--help"])).expect("UTF-8");
    let (_, rest) = help.split_once("Commands:\n").expect("the list of commands");
    let rows = rest.lines().take_while(|line| !line.is_empty());
    let names = rows.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let names = names.filter_map(|line| line.split_whitespace().next());
    names.filter(|name| *name != "help").map(str::to_owned).collect()
}

/// Whether a program is there. Where `CI` is set it must be.
fn has(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path).any(|folder| folder.join(program).is_file());
    assert!(found || env::var_os("CI").is_none(), "no {program}: fixtures/fetch installs it");
    found
}

/// What an interactive shell makes of keys, with `leakspy` as a function that prints its arguments. `setup` and
/// `options` make it prompt with `ready>` and load the completions.
fn completed(shell: &str, home: &Path, keys: &str) -> String {
    let mut terminal = Command::new("script")
        .args(["--quiet", "--command", shell, "/dev/null"])
        .env("HOME", home)
        .env("ZDOTDIR", home)
        .env("XDG_CONFIG_HOME", home)
        .env("XDG_DATA_HOME", home)
        .env("TERM", "dumb")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("script");
    let mut input = terminal.stdin.take().expect("a pipe");
    let mut output = terminal.stdout.take().expect("a pipe");
    read_to(&mut output, "ready>");
    input.write_all(format!("{keys}\t\r").as_bytes()).expect("keys are typed");
    read_to(&mut output, "<ran ");
    let arguments = read_to(&mut output, ">");
    input.write_all(b"exit\r").expect("keys are typed");
    drop(input);
    // Whoever writes to a terminal that nobody reads would wait.
    let _ = output.read_to_end(&mut Vec::new());
    let _ = terminal.wait();
    arguments
}

/// What comes before `end`.
fn read_to(output: &mut impl Read, end: &str) -> String {
    let mut text = Vec::new();
    let mut byte = [0];
    while !text.ends_with(end.as_bytes()) {
        let read = output.read(&mut byte).expect("the terminal is read");
        assert!(read > 0, "no {end:?} in {:?}", String::from_utf8_lossy(&text));
        text.push(byte[0]);
    }
    text.truncate(text.len() - end.len());
    String::from_utf8_lossy(&text).into_owned()
}

#[test]
fn every_shell_knows_every_command() {
    let commands = commands();
    assert!(commands.len() > 15 && commands.contains(&"completions".to_owned()), "{commands:?}");
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = String::from_utf8(leakspy(&["completions", shell])).expect("UTF-8");
        for command in &commands {
            assert!(script.contains(command), "{shell} does not know {command}");
        }
    }
}

#[test]
fn bash_completes_commands_and_options() {
    let home = tempfile::tempdir().expect("a folder");
    let script = home.path().join("leakspy.bash");
    fs::write(&script, leakspy(&["completions", "bash"])).expect("written");
    let setup = format!(
        "source {}; PS1='ready>'; bind 'set enable-bracketed-paste off'; \
         leakspy() {{ echo \"<ran $*>\"; }}\n",
        script.display()
    );
    let rc = home.path().join("rc");
    fs::write(&rc, setup).expect("written");
    completes(&format!("bash --noprofile --rcfile {} -i", rc.display()), home.path());
}

#[test]
fn zsh_completes_commands_and_options() {
    if !has("zsh") {
        return;
    }
    let home = tempfile::tempdir().expect("a folder");
    fs::write(home.path().join("_leakspy"), leakspy(&["completions", "zsh"])).expect("written");
    let setup = "fpath=($ZDOTDIR $fpath); autoload -Uz compinit; compinit -u; PS1='ready>'; \
                 leakspy() { echo \"<ran $*>\"; }\n";
    fs::write(home.path().join(".zshrc"), setup).expect("written");
    completes("zsh --no-global-rcs -i", home.path());
}

#[test]
fn fish_completes_commands_and_options() {
    if !has("fish") {
        return;
    }
    let home = tempfile::tempdir().expect("a folder");
    let folder = home.path().join("fish/completions");
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join("leakspy.fish"), leakspy(&["completions", "fish"])).expect("written");
    let setup = "function fish_prompt; echo 'ready>'; end; function fish_greeting; end; \
                 function leakspy; echo \"<ran $argv>\"; end\n";
    fs::write(home.path().join("fish/config.fish"), setup).expect("written");
    completes("fish -i", home.path());
}

fn completes(shell: &str, home: &Path) {
    assert_eq!(completed(shell, home, "leakspy hu").trim(), "hunt");
    assert_eq!(completed(shell, home, "leakspy hunt --fail").trim(), "hunt --fail-on-leak");
}

#[test]
fn every_command_has_a_page_that_man_shows_without_a_warning() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path().join("man1");
    leakspy(&["man", &folder.to_string_lossy()]);
    let expected: BTreeSet<String> = commands()
        .iter()
        .map(|name| format!("leakspy-{name}.1"))
        .chain(["leakspy.1".to_owned()])
        .collect();
    let entries = fs::read_dir(&folder).expect("the folder");
    let found =
        entries.map(|entry| entry.expect("a file").file_name().into_string().expect("UTF-8"));
    let found: BTreeSet<String> = found.collect();
    assert_eq!(found, expected);
    if !has("man") {
        return;
    }
    for page in &found {
        let output = Command::new("man")
            .args(["--warnings", "--local-file"])
            .arg(folder.join(page))
            .envs([("LC_ALL", "C.UTF-8"), ("MANWIDTH", "80")])
            .output()
            .expect("man");
        assert!(output.status.success() && output.stderr.is_empty(), "{page}: {output:?}");
        let text = String::from_utf8_lossy(&output.stdout);
        for heading in ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "SEE ALSO"] {
            assert!(text.contains(&format!("\n{heading}\n")), "{page} has no {heading}");
        }
        assert!(text.contains(concat!("leakspy ", env!("CARGO_PKG_VERSION"))), "{page}");
    }
}
