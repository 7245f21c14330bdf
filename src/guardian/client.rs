//! leakspy's side: starts a guardian, sends it the request, receives its reports, and asks it to end.

use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout};
use std::sync::mpsc::{Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

use super::budget::Toll;
use super::report::{End, Report, Request, Work};
use super::spawn::{Program, spawn};
use crate::obstacle::{Obstacle, Obstructed, Obstruction};
use crate::process::ProcessError;
use crate::process::breakpoint::Way;

/// Why a guardian cannot do its work.
#[derive(Debug, thiserror::Error)]
pub enum GuardianError {
    /// The process cannot be observed.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// The guardian process could not be started, or the request could not be sent.
    #[error("cannot start the guardian process: {0}")]
    Start(#[source] io::Error),
    /// Another process traces a thread; only one can.
    #[error("thread {tid} is already traced by process {tracer}")]
    Traced {
        /// The thread.
        tid: i32,
        /// Its tracer.
        tracer: i32,
    },
    /// A thread may not be traced.
    #[error("tracing thread {tid} is not permitted")]
    Denied {
        /// The thread.
        tid: i32,
    },
    /// Hardware breakpoints are not available.
    #[error("{why}")]
    NoBreakpoints {
        /// What the kernel said.
        why: String,
    },
    /// The work failed in another way.
    #[error("tracing failed: {why}")]
    Failed {
        /// How.
        why: String,
    },
}

impl Obstructed for GuardianError {
    fn obstacle(&self) -> Option<Obstruction> {
        match self {
            GuardianError::Process(error) => error.obstacle(),
            &GuardianError::Traced { tracer, .. } => Obstacle::Traced { tracer }.of_target(),
            GuardianError::Denied { .. } => Obstacle::Denied.of_target(),
            GuardianError::NoBreakpoints { why } => {
                Obstacle::NoBreakpoints { reason: why.clone() }.of_target()
            }
            GuardianError::Start(_) | GuardianError::Failed { .. } => None,
        }
    }
}

/// A report, with the PID of the target: several guardians can report through one channel.
pub type Tagged<T> = (i32, Report<T>);

/// A guardian at work.
#[derive(Debug)]
pub struct Guardian {
    process: Child,
    control: Option<ChildStdin>,
    way: Option<Way>,
    end: Option<End>,
    toll: Toll,
}

impl Guardian {
    /// Starts a guardian and sends it the request. Its reports, of which [`Report::Ended`] is the last, go to
    /// `sender`; pass each of them to [`Guardian::take`].
    ///
    /// # Errors
    /// If the program cannot be started or does not accept the request. All other errors are reported.
    pub fn start<W: Work>(
        program: &Program,
        request: &Request<W>,
        sender: Sender<Tagged<W::Seen>>,
    ) -> Result<Guardian, GuardianError> {
        let mut process = spawn(program, W::NAME).map_err(GuardianError::Start)?;
        let (Some(mut control), Some(reports)) = (process.stdin.take(), process.stdout.take())
        else {
            return Err(GuardianError::Start(io::ErrorKind::BrokenPipe.into()));
        };
        let mut line =
            serde_json::to_vec(request).map_err(|error| GuardianError::Start(error.into()))?;
        line.push(b'\n');
        control.write_all(&line).map_err(GuardianError::Start)?;
        let pid = request.pid;
        thread::spawn(move || pass_on(reports, pid, &sender));
        Ok(Guardian {
            process,
            control: Some(control),
            way: None,
            end: None,
            toll: Toll::default(),
        })
    }

    /// Processes a report, and returns what the guardian has seen, if it says so.
    ///
    /// # Errors
    /// If the report says that the work failed or cannot be done. A normal [end](Guardian::end) is not an
    /// error.
    pub fn take<T>(&mut self, report: Report<T>) -> Result<Option<T>, GuardianError> {
        match report {
            Report::Started { way } => self.way = Some(way),
            Report::Seen(seen) => return Ok(Some(seen)),
            Report::Cost(toll) => self.toll.add(toll),
            Report::Ended(end) => {
                self.control = None;
                // That was its last report; waiting only reaps the process.
                let _ = self.process.wait();
                self.end = Some(end.clone());
                return match end {
                    End::Asked | End::TargetEnded | End::Replaced => Ok(None),
                    End::Traced { tid, tracer } => Err(GuardianError::Traced { tid, tracer }),
                    End::Denied { tid } => Err(GuardianError::Denied { tid }),
                    End::NoBreakpoints { why } => Err(GuardianError::NoBreakpoints { why }),
                    End::Failed { why } => Err(GuardianError::Failed { why }),
                };
            }
        }
        Ok(None)
    }

    /// Waits at most `timeout` for the guardian to see something. `receiver` must receive the reports of this
    /// guardian only. `None`: nothing was seen in time, or the guardian has ended.
    ///
    /// # Errors
    /// As [`Guardian::take`].
    pub fn next<T>(
        &mut self,
        receiver: &Receiver<Tagged<T>>,
        timeout: Duration,
    ) -> Result<Option<T>, GuardianError> {
        let until = Instant::now() + timeout;
        while !self.has_ended() {
            let left = until.saturating_duration_since(Instant::now());
            // A guardian always reports its end before its channel closes.
            let Ok((_, report)) = receiver.recv_timeout(left) else { break };
            if let Some(seen) = self.take(report)? {
                return Ok(Some(seen));
            }
        }
        Ok(None)
    }

    /// How breakpoints are set; `None` before the work begins.
    pub fn way(&self) -> Option<Way> {
        self.way
    }

    /// Why the guardian ended; `None` while it works.
    pub fn end(&self) -> Option<&End> {
        self.end.as_ref()
    }

    /// Whether the guardian has ended: nothing more will be reported.
    pub fn has_ended(&self) -> bool {
        self.end.is_some()
    }

    /// Asks the guardian to release its target. Keep processing its reports until it has ended.
    pub fn stop(&mut self) {
        self.control = None;
    }

    /// What the work has cost the target so far, if it is work that is subject to
    /// [`Limits`](super::budget::Limits).
    pub fn toll(&self) -> Toll {
        self.toll
    }
}

impl Drop for Guardian {
    fn drop(&mut self) {
        self.control = None;
        // Its last report does not matter, but the target must be released when this returns.
        let _ = self.process.wait();
    }
}

/// Passes on reports, up to the last one.
fn pass_on<T: serde::de::DeserializeOwned>(
    reports: ChildStdout,
    pid: i32,
    sender: &Sender<Tagged<T>>,
) {
    for line in BufReader::new(reports).lines() {
        let Ok(report) = line.and_then(|line| Ok(serde_json::from_str(&line)?)) else { break };
        let is_last = matches!(report, Report::Ended(_));
        if sender.send((pid, report)).is_err() || is_last {
            return;
        }
    }
    let why = "the guardian process ended unexpectedly".into();
    // If this fails, the receiver is gone.
    let _ = sender.send((pid, Report::Ended(End::Failed { why })));
}
