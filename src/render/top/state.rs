//! What the live view knows, and what each key does to it. It draws nothing and asks the process nothing.

use std::collections::HashMap;
use std::time::Duration;

use crate::heap::{Composition, Group, Owner};
use crate::process::cgroup::GroupMemory;
use crate::timeline::History;

/// The figures of one look at all objects.
#[derive(Debug, Clone)]
pub struct Look {
    /// The types, with their figures.
    pub types: Vec<Group>,
    /// The parts of the resident set, if they can be told.
    pub composition: Option<Composition>,
    /// How long the process stood still for it.
    pub pause: Duration,
    /// How long leakspy waits before the next look.
    pub rest: Duration,
}

/// What rows are sorted by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Sort {
    /// By how many bytes they grew since the mark.
    #[default]
    SinceMark,
    /// The change since the look before.
    SinceLast,
    /// Their bytes.
    Bytes,
    /// Their number.
    Count,
    /// What they retain.
    Retained,
}

impl Sort {
    /// Its name at the head of the column.
    pub fn name(self) -> &'static str {
        match self {
            Sort::SinceMark => "since mark",
            Sort::SinceLast => "last look",
            Sort::Bytes => "bytes",
            Sort::Count => "count",
            Sort::Retained => "retained",
        }
    }

    fn next(self) -> Sort {
        match self {
            Sort::SinceMark => Sort::SinceLast,
            Sort::SinceLast => Sort::Bytes,
            Sort::Bytes => Sort::Count,
            Sort::Count => Sort::Retained,
            Sort::Retained => Sort::SinceMark,
        }
    }
}

/// A key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// A character.
    Char(char),
    /// The cursor upwards, by so many rows.
    Up(usize),
    /// The cursor downwards, by so many rows.
    Down(usize),
    /// Enter.
    Enter,
    /// Escape.
    Escape,
    /// Backspace.
    Backspace,
    /// Leaves, whatever is shown.
    Quit,
}

/// What a key asks of others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// To leave.
    Quit,
    /// What keeps the objects of a type alive.
    Why(String),
    /// A snapshot file.
    Snapshot,
    /// A hunt.
    Hunt,
}

/// A row of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The type.
    pub name: String,
    /// Its objects.
    pub count: u64,
    /// Their bytes.
    pub bytes: u64,
    /// What they retain, at least.
    pub retained: u64,
    /// By how much count and bytes changed since the mark.
    pub since_mark: (i64, i64),
    /// By how much they changed since the look before.
    pub since_last: (i64, i64),
}

/// A text in place of the table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// Its title.
    pub title: String,
    /// Its lines.
    pub lines: Vec<String>,
    /// The number of the first that is shown.
    pub first: usize,
}

/// The live view.
#[derive(Debug, Clone)]
pub struct State {
    /// The process.
    pub owner: Owner,
    /// Its resident set over time.
    pub history: History,
    /// The memory of its control group, if that has a limit.
    pub group: Option<GroupMemory>,
    /// The last look.
    pub look: Option<Look>,
    /// The number of looks, and how long the process stood still for all of them.
    pub looks: (u32, Duration),
    /// How long the view has run, and when the last look was.
    pub elapsed: (Duration, Duration),
    /// What rows are sorted by.
    pub sort: Sort,
    /// The text that names must contain.
    pub filter: String,
    /// Whether that is being typed.
    pub is_typing: bool,
    /// Whether types that have not changed since the mark are left out.
    pub only_changed: bool,
    /// The row of the cursor.
    pub cursor: usize,
    /// A text in place of the table.
    pub page: Option<Page>,
    /// What happened last.
    pub message: String,
    before: Figures,
    mark: Option<Figures>,
}

/// Count and bytes of types.
type Figures = HashMap<String, (u64, u64)>;

fn figures(look: &Look) -> Figures {
    look.types.iter().map(|group| (group.name.clone(), (group.count, group.bytes()))).collect()
}

fn change(now: (u64, u64), then: Option<&Figures>, name: &str) -> (i64, i64) {
    let Some(then) = then else { return (0, 0) };
    let (count, bytes) = then.get(name).copied().unwrap_or_default();
    (now.0.cast_signed() - count.cast_signed(), now.1.cast_signed() - bytes.cast_signed())
}

