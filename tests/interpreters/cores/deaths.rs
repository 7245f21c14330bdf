//! Why a process died, and where.

use libtest_mimic::Failed;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::cores::{core_of, no_kernel_cores, permit_core};
use crate::support::{Interpreter, Target, assert_documented, leakspy_command};

/// The signal, the address, the thread, and the line of Python.
pub fn why_and_where_is_said(interpreter: &'static Interpreter) -> Result<(), Failed> {
    if no_kernel_cores().is_some() {
        return Ok(());
    }
    let folder = TempDir::new()?;
    let mut target = Target::start_at(interpreter, "crash", &[], folder.path());
    let told = target.ask("where");
    let place = permit_core(&target);
    target.tell("crash");
    target.wait();
    let path = core_of(target.pid(), &place, &folder);
    let core = path.to_str().expect("UTF-8");
    let run = |options: &[&str]| {
        let mut command = leakspy_command();
        command.args(["dump", "--core", core]).args(options);
        if let Some(root) = &interpreter.root {
            command.arg("--sysroot").arg(root);
        }
        let output = command.output().expect("it starts");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    let found: Value = serde_json::from_str(&run(&["--json"]))?;
    assert_documented("`leakspy dump --json`", &found);
    let death = &found["death"];
    assert_eq!((&death["signal"], &death["number"]), (&"SIGSEGV".into(), &11.into()));
    assert_eq!(death["address"], told["address"], "{death}");
    assert_eq!(death["os_thread_id"], told["native_id"], "{death}");
    let threads = found["threads"].as_array().expect("an array");
    let dead = threads.iter().find(|thread| thread["os_thread_id"] == death["os_thread_id"]);
    let dead = dead.expect("its thread is there");
    assert_eq!((&dead["name"], &dead["running"]), (&"worker".into(), &true.into()));
    let frame = dead["stack"].as_array().expect("an array").iter();
    let frame = frame.clone().find(|frame| frame["function"] == "fault").expect("its frame");
    assert_eq!(frame["line"], told["line"], "{frame}");

    let text = run(&[]);
    let sentence = format!(
        "Killed by SIGSEGV in thread {}: nothing is mapped at the address ({}).",
        told["native_id"],
        told["address"].as_str().expect("a text")
    );
    assert!(text.contains(&sentence), "{text}");
    Ok(())
}
