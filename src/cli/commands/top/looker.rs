//! Looks at all objects of a process again and again, in a thread of its own, and keeps the last heap for
//! questions.

use std::process::Command;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::cli::errors::{CommandError, advice};
use crate::heap::figures::groups::Grouping;
use crate::heap::{CaptureOptions, Selector, Summary};
use crate::inspect::why::{Options, why};
use crate::obstacle::Obstacle;
use crate::python::objects::Disclosure;
use crate::render::branches::Extent;
use crate::render::sheet::Paper;
use crate::render::top::state::Look;
use crate::render::why::write;
use crate::source::{Heap, LiveProcess};

/// The part of the time for which the process may stand still: one part in this many.
const PART: u32 = 200;
/// The least time between two looks.
const LEAST: Duration = Duration::from_secs(2);
/// How much of the paths to objects is shown.
const EXTENT: Extent = Extent { breadth: 12, depth: 60, least: 0 };

/// What the view wants.
#[derive(Debug)]
pub enum Question {
    /// What keeps the objects of a type alive, in lines of this width.
    Why(String, usize),
    /// No look before [`Question::GoOn`].
    Rest,
    /// Looks again.
    GoOn,
}

/// What is found out.
#[derive(Debug)]
pub enum Answer {
    /// The figures of a look.
    Looked(Box<Look>),
    /// Why objects are alive: the type, and lines.
    Why(String, Vec<String>),
    /// Nothing is read until [`Question::GoOn`].
    Resting,
    /// Something to tell.
    Message(String),
    /// The process has ended.
    Ended,
}

/// Starts looking. It ends when the questions do.
pub fn start(pid: i32, options: CaptureOptions) -> (Sender<Question>, Receiver<Answer>) {
    let (questions, asked) = channel();
    let (answers, answered) = channel();
    thread::spawn(move || {
        let mut looker = Looker { pid, options, asked, answers };
        while looker.look() {}
    });
    (questions, answered)
}

/// Writes a snapshot file with another leakspy, and tells how that ended.
pub fn write_snapshot(mut command: Command) -> Receiver<String> {
    let (told, tell) = channel();
    thread::spawn(move || {
        let message = match command.output() {
            Ok(output) => {
                let said = String::from_utf8_lossy(&output.stderr);
                said.lines().last().unwrap_or_default().to_owned()
            }
            Err(error) => format!("The snapshot could not be started: {error}"),
        };
        // The view may have gone meanwhile.
        let _ = told.send(message);
    });
    tell
}

struct Looker {
    pid: i32,
    options: CaptureOptions,
    asked: Receiver<Question>,
    answers: Sender<Answer>,
}

impl Looker {
    /// Looks once, and answers until the next look is due. False if there is nobody to look for any more.
    fn look(&mut self) -> bool {
        let began = Instant::now();
        let source = match LiveProcess::open(self.pid, self.options) {
            Ok(source) => source,
            Err(error) => return self.has_failed(&error.into()),
        };
        let moment = match source.moment() {
            Ok(moment) => moment,
            Err(error) => return self.has_failed(&error.into()),
        };
        let heap = moment.heap;
        let pause = heap.provenance.pause;
        // Also no more often than leakspy itself can take it.
        let rest = (pause * PART).max(LEAST).max(began.elapsed() * 2);
        let owner = heap.provenance.owner.clone();
        let types = Summary::of(&heap.analysis, owner, Grouping::Type).types;
        let look = Look { types, composition: moment.composition, pause, rest };
        self.tell(Answer::Looked(Box::new(look)))
            && self.answer_until(Instant::now() + rest, Some(&heap))
    }

    /// Answers questions until a moment. False if there will be no more.
    fn answer_until(&mut self, end: Instant, heap: Option<&Heap<'_>>) -> bool {
        loop {
            match self.asked.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(Question::Why(kind, width)) => {
                    let lines = match heap {
                        Some(heap) => reasons(heap, &kind, width),
                        None => vec!["There is no heap to ask.".to_owned()],
                    };
                    if !self.tell(Answer::Why(kind, lines)) {
                        return false;
                    }
                }
                Ok(Question::Rest) => {
                    if !self.tell(Answer::Resting) {
                        return false;
                    }
                    loop {
                        match self.asked.recv() {
                            Ok(Question::GoOn) => return true,
                            Ok(_) => {}
                            Err(_) => return false,
                        }
                    }
                }
                Ok(Question::GoOn) => {}
                Err(RecvTimeoutError::Timeout) => return true,
                Err(RecvTimeoutError::Disconnected) => return false,
            }
        }
    }

    /// Tells why a look failed, and waits. False if the process has ended.
    fn has_failed(&mut self, error: &CommandError) -> bool {
        use Obstacle::{Ended, NoSuchProcess, Zombie};
        if matches!(
            error.obstacle().map(|met| &met.obstacle),
            Some(Ended | NoSuchProcess | Zombie { .. })
        ) {
            self.tell(Answer::Ended);
            return false;
        }
        self.tell(Answer::Message(advice::explain(error, Some(self.pid))))
            && self.answer_until(Instant::now() + LEAST, None)
    }

    /// False if nobody listens any more.
    fn tell(&self, answer: Answer) -> bool {
        self.answers.send(answer).is_ok()
    }
}

/// What keeps the objects of a type alive, as `leakspy why` prints it.
fn reasons(heap: &Heap<'_>, kind: &str, width: usize) -> Vec<String> {
    let nodes = match Selector::Type(kind.to_owned()).find(&heap.analysis) {
        Ok(nodes) => nodes,
        Err(error) => return vec![error.to_string()],
    };
    let options = Options { paths: 1, excluded: Vec::new(), disclosure: Disclosure::default() };
    let found = why(&heap.analysis, heap.names(), &nodes, &options);
    let mut paper = Paper::new(width);
    match write(&found, &heap.provenance, EXTENT, &mut paper) {
        Ok(()) => paper.lines(),
        Err(error) => vec![error.to_string()],
    }
}
