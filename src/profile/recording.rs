//! A recording: a process and, if wanted, its descendants, each with a guardian of its own.
//!
//! Processes come and go meanwhile. A process that has just started does not run Python yet, and one that
//! replaces its program may become another Python; so some are waited for
//! ([`newcomers`](crate::process::newcomers)), some are sampled, and some have ended.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use super::precision::{Accuracy, Between, Precision};
use super::recorder::{Options, RecordError, Recorder};
use super::samples::Burst;
use super::stacks::Profile;
use crate::guardian::client::{GuardianError, Tagged};
use crate::guardian::report::{End, Report};
use crate::obstacle::is_not_python;
use crate::process::newcomers::{Newcomers, TRY_AGAIN};
use crate::process::{Pauses, Process, ProcessError};
use crate::python::{PythonError, Version};

/// A running recording.
#[derive(Debug)]
pub struct Recording {
    pid: i32,
    options: Options,
    subprocesses: bool,
    sender: Sender<Tagged<Burst>>,
    receiver: Receiver<Tagged<Burst>>,
    newcomers: Newcomers,
    active: Vec<Recorder>,
    ended: Vec<Recorder>,
    stopping: bool,
    /// How often a program was replaced before its recording had begun.
    missed: u32,
    refusals: Vec<(i32, RecordError)>,
}

/// The result of a recording.
#[derive(Debug)]
pub struct Recorded {
    /// The stacks, with totals estimated for the duration.
    pub profile: Profile,
    /// The first process.
    pub pid: i32,
    /// Its command line.
    pub command: String,
    /// The version of its Python.
    pub version: Version,
    /// For how long it was recorded.
    pub duration: Duration,
    /// Samples of all processes.
    pub samples: u64,
    /// How long processes stood still: for one sample on average, at most, and in total.
    pub pauses: Pauses,
    /// How far totals and shares may be off.
    pub accuracy: Accuracy,
}

/// How many programs may be replaced before their recording begins: a process that does nothing else is given up.
const MOST_MISSED: u32 = 20;

impl Recording {
    /// Starts recording a process that is a Python, or has children that are.
    pub fn attach(
        process: Process,
        options: Options,
        subprocesses: bool,
    ) -> Result<Recording, RecordError> {
        let mut recording = Recording::new(&process, options, subprocesses);
        match Recorder::start(process, recording.options.clone(), recording.sender.clone()) {
            Ok(recorder) => recording.active.push(recorder),
            Err(error) if subprocesses && is_not_python(&error) => {
                recording.newcomers.look_around(recording.pid);
                recording.try_newcomers()?;
                if recording.active.is_empty() {
                    return Err(error);
                }
            }
            Err(error) => return Err(error),
        }
        Ok(recording)
    }

    /// Starts recording a process that has just been started, as soon as it is a Python.
    pub fn expect(process: &Process, options: Options, subprocesses: bool) -> Recording {
        let mut recording = Recording::new(process, options, subprocesses);
        recording.newcomers.expect(process);
        recording
    }

    fn new(process: &Process, options: Options, subprocesses: bool) -> Recording {
        let (sender, receiver) = channel();
        Recording {
            pid: process.pid(),
            options,
            subprocesses,
            sender,
            receiver,
            newcomers: Newcomers::beside(process),
            active: Vec::new(),
            ended: Vec::new(),
            stopping: false,
            missed: 0,
            refusals: Vec::new(),
        }
    }

    /// Waits for reports, but no longer than `timeout`, and takes them in. Returns an error of the process
    /// asked for; those of its children go to [`Recording::refusals`].
    pub fn step(&mut self, timeout: Duration) -> Result<(), RecordError> {
        if !self.stopping {
            if self.subprocesses {
                self.newcomers.look_around_sometimes(self.pid);
            }
            self.try_newcomers()?;
        }
        let until = Instant::now() + timeout;
        loop {
            let mut left = until.saturating_duration_since(Instant::now());
            if !self.newcomers.is_empty() {
                left = left.min(TRY_AGAIN);
            }
            match self.receiver.recv_timeout(left) {
                Ok((pid, report)) => self.take(pid, report)?,
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return Ok(()),
            }
        }
    }

    /// Asks all guardians to let go. Call [`Recording::step`] until all have.
    pub fn stop(&mut self) {
        self.stopping = true;
        self.newcomers.clear();
        self.active.iter_mut().for_each(Recorder::stop);
    }

    /// Whether no process is recorded or waited for any more.
    pub fn is_over(&self) -> bool {
        self.active.is_empty() && self.newcomers.is_empty()
    }

    /// For how long it has been sampling, whatever became of the processes meanwhile; `None` if it has not begun.
    pub fn elapsed(&self) -> Option<Duration> {
        let since = self.all().filter_map(Recorder::started).min()?;
        let last = self.all().filter_map(Recorder::ended).max();
        let until = last.filter(|_| self.is_over()).unwrap_or_else(Instant::now);
        Some(until.saturating_duration_since(since))
    }

    /// Samples so far.
    pub fn samples(&self) -> u64 {
        self.all().map(|recorder| recorder.tally().samples()).sum()
    }

