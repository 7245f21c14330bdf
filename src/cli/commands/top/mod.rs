//! `leakspy top`: the types of a process, live, and what is behind them by key.
//!
//! | | |
//! |---|---|
//! | [`looker`] | looks at all objects, seldom enough, and answers questions about the last heap |
//!
//! What is shown and what keys do is in [`render::top`](crate::render::top).

mod looker;

use std::env;
use std::io::{self, BufRead, IsTerminal};
use std::process::{Command, ExitCode, Stdio};
use std::sync::mpsc::{Receiver, Sender};
use std::time::{Duration, Instant};

use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use self::looker::{Answer, Question, start, write_snapshot};
use crate::cli::args::flags::MemoryArg;
use crate::cli::args::process::{Place, ProcessArg};
use crate::cli::clock::now;
use crate::cli::errors::{CommandError, Context};
use crate::cli::processes::attach;
use crate::cli::signals::Signals;
use crate::cli::terminal::say;
use crate::heap::{CaptureOptions, Owner};
use crate::process::cgroup::group_memory;
use crate::render::phrases::mib;
use crate::render::top::screen::draw;
use crate::render::top::state::{Ask, Key, Page, State};
use crate::timeline::{Observer, Options};

/// How often the resident set is read. That pauses nothing.
const READ: Duration = Duration::from_secs(1);
/// How long to wait for a key before the screen is drawn again.
const DRAW: Duration = Duration::from_millis(100);
/// How long a look may take that is under way when a hunt is asked for.
const PATIENCE: Duration = Duration::from_secs(60);
/// The rows of a page.
const PAGE: usize = 20;

/// Watch the types of a process live: what they take, what grows, and what keeps it alive.
///
/// leakspy looks at all objects in short pauses, so seldom that the process stands still for at most 0.5 % of the
/// time; the share is shown. Between two looks it reads only the resident set. Keys say what is behind a type, hunt
/// for the code that adds to it, mark a moment to compare with, and write a snapshot: ? lists them.
#[derive(Debug, clap::Args)]
#[command(
    mut_arg("pid", |pid| pid.conflicts_with("place")),
    mut_arg("name", |name| name.conflicts_with("place")),
    after_help = EXAMPLES
)]
pub struct Args {
    #[command(flatten)]
    process: ProcessArg,
    /// PID of the process.
    #[arg(
        value_name = "PID",
        value_parser = Place::only_pid,
        required_unless_present_any = ["pid", "name"]
    )]
    place: Option<Place>,
    /// How much memory it may take.
    #[command(flatten)]
    memory: MemoryArg,
}

const EXAMPLES: &str = "\
Examples:
  leakspy top 1234
  leakspy top --name gunicorn

Exit status: 0, also when the process ends; 1 if it cannot be read, or there is no terminal.";

impl Args {
    /// The process asked for.
    pub fn pid(&self) -> Option<i32> {
        self.place.as_ref().and_then(Place::pid).or(self.process.pid())
    }

    /// The argument that may name the process.
    pub fn process(&mut self) -> &mut ProcessArg {
        &mut self.process
    }
}

/// The terminal, which is restored when this is dropped, and when leakspy panics.
struct Screen(DefaultTerminal);

impl Screen {
    fn open() -> io::Result<Screen> {
        Ok(Screen(ratatui::try_init()?))
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

/// How the view ended.
enum End {
    Left,
    ProcessEnded,
}

/// Shows the view until it is left or the process ends.
pub fn run(args: &Args) -> Result<ExitCode, CommandError> {
    if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
        return Err(CommandError::new(
            "`leakspy top` draws on a terminal, and there is none. `leakspy heap` prints the same once.",
        ));
    }
    let pid = args.pid().context("there is no process")?;
    let signals = Signals::listen().context("cannot listen for signals")?;
    let (process, python) = attach(pid)?;
    let owner = Owner { pid, command: process.command()?, python: python.version.to_string() };
    let options = CaptureOptions { max_memory: args.memory.bytes(), ..CaptureOptions::default() };
    let observing =
        Options { subprocesses: false, counters: false, stacks: false, shares: Duration::ZERO };
    let (questions, answers) = start(pid, options);
    let mut view = View {
        state: State::new(owner),
        observer: Observer::new(process, observing),
        began: Instant::now(),
        read: None,
        questions,
        answers,
        snapshot: None,
    };
    let mut screen = Screen::open().context("cannot use the terminal")?;
    let end = view.show(&mut screen, &signals);
    drop(screen);
    if let End::ProcessEnded = end? {
        let peak = view.state.history.peak().map_or(0.0, |peak| peak.bytes as f64);
        say(format_args!(
            "Process {pid} has ended. The most memory that was seen of it is {}.",
            mib(peak)
        ));
    }
    Ok(ExitCode::SUCCESS)
}

/// The view, and where its figures come from.
struct View {
    state: State,
    observer: Observer,
    began: Instant,
    read: Option<Instant>,
    questions: Sender<Question>,
    answers: Receiver<Answer>,
    /// The outcome of a snapshot that is being written.
    snapshot: Option<Receiver<String>>,
}

impl View {
    fn show(&mut self, screen: &mut Screen, signals: &Signals) -> Result<End, CommandError> {
        while !signals.came() {
            if !self.refresh() {
                return Ok(End::ProcessEnded);
            }
            screen.0.draw(|frame| draw(frame, &self.state)).context("the terminal")?;
            if !event::poll(DRAW).context("the terminal")? {
                continue;
            }
            let Event::Key(pressed) = event::read().context("the terminal")? else { continue };
            let Some(key) = key_of(pressed) else { continue };
            match self.state.press(key) {
                None => {}
                Some(Ask::Quit) => break,
                Some(Ask::Why(kind)) => {
                    let width = screen.0.size().map_or(80, |size| size.width.into());
                    self.ask(Question::Why(kind, width));
                }
                Some(Ask::Snapshot) => self.write_snapshot()?,
                Some(Ask::Hunt) => self.hunt(screen)?,
            }
        }
        Ok(End::Left)
    }

