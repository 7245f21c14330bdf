//! What keeps leakspy from its work, told apart as far as a person can do something about it.
//!
//! Each layer has its own errors, and says what was refused. Here they come together: an error of
//! any of them, below whatever was being done, is one [`Obstacle`] or none.

use std::io;

use crate::heap::{CaptureError, CompositionError, HeapError};
use crate::hunt::hunter::HuntError;
use crate::memory::ReadError;
use crate::process::breakpoint::BreakpointError;
use crate::process::image::ImageError;
use crate::process::{PauseError, ProcessError};
use crate::profile::recorder::RecordError;
use crate::profile::stack_recorder::StackRecordError;
use crate::profile::tracemalloc::TracedError;
use crate::python::pause::PythonPauseError;
use crate::python::thread_dump::SnapshotError;
use crate::python::tracemalloc::TracesError;
use crate::python::{AllocatorError, PythonError};

/// A reason to give up that [`advice`](super::advice) has words for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// Nothing has this PID.
    NoSuchProcess,
    /// It has ended, but its parent has not collected it.
    Zombie {
        /// The parent's PID.
        parent: i32,
    },
    /// It ended while it was observed.
    Ended,
    /// No CPython was found in it.
    NotPython,
    /// Its CPython is older than any that leakspy knows.
    TooOld {
        /// As it calls itself.
        version: String,
    },
    /// Its CPython is newer than any that leakspy knows.
    TooNew {
        /// As it calls itself.
        version: String,
    },
    /// Its CPython is only starting, or already ending.
    NotRunning,
    /// Another process traces it.
    Traced {
        /// The number of the thread that traces.
        tracer: i32,
    },
    /// The kernel refused to let us read its memory or trace it.
    Denied,
    /// Its heap needs more memory to look at than may be used.
    TooLarge {
        /// Bytes that it takes.
        needed: u64,
        /// Bytes that may be used.
        allowed: u64,
    },
    /// The processor's breakpoint registers cannot be had.
    NoBreakpoints {
        /// What the kernel said.
        reason: String,
    },
    /// tracemalloc is off in it.
    NotTracing,
}

/// An obstacle, and the process that it is about, where the error tells.
pub type Found = (Obstacle, Option<i32>);

impl Obstacle {
    /// The process, or a thread of it, that is named beside the target.
    pub fn other(&self) -> Option<i32> {
        match *self {
            Obstacle::Zombie { parent } => Some(parent),
            Obstacle::Traced { tracer } => Some(tracer),
            _ => None,
        }
    }

    /// The obstacle behind an error, if it is one.
    pub fn behind(error: &anyhow::Error) -> Option<Found> {
        error.chain().find_map(|cause| {
            // Some errors stand for others (`#[error(transparent)]`) and hide them from the chain.
            if let Some(error) = cause.downcast_ref() {
                of_record(error)
            } else if let Some(error) = cause.downcast_ref() {
                of_stack_record(error)
            } else if let Some(error) = cause.downcast_ref() {
                of_traced(error)
            } else if let Some(error) = cause.downcast_ref() {
                of_capture(error)
            } else if let Some(error) = cause.downcast_ref() {
                of_python(error)
            } else if let Some(error) = cause.downcast_ref() {
                of_snapshot(error)
            } else if let Some(HeapError::Capture(error)) = cause.downcast_ref() {
                of_capture(error)
            } else if let Some(CompositionError::Heap(HeapError::Capture(error))) =
                cause.downcast_ref()
            {
                of_capture(error)
            } else if let Some(error) = cause.downcast_ref() {
                of_hunt(error)
            } else if let Some(error) = cause.downcast_ref() {
                of_python_pause(error)
            } else if let Some(AllocatorError::Read(error)) = cause.downcast_ref() {
                of_reading(error)
            } else if let Some(error) = cause.downcast_ref() {
                of_process(error)
            } else if let Some(error) = cause.downcast_ref() {
                of_pause(error)
            } else if let Some(error) = cause.downcast_ref::<BreakpointError>() {
                Some((Obstacle::NoBreakpoints { reason: error.to_string() }, None))
            } else {
                of_reading(cause.downcast_ref()?)
            }
        })
    }
}

