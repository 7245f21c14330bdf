//! The error that a command fails with.
//!
//! An error of the library becomes a [`CommandError`] by `?`, but only if it is [`Obstructed`]: an error that
//! does not name its obstacle cannot be used in a command, so none can lose its advice unnoticed. [`Context`]
//! puts in front what the command was doing.

use std::borrow::Cow;
use std::fmt::Display;
use std::io;

use crate::obstacle::{Obstacle, Obstructed, Obstruction};

/// Why a command gave up.
///
/// An error that names the obstacle behind it becomes one:
///
/// ```
/// use leakspy::cli::errors::CommandError;
/// use leakspy::obstacle::{Obstructed, Obstruction};
///
/// #[derive(Debug, thiserror::Error)]
/// #[error("the moon is full")]
/// struct FullMoon;
///
/// impl Obstructed for FullMoon {
///     fn obstacle(&self) -> Option<Obstruction> {
///         None
///     }
/// }
///
/// fn run() -> Result<(), CommandError> {
///     Err(FullMoon)?;
///     Ok(())
/// }
/// # assert_eq!(run().unwrap_err().to_string(), "the moon is full");
/// ```
///
/// One that does not implement it does not compile:
///
/// ```compile_fail,E0277
/// use leakspy::cli::errors::CommandError;
///
/// #[derive(Debug, thiserror::Error)]
/// #[error("the moon is full")]
/// struct FullMoon;
///
/// fn run() -> Result<(), CommandError> {
///     Err(FullMoon)?;
///     Ok(())
/// }
/// ```
#[derive(Debug)]
pub enum CommandError {
    /// Options that contradict each other: the sentence to print below the usage line.
    Usage(Cow<'static, str>),
    /// Any error while the command ran.
    Failed {
        /// The error, below what the command was doing.
        error: anyhow::Error,
        /// The obstacle behind it.
        met: Option<Obstruction>,
    },
}

impl CommandError {
    /// An error that is only a sentence.
    pub fn new(sentence: impl Display) -> CommandError {
        CommandError::Failed { error: anyhow::Error::msg(sentence.to_string()), met: None }
    }

    /// The obstacle behind it, and the process that has it.
    pub fn obstacle(&self) -> Option<&Obstruction> {
        match self {
            CommandError::Usage(_) => None,
            CommandError::Failed { met, .. } => met.as_ref(),
        }
    }

    /// Whether the only problem with the process is that it is not a Python.
    pub fn is_not_python(&self) -> bool {
        self.obstacle().is_some_and(|met| met.obstacle == Obstacle::NotPython)
    }

    /// Whether the reader of leakspy's output has closed it: `leakspy dump | head`.
    pub fn is_closed_pipe(&self) -> bool {
        let CommandError::Failed { error, .. } = self else { return false };
        error.chain().any(|cause| {
            let io = cause.downcast_ref::<io::Error>();
            io.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
        })
    }

    fn below(self, doing: impl Display) -> CommandError {
        match self {
            CommandError::Failed { error, met } => {
                CommandError::Failed { error: error.context(doing.to_string()), met }
            }
            usage => usage,
        }
    }
}

/// What the command was doing, a colon, and the error.
impl Display for CommandError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            CommandError::Usage(sentence) => f.write_str(sentence),
            CommandError::Failed { error, .. } => write!(f, "{error:#}"),
        }
    }
}

impl<E: Obstructed> From<E> for CommandError {
    fn from(error: E) -> CommandError {
        CommandError::Failed { met: error.obstacle(), error: error.into() }
    }
}

/// Adds to an error what the command was doing.
pub trait Context<T> {
    /// Puts words in front of the error.
    fn context(self, doing: impl Display) -> Result<T, CommandError>;

    /// As [`context`](Self::context), with words that are made only if needed.
    fn with_context<D: Display>(self, doing: impl FnOnce() -> D) -> Result<T, CommandError>;
}

impl<T, E: Into<CommandError>> Context<T> for Result<T, E> {
    fn context(self, doing: impl Display) -> Result<T, CommandError> {
        self.map_err(|error| error.into().below(doing))
    }

    fn with_context<D: Display>(self, doing: impl FnOnce() -> D) -> Result<T, CommandError> {
        self.map_err(|error| error.into().below(doing()))
    }
}

/// A missing value is an error that is only a sentence.
impl<T> Context<T> for Option<T> {
    fn context(self, missing: impl Display) -> Result<T, CommandError> {
        self.ok_or_else(|| CommandError::new(missing))
    }

