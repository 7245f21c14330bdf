//! Taking a capture, with as much as possible done before the pause.
//!
//! Before the pause, a [plan](super::plan) and a buffer are made, and a second [reader](super::readers) is
//! started. In the pause, the mappings are listed once more, since the process may have grown, and two
//! readers copy all pages that hold anything. Memory that is new since the plan goes to the spare room of the
//! buffer.

use std::iter;
use std::ops::Range;
use std::panic::resume_unwind;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use super::copy::{Bytes, Capture, LeftOut, Segment, Segments};
use super::moment::Moment;
use super::options::{CaptureError, CaptureFacts, CaptureOptions, Delay};
use super::plan::{Plan, arenas, outside};
use super::readers::{Queue, length};
use super::regions::{program_data, regions, without};
use crate::process::{Mapping, Process, watchdog};
use crate::python::Python;

/// How often a capture is tried if the target outgrows its buffer.
const TRIES: usize = 3;
/// As slow as a copy may be, in bytes a second: a fiftieth of the usual. What is slower is given up, for the
/// sake of the target.
const SLOWEST: u64 = 50 << 20;

impl<'a> Capture<'a> {
    /// Captures the memory of a Python process that can hold objects.
    pub fn take(
        process: &'a Process,
        python: &Python,
        options: &CaptureOptions,
    ) -> Result<Capture<'a>, CaptureError> {
        Capture::take_with(process, python, options, &[], &mut || ())
    }

    /// Captures it and uses the capture; if that needs memory that was left out, once more with that memory, and
    /// at last with all. Calls `meanwhile` in each pause.
    ///
    /// # Errors
    /// The memory cannot be captured, or `user` fails.
    pub fn take_for<T, E: From<CaptureError>>(
        process: &'a Process,
        python: &Python,
        options: &CaptureOptions,
        meanwhile: &mut dyn FnMut(),
        mut user: impl FnMut(&Capture<'a>) -> Result<T, E>,
    ) -> Result<(Capture<'a>, T), E> {
        let mut needed = Vec::new();
        let mut paused = Duration::ZERO;
        loop {
            let mut capture = Capture::take_with(process, python, options, &needed, meanwhile)?;
            capture.facts.paused += paused;
            let result = user(&capture);
            let missed = capture.missed();
            if missed.is_empty() || !process.is_alive() {
                return Ok((capture, result?));
            }
            paused = capture.facts.paused;
            needed = match needed.is_empty() {
                true => missed,
                // The process makes new objects where there were none, faster than it can be foreseen.
                false => iter::once(0..u64::MAX).collect(),
            };
        }
    }

    /// As [`take`](Self::take), with the memory in the ranges `needed` in any case; calls `meanwhile` in the
    /// same pause, more than once if the first try fails.
    fn take_with(
        process: &'a Process,
        python: &Python,
        options: &CaptureOptions,
        needed: &[Range<u64>],
        meanwhile: &mut dyn FnMut(),
    ) -> Result<Capture<'a>, CaptureError> {
        let mut paused = Duration::ZERO;
        for _ in 0..TRIES {
            let plan = Plan::make(process, python, options, needed)?;
            let mut buffer = plan.buffer()?;
            let copied = plan.copy(process, python, options, &mut buffer, meanwhile)?;
            paused += copied.paused;
            let Some(segments) = copied.segments else { continue };
            let facts = CaptureFacts {
                pause: copied.pause,
                paused,
                copied: copied.bytes,
                left_out: copied.left_out.iter().map(length).sum(),
                rss: process.resident_bytes().unwrap_or_default(),
                collecting: copied.unfinished.is_some(),
            };
            if let (Some(elapsed), Some(tell)) = (copied.unfinished, options.on_delay) {
                tell(process.pid(), Delay::Unfinished(elapsed));
            }
            let segments = Arc::new(Segments::new(segments));
            let constant = constant(&copied.maps);
            let program = program_data(&copied.maps, &python.image);
            let buffer = Bytes::Copied(buffer);
            let (left_out, maps) = (LeftOut::new(copied.left_out), copied.maps);
            return Ok(Capture {
                segments,
                buffer,
                constant,
                program,
                left_out,
                maps,
                process,
                facts,
            });
        }
        Err(CaptureError::Restless)
    }
}

/// The outcome of the pause.
struct Copied {
    pause: Duration,
    paused: Duration,
    /// For how long a collection had been running by then, if it was not waited for.
    unfinished: Option<Duration>,
    bytes: u64,
    maps: Vec<Mapping>,
    left_out: Vec<Range<u64>>,
    /// `None` if the spare room was too small.
    segments: Option<Vec<Segment>>,
}

impl Plan<'_> {
    /// Pauses the target and copies.
    fn copy<'env>(
        &'env self,
        process: &'env Process,
        python: &Python,
        options: &CaptureOptions,
        buffer: &'env mut [u8],
        meanwhile: &mut dyn FnMut(),
    ) -> Result<Copied, CaptureError> {
        let (memory, pages) = (&self.memory, self.pages.as_ref());
        thread::scope(|scope| {
            let (give, take) = mpsc::channel::<Arc<Queue<'env>>>();
            let second = scope.spawn(move || match take.recv() {
                Ok(queue) => queue.copy(memory, pages),
                // There was no pause.
                Err(_) => Ok(0),
            });
            let moment = match options.pausing {
                true => Some(Moment::find(process, python, options.on_delay)?),
                false => None,
            };
            watchdog::allow(Duration::from_secs(buffer.len() as u64 / SLOWEST));
            let maps = process.maps()?;
            let all = regions(&maps);
            // An arena may have been made where something else was.
            let left_out = outside(self.left_out.clone(), &arenas(python, process));
            let places = self.places_now(without(all, &left_out));
            let mut bytes = 0;
            if let Some(places) = &places {
                let queue = Arc::new(Queue::new(places, buffer));
                // Fails only if the other reader is gone.
                let _ = give.send(Arc::clone(&queue));
                bytes = queue.copy(memory, pages)?;
                bytes += second.join().unwrap_or_else(|panic| resume_unwind(panic))?;
            }
            meanwhile();
            let (wasted, unfinished) = match &moment {
                Some(moment) => (moment.wasted, moment.unfinished),
                None => (Duration::ZERO, None),
            };
            let pause = moment.map(|moment| moment.pause.resume()).unwrap_or_default();
            let paused = pause + wasted;
            let segments =
                places.map(|places| places.into_iter().map(|place| place.segment).collect());
            Ok(Copied { pause, paused, unfinished, bytes, maps, left_out, segments })
        })
    }
}

/// The mappings that the process cannot write to.
pub(super) fn constant(maps: &[Mapping]) -> Vec<Range<u64>> {
    let constant = maps.iter().filter(|mapping| mapping.readable && !mapping.writable);
    constant.map(|mapping| mapping.start..mapping.end).collect()
}