/// Whether all that is wrong with the process is that it is not a Python.
pub fn is_not_python(error: &anyhow::Error) -> bool {
    matches!(Obstacle::behind(error), Some((Obstacle::NotPython, _)))
}

fn of_record(error: &RecordError) -> Option<Found> {
    match error {
        RecordError::Process(error) => of_process(error),
        RecordError::Python(error) => of_python(error),
        RecordError::Denied { .. } => Some((Obstacle::Denied, None)),
        RecordError::NoBreakpoints { why } => {
            Some((Obstacle::NoBreakpoints { reason: why.clone() }, None))
        }
        RecordError::Guardian(_) | RecordError::Failed { .. } => None,
    }
}

fn of_stack_record(error: &StackRecordError) -> Option<Found> {
    match error {
        StackRecordError::Process(error) => of_process(error),
        StackRecordError::Python(error) => of_python(error),
        StackRecordError::Read(error) => of_reading(error),
    }
}

fn of_traced(error: &TracedError) -> Option<Found> {
    match error {
        TracedError::Process(error) => of_process(error),
        TracedError::Python(error) => of_python(error),
        TracedError::Capture(error) => of_capture(error),
        TracedError::Traces(TracesError::Read(error)) => of_reading(error),
        &TracedError::Off { pid } => Some((Obstacle::NotTracing, Some(pid))),
        TracedError::Traces(TracesError::NotFound | TracesError::Torn(_)) => None,
    }
}

fn of_hunt(error: &HuntError) -> Option<Found> {
    match error {
        HuntError::Process(error) => of_process(error),
        HuntError::Heap(HeapError::Capture(error)) => of_capture(error),
        HuntError::Heap(HeapError::Objects(_)) | HuntError::TooShort => None,
    }
}

fn of_python(error: &PythonError) -> Option<Found> {
    match error {
        &PythonError::NotPython { pid } => Some((Obstacle::NotPython, Some(pid))),
        PythonError::TooOld { pid, version } => {
            Some((Obstacle::TooOld { version: version.clone() }, Some(*pid)))
        }
        PythonError::TooNew { pid, version } => {
            Some((Obstacle::TooNew { version: version.to_string() }, Some(*pid)))
        }
        &PythonError::NotRunning { pid } => Some((Obstacle::NotRunning, Some(pid))),
        PythonError::Process(error) => of_process(error),
        PythonError::Read { pid, error } => {
            of_reading(error).map(|(obstacle, _)| (obstacle, Some(*pid)))
        }
        PythonError::Image(ImageError::Unreadable { source, .. })
            if source.kind() == io::ErrorKind::PermissionDenied =>
        {
            Some((Obstacle::Denied, None))
        }
        PythonError::Image(_)
        | PythonError::FreeThreaded { .. }
        | PythonError::NotUnderstood { .. } => None,
    }
}

fn of_capture(error: &CaptureError) -> Option<Found> {
    match error {
        CaptureError::Process(error) => of_process(error),
        CaptureError::Pause(error) => of_python_pause(error),
        CaptureError::Read(error) => of_reading(error),
        CaptureError::TooLarge { needed, allowed } => {
            Some((Obstacle::TooLarge { needed: *needed, allowed: *allowed }, None))
        }
        CaptureError::Collecting | CaptureError::Restless | CaptureError::NoMemory(_) => None,
    }
}

fn of_snapshot(error: &SnapshotError) -> Option<Found> {
    match error {
        SnapshotError::Pause(error) => of_python_pause(error),
        SnapshotError::Process(error) => of_process(error),
        SnapshotError::Read(error) => of_reading(error),
    }
}