impl State {
    /// A view of a process that has not been looked at.
    pub fn new(owner: Owner) -> State {
        State {
            owner,
            history: History::default(),
            group: None,
            look: None,
            looks: (0, Duration::ZERO),
            elapsed: (Duration::ZERO, Duration::ZERO),
            sort: Sort::default(),
            filter: String::new(),
            is_typing: false,
            only_changed: false,
            cursor: 0,
            page: None,
            message: String::new(),
            before: Figures::new(),
            mark: None,
        }
    }

    /// Takes in a look. The first is the mark.
    pub fn take(&mut self, look: Look) {
        let now = figures(&look);
        self.before = self.look.as_ref().map_or_else(|| now.clone(), figures);
        self.mark.get_or_insert(now);
        self.looks.0 += 1;
        self.looks.1 += look.pause;
        self.elapsed.1 = self.elapsed.0;
        self.look = Some(look);
    }

    /// Which part of the time the process stands still: over all looks, each with the rest after it.
    pub fn standstill(&self) -> f64 {
        let rest = self.look.as_ref().map_or(Duration::ZERO, |look| look.rest);
        let whole = self.elapsed.0.max(self.elapsed.1 + rest);
        self.looks.1.as_secs_f64() / whole.as_secs_f64().max(f64::MIN_POSITIVE)
    }

    /// The rows in their order.
    pub fn rows(&self) -> Vec<Row> {
        let Some(look) = &self.look else { return Vec::new() };
        let filter = self.filter.to_lowercase();
        let row = |group: &Group| {
            let now = (group.count, group.bytes());
            Row {
                count: now.0,
                bytes: now.1,
                retained: group.retained.unwrap_or_default(),
                since_mark: change(now, self.mark.as_ref(), &group.name),
                since_last: change(now, Some(&self.before), &group.name),
                name: group.name.clone(),
            }
        };
        let mut rows: Vec<Row> = look.types.iter().map(row).collect();
        rows.retain(|row| row.name.to_lowercase().contains(&filter));
        if self.only_changed {
            rows.retain(|row| row.since_mark != (0, 0));
        }
        let rank = |row: &Row| match self.sort {
            Sort::SinceMark => (row.since_mark.1, row.bytes),
            Sort::SinceLast => (row.since_last.1, row.bytes),
            Sort::Bytes => (row.bytes.cast_signed(), row.count),
            Sort::Count => (row.count.cast_signed(), row.bytes),
            Sort::Retained => (row.retained.cast_signed(), row.bytes),
        };
        rows.sort_by(|a, b| rank(b).cmp(&rank(a)).then_with(|| a.name.cmp(&b.name)));
        rows
    }

    /// Does what a key means; what others have to do is returned.
    pub fn press(&mut self, key: Key) -> Option<Ask> {
        if key == Key::Quit {
            return Some(Ask::Quit);
        }
        if self.is_typing {
            self.type_filter(key);
            return None;
        }
        let key = match key {
            Key::Char('j') => Key::Down(1),
            Key::Char('k') => Key::Up(1),
            other => other,
        };
        if let Some(page) = &mut self.page {
            match key {
                Key::Up(by) => page.first = page.first.saturating_sub(by),
                Key::Down(by) => {
                    page.first =
                        page.first.saturating_add(by).min(page.lines.len().saturating_sub(1));
                }
                Key::Char('h') => return Some(Ask::Hunt),
                _ => self.page = None,
            }
            return None;
        }
        self.message.clear();
        match key {
            Key::Char('q') => return Some(Ask::Quit),
            Key::Char('?') => self.page = Some(help()),
            Key::Char('/') => self.is_typing = true,
            Key::Char('s') => self.sort = self.sort.next(),
            Key::Char('d') => self.only_changed = !self.only_changed,
            Key::Char('m') => {
                self.mark = self.look.as_ref().map(figures);
                "Marked: changes count from the last look on.".clone_into(&mut self.message);
            }
            Key::Char('w') => return Some(Ask::Snapshot),
            Key::Char('h') => return Some(Ask::Hunt),
            Key::Up(by) | Key::Down(by) => {
                let last = self.rows().len().saturating_sub(1);
                let up = matches!(key, Key::Up(_));
                let moved = if up {
                    self.cursor.saturating_sub(by)
                } else {
                    self.cursor.saturating_add(by)
                };
                self.cursor = moved.min(last);
            }
            Key::Enter => {
                let name = self.rows().into_iter().nth(self.cursor)?.name;
                self.message = format!("Asking what keeps {name} alive …");
                return Some(Ask::Why(name));
            }
            Key::Escape => self.filter.clear(),
            _ => {}
        }
        None
    }

