//! A fixture running under an interpreter: started, waited for, asked, and ended with its test.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};

use nix::sys::prctl;
use nix::sys::signal::Signal;
use serde_json::Value;

use super::health::Health;
use super::interpreters::Interpreter;
use super::waiting::{wait_until, wait_until_readable};

/// A running fixture.
///
/// It ends when this is dropped and, through the kernel, when the thread that started it ends: start it in
/// the thread that uses it.
pub struct Target {
    child: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Target {
    /// Starts `fixtures/<fixture>.py` and waits until it says that it is ready.
    pub fn start(interpreter: &Interpreter, fixture: &str, arguments: &[&str]) -> Target {
        Target::start_with(interpreter, fixture, arguments, &[])
    }

    /// The same, with these options of the interpreter.
    pub fn start_with(
        interpreter: &Interpreter,
        fixture: &str,
        arguments: &[&str],
        options: &[&str],
    ) -> Target {
        Target::launch(interpreter.command(), interpreter, fixture, arguments, options)
    }

    /// The same, with these environment variables.
    pub fn start_in(
        interpreter: &Interpreter,
        fixture: &str,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> Target {
        let mut command = interpreter.command();
        command.envs(variables.iter().copied());
        Target::launch(command, interpreter, fixture, arguments, &[])
    }

    /// The same, in this working folder, unless the interpreter has a root of its own.
    pub fn start_at(
        interpreter: &Interpreter,
        fixture: &str,
        arguments: &[&str],
        folder: &Path,
    ) -> Target {
        let mut command = interpreter.command();
        command.current_dir(folder);
        Target::launch(command, interpreter, fixture, arguments, &[])
    }

    fn launch(
        mut command: Command,
        interpreter: &Interpreter,
        fixture: &str,
        arguments: &[&str],
        options: &[&str],
    ) -> Target {
        command
            .args(options)
            .arg(interpreter.fixture(&format!("{fixture}.py")))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        // SAFETY: between fork and exec only one system call is made, which is async-signal-safe.
        unsafe {
            command.pre_exec(|| Ok(prctl::set_pdeathsig(Signal::SIGKILL)?));
        }
        let mut child = command.spawn().expect("the interpreter starts");
        let questions = child.stdin.take().expect("stdin is piped");
        let answers = BufReader::new(child.stdout.take().expect("stdout is piped"));
        let mut target = Target { child, questions, answers };
        assert_eq!(target.line(), "READY", "{fixture} under {}", interpreter.name);
        target
    }

    /// The PID of the Python process: `chroot` becomes Python by exec and keeps its PID.
    pub fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    /// Asks a question, a word and perhaps arguments, and waits for the answer.
    pub fn ask(&mut self, question: &str) -> Value {
        self.tell(question);
        let answer: Value = serde_json::from_str(&self.line()).expect("an answer is JSON");
        assert!(answer.get("error").is_none(), "{question}: {}", answer["error"]);
        answer
    }

    /// Asks a question without waiting for its answer, such as `exit`.
    pub fn tell(&mut self, question: &str) {
        writeln!(self.questions, "{question}").expect("the target takes a question");
    }

    /// The next line that the target prints.
    pub fn line(&mut self) -> String {
        if self.answers.buffer().is_empty() {
            wait_until_readable(self.answers.get_ref(), "the target");
        }
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("the target's output is readable");
        assert!(!line.is_empty(), "the target ended: {:?}", self.child.wait());
        line.truncate(line.trim_end().len());
        line
    }

    /// The condition of the process, as the kernel sees it.
    pub fn health(&self) -> Health {
        Health::of(self.pid())
    }

    /// Asserts that nothing holds or traces the target, and that it still answers.
    pub fn assert_healthy(&mut self) {
        let health = self.health();
        assert!(health.is_good(), "{health:?}");
        assert_eq!(self.ask("describe")["pid"], self.pid());
    }

    /// Waits until every thread sleeps in the kernel, as those of `stacks.py` soon do for ever.
    pub fn wait_until_still(&self) {
        wait_until("every thread sleeps", || {
            self.health().threads.iter().all(|thread| thread.state == 'S')
        });
    }

    /// Waits for the end of the process.
    pub fn wait(&mut self) -> ExitStatus {
        self.child.wait().expect("a child can be waited for")
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        // It may have ended by itself, which is just as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