    /// How long one sample has paused its target so far, on average.
    pub fn mean_pause(&self) -> Duration {
        self.pauses().mean
    }

    /// The processes that are being sampled.
    pub fn processes(&self) -> usize {
        self.active.len()
    }

    /// Why some of its children could not be recorded; returned once.
    pub fn refusals(&mut self) -> Vec<(i32, RecordError)> {
        std::mem::take(&mut self.refusals)
    }

    /// The result; `None` if nothing was ever sampled.
    pub fn finish(self) -> Option<Recorded> {
        let pauses = self.pauses();
        let (samples, duration) = (self.samples(), self.elapsed()?);
        let recorders: Vec<Recorder> = self.ended.into_iter().chain(self.active).collect();
        let first = recorders.iter().find(|it| it.process().pid() == self.pid);
        let first = first.or_else(|| recorders.first())?;
        let (pid, command, version) =
            (first.process().pid(), first.command().to_owned(), first.version());
        let mut profile = Profile::new();
        let mut totals = [Between::new(0.0, 0.0); 2];
        let mut precision: Option<[Precision; 2]> = None;
        let is_one = recorders.len() == 1;
        for recorder in recorders {
            let own = recorder.into_estimate();
            if own.profile.is_empty() {
                continue;
            }
            for (sum, total) in totals.iter_mut().zip(own.accuracy.totals) {
                *sum = sum.plus(total);
            }
            let mut of_own = own.accuracy.shares;
            if !is_one {
                // Whole processes may be weighed wrongly against each other.
                for (precision, total) in of_own.iter_mut().zip(own.accuracy.totals) {
                    let factor = total.most.map_or(f64::INFINITY, |most| most / total.least);
                    precision.factor = precision.factor.max(factor);
                    precision.between_bursts = 1.0;
                }
            }
            precision = Some(match precision {
                Some([bytes, objects]) => [bytes.worse(of_own[0]), objects.worse(of_own[1])],
                None => of_own,
            });
            profile.merge(own.profile);
        }
        let shares = precision.unwrap_or([Precision::NONE; 2]);
        Some(Recorded {
            profile,
            pid,
            command,
            version,
            duration,
            samples,
            pauses,
            accuracy: Accuracy { totals, shares },
        })
    }

    fn all(&self) -> impl Iterator<Item = &Recorder> {
        self.active.iter().chain(&self.ended)
    }

    fn pauses(&self) -> Pauses {
        let of_samples: Duration = self.all().map(|it| it.tally().pauses()).sum();
        let samples = u32::try_from(self.samples()).unwrap_or(u32::MAX);
        Pauses {
            mean: of_samples.checked_div(samples).unwrap_or_default(),
            max: self.all().map(|it| it.tally().longest_pause()).max().unwrap_or_default(),
            total: self.all().map(|it| it.tally().still()).sum(),
        }
    }

    fn take(&mut self, pid: i32, report: Report<Burst>) -> Result<(), RecordError> {
        let Some(number) = self.active.iter().position(|it| it.process().pid() == pid) else {
            return Ok(());
        };
        let Some(recorder) = self.active.get_mut(number) else { return Ok(()) };
        let taken = recorder.take(report);
        let Some(end) = recorder.end() else { return Ok(()) };
        if *end == End::Replaced && !self.stopping {
            self.newcomers.expect_again(pid);
            self.missed += u32::from(recorder.started().is_none());
            if self.missed > MOST_MISSED {
                return Err(ProcessError::Replaced { pid }.into());
            }
        }
        let recorder = self.active.swap_remove(number);
        self.ended.push(recorder);
        match taken {
            Err(error) if pid != self.pid => self.refusals.push((pid, error.into())),
            other => other?,
        }
        Ok(())
    }

    /// Returns an error of the process asked for, if nothing has been recorded yet.
    fn try_newcomers(&mut self) -> Result<(), RecordError> {
        let Recording { newcomers, active, sender, options, .. } = self;
        let mut refused = Vec::new();
        let given_up = newcomers.try_all(|process| {
            let pid = process.pid();
            match Recorder::start(process, options.clone(), sender.clone()) {
                Ok(recorder) => active.push(recorder),
                Err(RecordError::Python(error)) if error.is_lasting() => {
                    refused.push((pid, error.into()));
                }
                Err(error) => return Err(error),
            }
            Ok(())
        });
        refused.extend(given_up.into_iter().filter(|(_, error)| !is_of_no_interest(error)));
        for (pid, error) in refused {
            if pid == self.pid && self.active.is_empty() && self.ended.is_empty() {
                return Err(error);
            }
            self.refusals.push((pid, error));
        }
        Ok(())
    }
}

/// Whether a newcomer is not a Python, or has ended.
fn is_of_no_interest(error: &RecordError) -> bool {
    match error {
        RecordError::Python(PythonError::Process(error))
        | RecordError::Guardian(GuardianError::Process(error)) => {
            matches!(error, ProcessError::Ended { .. } | ProcessError::NoSuchProcess { .. })
        }
        other => is_not_python(other),
    }
}
