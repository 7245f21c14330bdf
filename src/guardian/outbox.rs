//! The guardian's end of the pipe to leakspy, which may read slowly or be stopped (Ctrl-Z).
//!
//! A tracer must always be ready for its target's signals and stops, so nothing here waits for the reader
//! while threads are traced: what the pipe does not accept is kept, and the guardian rests when too much has
//! piled up.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde::Serialize;

/// How much may be kept, in bytes: a few dozen reports.
const MUCH: usize = 1 << 20;

/// The sending end of a pipe, and what it has not accepted yet.
#[derive(Debug)]
pub struct Outbox {
    pipe: File,
    kept: Vec<u8>,
}

impl Outbox {
    /// Makes the pipe non-blocking, also for everyone else who shares it. Sends nothing yet.
    pub fn new(pipe: OwnedFd) -> io::Result<Outbox> {
        fcntl(&pipe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        Ok(Outbox { pipe: pipe.into(), kept: Vec::new() })
    }

    /// Sends a message, now or later. An error means that there is no reader any more.
    pub fn post(&mut self, message: &impl Serialize) -> io::Result<()> {
        serde_json::to_writer(&mut self.kept, message)?;
        self.kept.push(b'\n');
        self.send()
    }

    /// Sends as much as the pipe accepts without waiting.
    pub fn send(&mut self) -> io::Result<()> {
        let mut sent = 0;
        let result = loop {
            match self.pipe.write(self.kept.get(sent..).unwrap_or_default()) {
                Ok(0) => break Ok(()),
                Ok(taken) => sent += taken,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        self.kept.drain(..sent);
        result
    }

    /// Whether so much is kept that no more should be added.
    pub fn is_full(&self) -> bool {
        self.kept.len() > MUCH
    }

    /// Sends everything, however long that takes.
    pub fn send_all(&mut self) -> io::Result<()> {
        self.send()?;
        while !self.kept.is_empty() {
            poll(&mut [PollFd::new(self.pipe.as_fd(), PollFlags::POLLOUT)], PollTimeout::NONE)?;
            self.send()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::thread;

    use super::*;
    use crate::guardian::report::{End, Report};

    fn message() -> Report<()> {
        Report::Ended(End::Failed { why: "x".repeat(1000) })
    }

    #[test]
    fn a_reader_who_does_not_read_is_not_waited_for() {
        let (reader, pipe) = nix::unistd::pipe().unwrap();
        let mut outbox = Outbox::new(pipe).unwrap();
        let mut posted = 0;
        while !outbox.is_full() {
            outbox.post(&message()).unwrap();
            posted += 1;
        }
        let reader = thread::spawn(move || BufReader::new(File::from(reader)).lines().count());
        outbox.send_all().unwrap();
        drop(outbox);
        assert_eq!(reader.join().unwrap(), posted);
    }

    #[test]
    fn a_reader_who_has_gone_is_noticed() {
        let (reader, pipe) = nix::unistd::pipe().unwrap();
        let mut outbox = Outbox::new(pipe).unwrap();
        drop(reader);
        assert_eq!(outbox.post(&message()).unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }
}