fn of_python_pause(error: &PythonPauseError) -> Option<Found> {
    match error {
        PythonPauseError::Pause(error) => of_pause(error),
        PythonPauseError::Process(error) => of_process(error),
        PythonPauseError::Read(error) => of_reading(error),
        PythonPauseError::Restless => None,
    }
}

fn of_process(error: &ProcessError) -> Option<Found> {
    match error {
        &ProcessError::NoSuchProcess { pid } => Some((Obstacle::NoSuchProcess, Some(pid))),
        &ProcessError::Zombie { pid, parent } => Some((Obstacle::Zombie { parent }, Some(pid))),
        &ProcessError::Ended { pid } => Some((Obstacle::Ended, Some(pid))),
        ProcessError::Proc { pid, source: procfs::ProcError::PermissionDenied(_) } => {
            Some((Obstacle::Denied, Some(*pid)))
        }
        ProcessError::Proc { .. } => None,
    }
}

fn of_pause(error: &PauseError) -> Option<Found> {
    match *error {
        PauseError::Traced { tracer, .. } => Some((Obstacle::Traced { tracer }, None)),
        PauseError::Denied { .. } => Some((Obstacle::Denied, None)),
        PauseError::Failed { .. } => None,
    }
}

fn of_reading(error: &ReadError) -> Option<Found> {
    match error {
        ReadError::Ended => Some((Obstacle::Ended, None)),
        ReadError::Denied => Some((Obstacle::Denied, None)),
        ReadError::Unmapped { .. } | ReadError::Implausible { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_behind<E>(error: E, expected: Option<Found>)
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        let error = anyhow::Error::new(error).context("cannot do what was being done");
        assert_eq!(Obstacle::behind(&error), expected);
    }

    #[test]
    fn an_obstacle_is_found_below_what_was_being_done() {
        assert_behind(ReadError::Denied, Some((Obstacle::Denied, None)));
        assert_behind(ReadError::Unmapped { address: 0, length: 8 }, None);
        let gone = ProcessError::NoSuchProcess { pid: 5 };
        assert_behind(gone, Some((Obstacle::NoSuchProcess, Some(5))));
        assert_behind(io::Error::other("anything else"), None);
    }

    #[test]
    fn an_obstacle_is_found_inside_an_error_that_stands_for_it() {
        let ended = || ProcessError::Ended { pid: 5 };
        assert_behind(PythonError::from(ended()), Some((Obstacle::Ended, Some(5))));
        assert_behind(RecordError::from(ended()), Some((Obstacle::Ended, Some(5))));
        assert_behind(
            RecordError::from(PythonError::NotRunning { pid: 5 }),
            Some((Obstacle::NotRunning, Some(5))),
        );
        assert_behind(RecordError::Denied { tid: 6 }, Some((Obstacle::Denied, None)));
        assert_behind(PythonPauseError::from(ended()), Some((Obstacle::Ended, Some(5))));
        let read = PythonError::Read { pid: 5, error: ReadError::Denied };
        assert_behind(read, Some((Obstacle::Denied, Some(5))));
        let traced = PauseError::Traced { tid: 6, tracer: 7 };
        assert_behind(PythonPauseError::from(traced), Some((Obstacle::Traced { tracer: 7 }, None)));
        let off = TracedError::Off { pid: 5 };
        assert_behind(off, Some((Obstacle::NotTracing, Some(5))));
        let capture = CaptureError::from(ReadError::Ended);
        assert_behind(TracedError::from(capture), Some((Obstacle::Ended, None)));
        assert_behind(AllocatorError::from(ReadError::Ended), Some((Obstacle::Ended, None)));
        let registers = BreakpointError::Registers(io::Error::other("no such device"));
        let reason = "the kernel refuses to set debug registers: no such device".into();
        assert_behind(registers, Some((Obstacle::NoBreakpoints { reason }, None)));
    }
}
