//! The start of a process that may be a guardian: recognizes its command line, reads the request, and serves
//! it.
//!
//! Any program can be a guardian, so the guardian's command line must not look like one of the program's own:
//! it starts with an argument that has leakspy's name in it, not with a subcommand.

use std::ffi::OsString;
use std::io::{self, BufRead, BufReader};
use std::os::fd::{AsFd, BorrowedFd};

use serde::Deserialize;

use super::outbox::Outbox;
use super::report::{End, Report, VERSION, Work};
use super::server::{Duty, serve};
use super::spawn::{ARGUMENT, become_guardian};

/// A duty that this program can perform as a guardian.
pub(crate) struct Offer {
    name: &'static str,
    answer: fn(&str, BorrowedFd<'_>, &mut Outbox) -> io::Result<()>,
}

impl Offer {
    /// Offers this duty.
    pub(crate) const fn of<D: Duty>() -> Offer {
        Offer { name: D::Work::NAME, answer: answer::<D> }
    }
}

/// If this process was started as a guardian, does its work and returns its exit status.
pub(crate) fn serve_if_asked(offers: &[Offer]) -> Option<i32> {
    let work = asked(std::env::args_os())?;
    become_guardian();
    let offer = offers.iter().find(|offer| work == offer.name);
    Some(match work_on(offer) {
        // leakspy is gone, which is a normal end for a guardian.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => 1,
        _ => 0,
    })
}

/// The name of the work, if this is the command line of a guardian.
fn asked(mut arguments: impl Iterator<Item = OsString>) -> Option<OsString> {
    let (first, work) = (arguments.nth(1)?, arguments.next()?);
    (first == ARGUMENT && arguments.next().is_none()).then_some(work)
}

/// Reads the request from standard input, and serves it until standard input is closed. If there is no
/// request, leakspy is gone and there is nothing to do.
fn work_on(offer: Option<&Offer>) -> io::Result<()> {
    let mut request = String::new();
    // Nothing follows the request, so the reader's buffer can be dropped.
    BufReader::new(io::stdin()).read_line(&mut request)?;
    if request.is_empty() {
        return Ok(());
    }
    let (control, reports) = (io::stdin(), io::stdout().as_fd().try_clone_to_owned()?);
    let mut reports = Outbox::new(reports)?;
    match offer {
        Some(offer) => (offer.answer)(&request, control.as_fd(), &mut reports),
        None => refuse("the guardian does not know this work", &mut reports),
    }
}

/// The part of a request that all versions share.
#[derive(Deserialize)]
struct Versioned {
    version: String,
}

fn answer<D: Duty>(request: &str, control: BorrowedFd<'_>, reports: &mut Outbox) -> io::Result<()> {
    match serde_json::from_str(request) {
        Ok(Versioned { version }) if version != VERSION => {
            refuse(&format!("the guardian is leakspy {VERSION}, not {version}"), reports)
        }
        Err(error) => refuse(&error.to_string(), reports),
        Ok(_) => match serde_json::from_str(request) {
            Ok(request) => serve::<D>(request, control, reports),
            Err(error) => refuse(&error.to_string(), reports),
        },
    }
}

fn refuse(why: &str, reports: &mut Outbox) -> io::Result<()> {
    reports.post(&Report::<()>::Ended(End::Failed { why: why.to_owned() }))?;
    reports.send_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn work(line: &str) -> Option<String> {
        let work = asked(line.split(' ').map(OsString::from));
        work.map(|work| work.to_string_lossy().into_owned())
    }

    #[test]
    fn only_a_guardians_command_line_makes_a_guardian() {
        assert_eq!(work("leakspy-guardian --leakspy-guardian watch").as_deref(), Some("watch"));
        for line in [
            "leakspy",
            "leakspy --leakspy-guardian",
            "leakspy watch --leakspy-guardian watch",
            "leakspy --leakspy-guardian watch --pid",
        ] {
            assert_eq!(work(line), None, "{line}");
        }
    }
}