    fn type_filter(&mut self, key: Key) {
        match key {
            Key::Char(character) => self.filter.push(character),
            Key::Backspace => drop(self.filter.pop()),
            Key::Escape => {
                self.filter.clear();
                self.is_typing = false;
            }
            Key::Enter => self.is_typing = false,
            Key::Up(_) | Key::Down(_) | Key::Quit => {}
        }
        self.cursor = 0;
    }
}

/// The page that says what the keys do.
fn help() -> Page {
    let lines = [
        "Enter    what keeps the objects of this type alive",
        "h        hunt: which code adds to what grows (30 s and more)",
        "w        write a snapshot file, to ask questions later",
        "m        mark: count changes from the last look on",
        "d        leave out types that have not changed since the mark",
        "s        sort by the next column",
        "/        show only types whose names contain a text; Esc shows all",
        "↑ ↓      move, also with j and k; PgUp and PgDn by a page",
        "q        quit, also with Ctrl-C",
        "",
        "bytes      size of the objects and of the buffers that they own",
        "retained   what would be freed with them, at least",
        "since mark change since the first look, or since you marked",
        "last look  change between the last two looks",
        "",
        "leakspy looks so seldom that the process stands still for at most 0.5 % of the time.",
    ];
    Page { title: "Keys".to_owned(), lines: lines.map(str::to_owned).into(), first: 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(name: &str, count: u64, bytes: u64) -> Group {
        Group { name: name.to_owned(), count, shallow: bytes, ..Group::default() }
    }

    fn look(types: Vec<Group>) -> Look {
        let [pause, rest] = [Duration::from_millis(10), Duration::from_secs(2)];
        Look { types, composition: None, pause, rest }
    }

    fn state() -> State {
        let owner = Owner { pid: 7, command: "app".into(), python: "3.12.1".into() };
        let mut state = State::new(owner);
        state.take(look(vec![group("str", 9, 900), group("app.Session", 1, 10)]));
        state.take(look(vec![group("str", 9, 890), group("app.Session", 5, 50)]));
        state
    }

    fn names(state: &State) -> Vec<String> {
        state.rows().into_iter().map(|row| row.name).collect()
    }

    #[test]
    fn what_grew_since_the_mark_is_first() {
        let mut state = state();
        assert_eq!(names(&state), ["app.Session", "str"]);
        let rows = state.rows();
        let changes: Vec<_> = rows.iter().map(|row| (row.since_mark, row.since_last)).collect();
        assert_eq!(changes, [((4, 40), (4, 40)), ((0, -10), (0, -10))]);
        state.press(Key::Char('m'));
        assert_eq!(state.rows().first().map(|row| row.since_mark), Some((0, 0)));
        state.press(Key::Char('d'));
        assert!(state.rows().is_empty());
    }

    #[test]
    fn keys_filter_sort_and_ask() {
        let mut state = state();
        for key in [Key::Char('/'), Key::Char('S'), Key::Char('e'), Key::Enter] {
            assert_eq!(state.press(key), None);
        }
        assert_eq!(names(&state), ["app.Session"]);
        assert_eq!(state.press(Key::Enter), Some(Ask::Why("app.Session".into())));
        state.press(Key::Escape);
        state.press(Key::Char('s'));
        state.press(Key::Char('s'));
        assert_eq!(
            (state.sort, names(&state)),
            (Sort::Bytes, vec!["str".into(), "app.Session".into()])
        );
        state.press(Key::Down(100));
        assert_eq!(state.cursor, 1);
        assert_eq!(state.press(Key::Char('q')), Some(Ask::Quit));
    }

    #[test]
    fn a_page_is_scrolled_and_left() {
        let mut state = state();
        state.press(Key::Char('?'));
        state.press(Key::Down(3));
        assert_eq!(state.page.as_ref().map(|page| page.first), Some(3));
        state.press(Key::Escape);
        assert_eq!(state.page, None);
    }

    #[test]
    fn the_standstill_counts_the_rest_after_a_look() {
        let share = state().standstill();
        assert!((share - 0.02 / 2.0).abs() < 1e-9, "{share}");
    }
}
