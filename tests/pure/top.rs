//! The screens of `leakspy top`, against golden files.
//!
//! `BLESS=1 cargo test --test pure top` rewrites them; check the difference before committing it.

use std::fs;
use std::path::Path;
use std::time::Duration;

use leakspy::heap::{Group, Owner};
use leakspy::process::cgroup::GroupMemory;
use leakspy::render::top::screen::draw;
use leakspy::render::top::state::{Key, Look, Page, State};
use ratatui::Terminal;
use ratatui::backend::TestBackend;

const MIB: u64 = 1 << 20;

fn group(name: &str, count: u64, shallow: u64) -> Group {
    Group { name: name.into(), count, shallow, retained: Some(2 * shallow), ..Group::default() }
}

fn look(sessions: u64, name: &str) -> Look {
    let types = vec![
        group("str", 65_528, 4 * MIB),
        group("shop.sessions.Session", sessions, 48 * sessions),
        group("dict", 7_130 - sessions / 100, 3 * MIB - 64 * sessions),
        group(name, 12, 960),
    ];
    let [pause, rest] = [Duration::from_millis(14), Duration::from_millis(2800)];
    Look { types, composition: None, pause, rest }
}

/// A service that never forgets a session, after three looks.
fn shop() -> State {
    let command = "/usr/bin/python3.12 -m gunicorn shop.main:app --workers 4".to_owned();
    let mut state = State::new(Owner { pid: 4301, command, python: "3.12.1".into() });
    state.group = Some(GroupMemory { used: 180 * MIB, limit: 512 * MIB });
    for second in 0..60_u32 {
        state.history.add(second.into(), 40 * MIB + u64::from(second) * 100_000);
    }
    let hostile = "shop.models.\u{1b}[31m\u{202e}Evil\nName";
    for (second, sessions) in [(1, 1000), (4, 1500), (7, 2100)] {
        state.elapsed.0 = Duration::from_secs(second);
        state.take(look(sessions, hostile));
    }
    state.elapsed.0 = Duration::from_secs(8);
    state
}

fn screen(state: &State, (width, height): (u16, u16)) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a screen in memory");
    terminal.draw(|frame| draw(frame, state)).expect("memory can be drawn on");
    let buffer = terminal.backend().buffer();
    let row = |y| -> String {
        let cells = (0..width).filter_map(|x| buffer.cell((x, y)));
        cells.map(|cell| cell.symbol()).collect::<String>().trim_end().to_owned() + "\n"
    };
    (0..height).map(row).collect()
}

fn compare(name: &str, state: &State, size: (u16, u16)) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    let drawn = screen(state, size);
    if std::env::var_os("BLESS").is_some() {
        fs::write(&path, &drawn).expect("the golden file can be written");
    }
    assert_eq!(drawn, fs::read_to_string(&path).expect("the golden file"), "{name}");
}

#[test]
fn the_table_at_80_and_130_columns() {
    compare("top-80.txt", &shop(), (80, 16));
    compare("top-130.txt", &shop(), (130, 16));
}

#[test]
fn before_the_first_look() {
    let owner = Owner { pid: 1, command: "python".into(), python: "3.12.1".into() };
    compare("top-first.txt", &State::new(owner), (80, 10));
}

#[test]
fn while_a_filter_is_typed() {
    let mut state = shop();
    for key in [Key::Char('/'), Key::Char('s'), Key::Char('e')] {
        state.press(key);
    }
    compare("top-filter.txt", &state, (80, 12));
}

#[test]
fn help_and_reasons_take_the_place_of_the_table() {
    let mut state = shop();
    state.press(Key::Char('?'));
    compare("top-help.txt", &state, (90, 26));
    let lines = [
        "held by               paths",
        "module shop.sessions  2,100",
        "└ CACHE dict          2,100",
    ];
    state.page = Some(Page {
        title: "What keeps shop.sessions.Session alive".into(),
        lines: lines.map(str::to_owned).into(),
        first: 0,
    });
    compare("top-why.txt", &state, (80, 12));
}

/// Nothing panics, however small the terminal.
#[test]
fn a_terminal_can_be_tiny() {
    for size in [(1, 1), (10, 2), (20, 6), (300, 3)] {
        screen(&shop(), size);
    }
}