    fn with_context<D: Display>(self, missing: impl FnOnce() -> D) -> Result<T, CommandError> {
        self.ok_or_else(|| CommandError::new(missing()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guardian::GuardianError;
    use crate::heap::{CaptureError, CompositionError, HeapError};
    use crate::hunt::hunter::HuntError;
    use crate::memory::ReadError;
    use crate::process::breakpoint::BreakpointError;
    use crate::process::image::ImageError;
    use crate::process::{PauseError, ProcessError};
    use crate::profile::recorder::RecordError;
    use crate::profile::tracemalloc::TracedError;
    use crate::python::gc::GcError;
    use crate::python::pause::PythonPauseError;
    use crate::python::{AllocatorError, PythonError};

    #[track_caller]
    fn assert_behind<E: Obstructed>(error: E, expected: Option<Obstruction>) {
        let error = Err::<(), E>(error).context("cannot do what was being done");
        assert_eq!(error.expect_err("an error").obstacle(), expected.as_ref());
    }

    #[test]
    fn an_obstacle_is_found_below_what_was_being_done() {
        assert_behind(ReadError::Denied, Obstacle::Denied.of_target());
        assert_behind(ReadError::Unmapped { address: 0, length: 8 }, None);
        assert_behind(ProcessError::NoSuchProcess { pid: 5 }, Obstacle::NoSuchProcess.of(5));
        assert_behind(io::Error::other("anything else"), None);
    }

    #[test]
    fn an_obstacle_is_found_inside_an_error_that_stands_for_it() {
        let ended = || ProcessError::Ended { pid: 5 };
        assert_behind(PythonError::from(ended()), Obstacle::Ended.of(5));
        assert_behind(RecordError::from(ended()), Obstacle::Ended.of(5));
        let starting = RecordError::from(PythonError::NotRunning { pid: 5 });
        assert_behind(starting, Obstacle::NotRunning.of(5));
        let denied = GuardianError::Denied { tid: 6 };
        assert_behind(RecordError::from(denied), Obstacle::Denied.of_target());
        assert_behind(PythonPauseError::from(ended()), Obstacle::Ended.of(5));
        let read = PythonError::Read { pid: 5, error: ReadError::Denied };
        assert_behind(read, Obstacle::Denied.of(5));
        let traced = PauseError::Traced { tid: 6, tracer: 7 };
        let by_seven = Obstacle::Traced { tracer: 7 };
        assert_behind(PythonPauseError::from(traced), by_seven.of_target());
        assert_behind(TracedError::Off { pid: 5 }, Obstacle::NotTracing.of(5));
        let capture = CaptureError::from(ReadError::Ended);
        assert_behind(TracedError::from(capture), Obstacle::Ended.of_target());
        assert_behind(AllocatorError::from(ReadError::Ended), Obstacle::Ended.of_target());
        let registers = BreakpointError::Registers(io::Error::other("no such device"));
        let reason = "the kernel refuses to set debug registers: no such device".into();
        assert_behind(registers, Obstacle::NoBreakpoints { reason }.of_target());
    }

    #[test]
    fn an_obstacle_is_found_several_errors_below() {
        let large = || CaptureError::TooLarge { needed: 2, allowed: 1 };
        let expected = || Obstacle::TooLarge { needed: 2, allowed: 1 }.of_target();
        assert_behind(CompositionError::from(HeapError::from(large())), expected());
        assert_behind(HuntError::from(HeapError::from(large())), expected());
        let lists = HeapError::from(GcError::from(ReadError::Ended));
        assert_behind(HuntError::from(lists), Obstacle::Ended.of_target());
        let refused = io::Error::from(io::ErrorKind::PermissionDenied);
        let image = ImageError::Unreadable { path: "/python".into(), source: refused };
        assert_behind(PythonError::from(image), Obstacle::Denied.of_target());
    }

    #[test]
    fn words_stand_in_front_of_the_error_and_its_causes() {
        let error = Err::<(), _>(ReadError::Ended).context("the first").context("the second");
        let error = error.expect_err("an error");
        assert_eq!(error.to_string(), "the second: the first: the process has ended");
    }

    #[test]
    fn a_closed_pipe_is_found_below_what_was_being_done() {
        let closed = Err::<(), _>(io::Error::from(io::ErrorKind::BrokenPipe));
        assert!(closed.context("cannot print").expect_err("an error").is_closed_pipe());
        assert!(!CommandError::from(io::Error::from(io::ErrorKind::NotFound)).is_closed_pipe());
    }
}
