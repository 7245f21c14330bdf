//! A running `leakspy record`: started, read from, and waited for.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio};
use std::thread;

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

use super::leakspy_command;
use super::waiting::wait_until_readable;

/// A leakspy that is recording.
///
/// Its standard error is a pipe that its guardians inherit: the pipe's end is the end of them all, and there
/// is no need to search for them.
pub struct Recording {
    child: Child,
    errors: BufReader<ChildStderr>,
    stdout: Option<BufReader<ChildStdout>>,
    said: String,
    output: String,
}

/// A leakspy that has ended, and its guardians with it.
#[derive(Debug)]
pub struct Recorded {
    /// How it ended.
    pub status: ExitStatus,
    /// What it, or its command, wrote to standard output.
    pub stdout: String,
    /// Its messages.
    pub said: String,
}

impl Recording {
    /// Starts recording allocations, in a process group of its own as a shell would.
    pub fn start<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Recording {
        Recording::spawn(leakspy_command().args(["record", "--view", "alloc"]).args(arguments))
    }

    /// Starts recording, in the view given by the arguments.
    pub fn start_any<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Recording {
        Recording::spawn(leakspy_command().arg("record").args(arguments))
    }

    /// Starts any long-running leakspy command.
    pub fn start_command<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Recording {
        Recording::spawn(leakspy_command().args(arguments))
    }

    fn spawn(command: &mut Command) -> Recording {
        let mut child = command
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the built leakspy starts");
        let errors = BufReader::new(child.stderr.take().expect("stderr is piped"));
        let stdout = BufReader::new(child.stdout.take().expect("stdout is piped"));
        Recording {
            child,
            errors,
            stdout: Some(stdout),
            said: String::new(),
            output: String::new(),
        }
    }

    /// Starts recording a process.
    pub fn attach(pid: i32, options: &[&str]) -> Recording {
        Recording::start(["--pid", &pid.to_string()].iter().chain(options))
    }

    /// Its PID, and that of its process group.
    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id() as i32)
    }

    /// Waits until it prints that it samples.
    #[track_caller]
    pub fn wait_until_begun(&mut self) {
        self.wait_until_said("Recording;");
    }

    /// Waits until it prints a line with these words.
    #[track_caller]
    pub fn wait_until_said(&mut self, words: &str) {
        while !self.said.contains(words) {
            assert!(self.hear(), "it ended before it said {words}: {}", self.said);
        }
    }

    /// Waits until its command has printed this line.
    #[track_caller]
    pub fn wait_for_output(&mut self, line: &str) {
        while self.output.lines().next_back() != Some(line) {
            let stdout = self.stdout.as_mut().expect("it is not read to its end yet");
            wait_until_readable(stdout.get_ref(), "the command");
            let taken = stdout.read_line(&mut self.output).expect("its output is UTF-8");
            assert!(taken > 0, "it ended before it said {line}: {}", self.output);
        }
    }

    /// Writes a line for its command to read.
    pub fn tell(&mut self, line: &str) {
        let stdin = self.child.stdin.as_mut().expect("stdin is piped");
        writeln!(stdin, "{line}").expect("its command reads");
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).expect("it is not waited for yet, so the signal finds it");
    }

    /// Sends a signal to its process group, as a terminal does.
    pub fn signal_group(&self, signal: Signal) {
        killpg(self.pid(), signal).expect("it is not waited for yet, so the signal finds it");
    }

    /// Waits until it and its guardians have ended.
    #[track_caller]
    pub fn end(mut self) -> Recorded {
        // A pipe holds only so much: standard output must be read while waiting for messages.
        let mut stdout = self.stdout.take().expect("it is read to its end only here");
        let reader = thread::spawn(move || {
            let mut rest = String::new();
            stdout.read_to_string(&mut rest).map(|_| rest)
        });
        while self.hear() {}
        let rest = reader.join().expect("reading does not panic").expect("its output is UTF-8");
        self.output.push_str(&rest);
        let status = self.child.wait().expect("a child can be waited for");
        let [stdout, said] = [&mut self.output, &mut self.said].map(std::mem::take);
        Recorded { status, stdout, said }
    }

    /// Reads the next line; false when no writer is left.
    #[track_caller]
    fn hear(&mut self) -> bool {
        if self.errors.buffer().is_empty() {
            wait_until_readable(self.errors.get_ref(), "leakspy record");
        }
        self.errors.read_line(&mut self.said).expect("its words are UTF-8") > 0
    }
}

impl Recorded {
    /// Asserts that it succeeded.
    #[track_caller]
    pub fn assert_success(&self) {
        assert!(self.status.success(), "{self:?}");
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        // It may have ended by itself, which is just as good; its guardians end with it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
