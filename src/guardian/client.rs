//! A guardian at work for a hunt: it is asked once, what it reports is taken in as it comes, and it is
//! asked to end.

use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use serde::Serialize;

use super::spawn;
use crate::hunt::messages::{Message, News};
use crate::obstacle::{Obstacle, Obstructed, Obstruction};
use crate::process::Pauses;
use crate::process::ProcessError;
use crate::process::breakpoint::Way;
use crate::profile::messages::End;

/// Why a process cannot be watched.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// The process cannot be observed.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// The guardian could not be started or reached.
    #[error("cannot start the process that watches: {0}")]
    Guardian(#[source] io::Error),
    /// A thread may not be traced.
    #[error("tracing thread {tid} is not permitted")]
    Denied {
        /// The thread.
        tid: i32,
    },
    /// No hardware breakpoints are to be had.
    #[error("{why}")]
    NoBreakpoints {
        /// What the kernel said.
        why: String,
    },
    /// Watching failed in another way.
    #[error("watching failed: {why}")]
    Failed {
        /// How.
        why: String,
    },
}

impl Obstructed for WatchError {
    fn obstacle(&self) -> Option<Obstruction> {
        match self {
            WatchError::Process(error) => error.obstacle(),
            WatchError::Denied { .. } => Obstacle::Denied.of_target(),
            WatchError::NoBreakpoints { why } => {
                Obstacle::NoBreakpoints { reason: why.clone() }.of_target()
            }
            WatchError::Guardian(_) | WatchError::Failed { .. } => None,
        }
    }
}

/// A guardian at work.
#[derive(Debug)]
pub(crate) struct Guarded {
    guardian: Child,
    control: Option<ChildStdin>,
    receiver: Receiver<Message>,
    way: Option<Way>,
    has_ended: bool,
    stops: u64,
    /// Nanoseconds: all, and at most.
    still: u64,
    longest: u64,
}

impl Guarded {
    /// Starts `program`, which is leakspy, as guardian and asks it.
    pub fn start(
        program: &Path,
        work: spawn::Work,
        request: &impl Serialize,
    ) -> Result<Guarded, WatchError> {
        let mut guardian = spawn::spawn(program, work).map_err(WatchError::Guardian)?;
        let (Some(mut control), Some(reports)) = (guardian.stdin.take(), guardian.stdout.take())
        else {
            return Err(WatchError::Guardian(io::ErrorKind::BrokenPipe.into()));
        };
        let mut line = serde_json::to_vec(request).map_err(|e| WatchError::Guardian(e.into()))?;
        line.push(b'\n');
        control.write_all(&line).map_err(WatchError::Guardian)?;
        let (sender, receiver) = channel();
        thread::spawn(move || pass_on(reports, &sender));
        Ok(Guarded {
            guardian,
            control: Some(control),
            receiver,
            way: None,
            has_ended: false,
            stops: 0,
            still: 0,
            longest: 0,
        })
    }

    /// Waits for something to be reported, but no longer than `timeout`. That nothing more can come
    /// [because it has ended](Guarded::has_ended) is no error, but that it failed is.
    pub fn next(&mut self, timeout: Duration) -> Result<Option<News>, WatchError> {
        if self.has_ended {
            return Ok(None);
        }
        // Who has gone has said its last word before.
        let Ok(message) = self.receiver.recv_timeout(timeout) else { return Ok(None) };
        match message {
            Message::Started { way } => {
                self.way = Some(way);
                Ok(Some(News::default()))
            }
            Message::News(news) => {
                self.stops += news.stops;
                self.still += news.still;
                self.longest = self.longest.max(news.longest);
                Ok(Some(news))
            }
            Message::Ended(end) => {
                self.control = None;
                self.has_ended = true;
                // It has said its last word; waiting only collects it.
                let _ = self.guardian.wait();
                match end {
                    End::Asked | End::TargetEnded | End::Replaced => Ok(None),
                    End::Denied { tid } => Err(WatchError::Denied { tid }),
                    End::NoBreakpoints { why } => Err(WatchError::NoBreakpoints { why }),
                    End::Failed { why } => Err(WatchError::Failed { why }),
                }
            }
        }
    }

    /// The way in which breakpoints are set; `None` before that is known.
    pub fn way(&self) -> Option<Way> {
        self.way
    }

    /// Whether nothing more will come: it was asked to end, or the target has.
    pub fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// Asks it to let the process go. What it still reports is to be taken in until it has ended.
    pub fn stop(&mut self) {
        self.control = None;
    }

    /// How often a thread was stopped so far.
    pub fn stops(&self) -> u64 {
        self.stops
    }

    /// For how long threads stood still so far.
    pub fn pauses(&self) -> Pauses {
        let mean = self.still.checked_div(self.stops).unwrap_or_default();
        Pauses {
            mean: Duration::from_nanos(mean),
            max: Duration::from_nanos(self.longest),
            total: Duration::from_nanos(self.still),
        }
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        self.control = None;
        // Its last word is not waited for, but that it has let go is.
        let _ = self.guardian.wait();
    }
}

/// Passes on what the guardian says, until its last word.
fn pass_on(reports: ChildStdout, sender: &Sender<Message>) {
    for line in BufReader::new(reports).lines() {
        let Ok(message) = line.and_then(|line| Ok(serde_json::from_str(&line)?)) else { break };
        let is_last = matches!(message, Message::Ended(_));
        if sender.send(message).is_err() || is_last {
            return;
        }
    }
    let why = "the process that watches ended before its time".into();
    // Nobody waits for it any more if this fails.
    let _ = sender.send(Message::Ended(End::Failed { why }));
}