    /// Takes in what is new. False if the process has ended.
    fn refresh(&mut self) -> bool {
        self.state.elapsed.0 = self.began.elapsed();
        if self.read.is_none_or(|read| read.elapsed() >= READ) {
            self.read = Some(Instant::now());
            let samples = self.observer.look(now());
            let Some(sample) = samples.first().filter(|_| !self.observer.has_ended()) else {
                return false;
            };
            self.state.history.add(sample.time_s, sample.rss_bytes);
            self.state.group = group_memory(self.state.owner.pid);
        }
        if let Some(message) = self.snapshot.as_ref().and_then(|told| told.try_recv().ok()) {
            self.state.message = message;
            self.snapshot = None;
        }
        while let Ok(answer) = self.answers.try_recv() {
            match answer {
                Answer::Looked(look) => self.state.take(*look),
                Answer::Why(kind, lines) => {
                    self.state.message.clear();
                    let title = format!("What keeps {kind} alive");
                    self.state.page = Some(Page { title, lines, first: 0 });
                }
                Answer::Message(message) => self.state.message = message,
                Answer::Resting => {}
                Answer::Ended => return false,
            }
        }
        true
    }

    fn ask(&mut self, question: Question) {
        if self.questions.send(question).is_err() {
            "The process has ended.".clone_into(&mut self.state.message);
        }
    }

    fn leakspy(&self, command: &str) -> Result<Command, CommandError> {
        let program = env::current_exe().context("cannot find leakspy's own program")?;
        let mut started = Command::new(program);
        started.args([command, "--pid", &self.state.owner.pid.to_string()]);
        Ok(started)
    }

    fn write_snapshot(&mut self) -> Result<(), CommandError> {
        let mut command = self.leakspy("snapshot")?;
        command.stdin(Stdio::null());
        self.snapshot = Some(write_snapshot(command));
        "Writing a snapshot …".clone_into(&mut self.state.message);
        Ok(())
    }

    /// Hunts on the ordinary screen, without looking meanwhile, and comes back.
    fn hunt(&mut self, screen: &mut Screen) -> Result<(), CommandError> {
        self.ask(Question::Rest);
        let until = Instant::now() + PATIENCE;
        while let Ok(answer) =
            self.answers.recv_timeout(until.saturating_duration_since(Instant::now()))
        {
            match answer {
                Answer::Resting => break,
                Answer::Looked(look) => self.state.take(*look),
                _ => {}
            }
        }
        ratatui::restore();
        let status = self.leakspy("hunt")?.status();
        say("\nEnter goes back to the live view.");
        let read = io::stdin().lock().read_line(&mut String::new());
        screen.0 = ratatui::try_init().context("cannot use the terminal")?;
        self.ask(Question::GoOn);
        read.context("the terminal")?;
        status.context("cannot start the hunt")?;
        Ok(())
    }
}

/// The key that was pressed, if it means anything.
fn key_of(pressed: KeyEvent) -> Option<Key> {
    if pressed.kind == KeyEventKind::Release {
        return None;
    }
    if pressed.modifiers.contains(KeyModifiers::CONTROL) {
        return match pressed.code {
            KeyCode::Char('c' | 'd') => Some(Key::Quit),
            _ => None,
        };
    }
    match pressed.code {
        KeyCode::Char(character) => Some(Key::Char(character)),
        KeyCode::Up => Some(Key::Up(1)),
        KeyCode::Down => Some(Key::Down(1)),
        KeyCode::PageUp => Some(Key::Up(PAGE)),
        KeyCode::PageDown => Some(Key::Down(PAGE)),
        KeyCode::Home => Some(Key::Up(usize::MAX)),
        KeyCode::End => Some(Key::Down(usize::MAX)),
        KeyCode::Enter => Some(Key::Enter),
        KeyCode::Esc => Some(Key::Escape),
        KeyCode::Backspace => Some(Key::Backspace),
        _ => None,
    }
}
