//! Objects that are not what they claim to be, and names that try to be something else, through each command: it ends
//! soon and within bounds, says something or fails, and neither terminal nor target suffers.

use std::fs::File;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::Stdio;
use std::{env, fs};

use leakspy::process::Process;
use libtest_mimic::{Failed, Trial};
use serde_json::Value;

use crate::support::{Health, Interpreter, Target, interpreters, leakspy_command, wait_until};

/// The minor versions whose layouts differ most, each with a seed. `SEED` replaces them.
const CASES: [(u64, u64); 4] = [(8, 2), (12, 1), (15, 2), (15, 3)];
/// What a command may use: bytes of address space, and seconds of processor time.
const MOST_MEMORY: u64 = 8 << 30;
const MOST_SECONDS: u64 = 60;

/// Commands about a process, whose PID follows; `FILE` stands for a file of its own.
const COMMANDS: [&[&str]; 15] = [
    &["dump", "--locals", "--values", "--pid"],
    &["dump", "--json", "--locals", "--values", "--pid"],
    &["heap", "--json", "--largest", "50", "--pid"],
    &["heap", "--largest", "50", "--pid"],
    &["mem", "--json", "--pid"],
    &["why", "__main__:KINDS", "--values", "--pid"],
    &["tree", "--json", "--values", "--pid"],
    &["cycles", "--pid"],
    &["waste", "--json", "--values", "--pid"],
    &["show", "__main__:NODES", "--values", "--json", "--pid"],
    &["graph", "__main__:NODES", "--show", "referents", "--values", "-o", "FILE.svg", "--pid"],
    &["export", "--values", "-o", "FILE.heapsnapshot", "--pid"],
    &["snapshot", "--values", "-o", "FILE.leakspy", "--pid"],
    &["record", "-o", "FILE.json", "--pid"],
    &["hunt", "--json", "-d", "1", "--pid"],
];

pub fn trials() -> Vec<Trial> {
    let seed = env::var("SEED").ok().and_then(|seed| seed.parse().ok());
    let mut trials = Vec::new();
    for (minor, usual) in CASES {
        let seed: u64 = seed.unwrap_or(usual);
        let Some(some) = interpreters().iter().rfind(|it| it.version[1] == minor) else { continue };
        let name = format!("corrupted::{}::seed {seed}", some.name);
        trials.push(Trial::test(name, move || no_command_suffers(some, seed)));
    }
    trials
}

fn no_command_suffers(interpreter: &'static Interpreter, seed: u64) -> Result<(), Failed> {
    let target = Target::start(interpreter, "corrupted", &[&seed.to_string()]);
    let process = Process::open(target.pid())?;
    wait_until("it stands still", || {
        process.thread_wait(target.pid()).is_some_and(|wait| wait.call == "read")
    });
    let folder = tempfile::tempdir()?;
    let mut answered = 0;
    for words in COMMANDS {
        answered += usize::from(ask(words, target.pid(), folder.path())?);
        wait_until("the target is as it was", || Health::of(target.pid()).is_good());
    }
    println!("{}: {answered} of {} commands answered", interpreter.name, COMMANDS.len());
    Ok(())
}

/// Runs a command within limits; whether it answered.
fn ask(words: &[&str], pid: i32, folder: &Path) -> Result<bool, Failed> {
    let output = |name| -> Result<File, Failed> { Ok(File::create(folder.join(name))?) };
    let mut command = leakspy_command();
    command.args(words).arg(pid.to_string()).current_dir(folder);
    command.stdin(Stdio::null()).stdout(output("stdout")?).stderr(output("stderr")?);
    // SAFETY: setrlimit may be called between fork and exec, and takes a struct of ours.
    unsafe {
        command.pre_exec(|| {
            for (resource, most) in
                [(libc::RLIMIT_AS, MOST_MEMORY), (libc::RLIMIT_CPU, MOST_SECONDS)]
            {
                let limit = libc::rlimit { rlim_cur: most, rlim_max: most };
                libc::setrlimit(resource, &limit);
            }
            Ok(())
        });
    }
    let mut child = command.spawn()?;
    let mut status = None;
    wait_until("the command ends", || {
        status = child.try_wait().expect("it is our child");
        status.is_some()
    });
    let status = status.expect("it has ended");
    let (said, complaint) =
        (fs::read(folder.join("stdout"))?, fs::read_to_string(folder.join("stderr"))?);
    let about = format!("{words:?}: {status}, {complaint}");
    assert!(status.signal().is_none() && !complaint.contains("panicked"), "{about}");
    // A hunt that finds no leak says so by its status, too.
    assert!(matches!(status.code(), Some(0 | 1)), "{about}");
    let text = String::from_utf8(said)?;
    let strange = |c: char| c.is_control() && c != '\n' || ('\u{202a}'..='\u{202e}').contains(&c);
    match words.contains(&"--json") {
        true if status.success() => drop(serde_json::from_str::<Value>(&text)?),
        true => assert_eq!(text, "", "{about}"),
        false => assert!(!text.contains(strange), "{about}: {text}"),
    }
    assert!(!complaint.contains(strange), "{about}");
    assert!(status.success() || !complaint.is_empty(), "{about}");
    Ok(status.success())
}
