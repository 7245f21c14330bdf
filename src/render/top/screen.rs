//! The live view, drawn.

use indicatif::{HumanBytes, HumanCount};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Cell, Paragraph, Row as Cells, Table, TableState};

use super::state::{Page, Row, Sort, State};
use crate::heap::Composition;
use crate::render::fitting::shorten;
use crate::render::heap::table::signed_bytes;
use crate::render::labels::printable;
use crate::render::phrases::{mib, trend};
use crate::render::sparkline::sparkline;
use crate::render::time;

/// The lines above the table.
const HEADER: u16 = 5;
/// The least width at which a table has all columns.
const WIDE: u16 = 120;
/// The width of a column of numbers, with the blank before it.
const NUMBER: u16 = 13;
const BOLD: Style = Style::new().add_modifier(Modifier::BOLD);

/// Draws the view.
pub fn draw(frame: &mut Frame<'_>, state: &State) {
    let [header, body, footer] =
        Layout::vertical([Constraint::Length(HEADER), Constraint::Min(3), Constraint::Length(1)])
            .areas(frame.area());
    frame.render_widget(Paragraph::new(heading(state, header.width.into())), header);
    match &state.page {
        Some(page) => draw_page(frame, page, body),
        None => draw_table(frame, state, body),
    }
    frame.render_widget(Paragraph::new(keys(state)).style(Style::new().fg(Color::Cyan)), footer);
}

fn heading(state: &State, width: usize) -> Vec<Line<'static>> {
    let owner = &state.owner;
    let process = format!("Process {}: {}", owner.pid, printable(&owner.command));
    let python = format!("  (Python {})", printable(&owner.python));
    let process = shorten(&process, width.saturating_sub(python.len()));
    let rss = state.history.last().next_back().unwrap_or_default();
    let slope = state.history.trend().map(|it| format!(", {}", trend(&it))).unwrap_or_default();
    let limit = state.group.map_or_else(String::new, |group| {
        let (part, limit) = (100.0 * group.part(), mib(group.limit as f64));
        format!("; {part:.0} % of its group's {limit}")
    });
    let look = state.look.as_ref();
    let composition = look.and_then(|look| look.composition.as_ref());
    vec![
        Line::from(vec![Span::styled(process, BOLD), Span::raw(python)]),
        Line::raw(format!("RSS {}{slope}{limit}", mib(rss))),
        Line::raw(composition.map_or_else(String::new, parts)),
        Line::styled(sparkline(state.history.last()), Style::new().fg(Color::Yellow)),
        Line::raw(looks(state)),
    ]
}

/// The parts of the resident set, in a line.
fn parts(composition: &Composition) -> String {
    let c = composition;
    let parts = [
        ("Python", c.live_python()),
        ("free in pymalloc", c.free_in_pymalloc() + c.pymalloc.overhead),
        ("native", c.malloc.others),
        ("free in malloc", c.malloc.free + c.malloc.top),
        ("files", c.files),
        ("other", c.stacks + c.program_data + c.shared + c.other),
    ];
    parts.map(|(name, bytes)| format!("{name} {}", mib(bytes as f64))).join(" · ")
}

/// How often leakspy looks, and what that costs.
fn looks(state: &State) -> String {
    let Some(look) = &state.look else { return "Looking for the first time …".to_owned() };
    let objects: u64 = look.types.iter().map(|group| group.count).sum();
    let (now, last) = state.elapsed;
    let next = (last + look.rest).saturating_sub(now).as_secs();
    format!(
        "{} objects; look {}, next in {next} s; stands still {:.2} % of the time, {} a look",
        HumanCount(objects),
        state.looks.0,
        100.0 * state.standstill(),
        time(look.pause),
    )
}

fn draw_table(frame: &mut Frame<'_>, state: &State, area: Rect) {
    let is_wide = area.width >= WIDE;
    let columns = |all: [String; 8]| -> Vec<String> {
        let [name, count, bytes, retained, mark_count, mark, last_count, last] = all;
        match is_wide {
            true => vec![name, count, bytes, retained, mark_count, mark, last_count, last],
            false => vec![name, count, bytes, mark, last],
        }
    };
    let arrow = |sort: Sort| match sort == state.sort {
        true => format!("▼{}", sort.name()),
        false => sort.name().to_owned(),
    };
    let header = columns([
        "type".to_owned(),
        arrow(Sort::Count),
        arrow(Sort::Bytes),
        arrow(Sort::Retained),
        "Δ count".to_owned(),
        arrow(Sort::SinceMark),
        "Δ count".to_owned(),
        arrow(Sort::SinceLast),
    ]);
    let numbers = header.len().saturating_sub(1) as u16;
    let name_width = usize::from(area.width.saturating_sub(numbers * NUMBER)).max(12);
    let rows = state.rows();
    let row = |row: &Row| {
        let name = shorten(&printable(&row.name), name_width);
        let texts = columns([
            name,
            HumanCount(row.count).to_string(),
            HumanBytes(row.bytes).to_string(),
            HumanBytes(row.retained).to_string(),
            signed_count(row.since_mark.0),
            signed_bytes(row.since_mark.1.into()),
            signed_count(row.since_last.0),
            signed_bytes(row.since_last.1.into()),
        ]);
        let style = match row.since_mark.1 {
            1.. => Style::new().fg(Color::Yellow),
            _ => Style::new(),
        };
        Cells::new(cells(texts)).style(style)
    };
    let widths = std::iter::once(Constraint::Min(12))
        .chain(std::iter::repeat_n(Constraint::Length(NUMBER - 1), numbers.into()));
    let table = Table::new(rows.iter().map(row), widths)
        .header(Cells::new(cells(header)).style(BOLD))
        .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED));
    let cursor = state.cursor.min(rows.len().saturating_sub(1));
    let mut position = TableState::new().with_selected(Some(cursor));
    frame.render_stateful_widget(table, area, &mut position);
}

/// Texts as cells: the first to the left, numbers to the right.
fn cells(texts: Vec<String>) -> Vec<Cell<'static>> {
    let cell = |(index, text)| match index {
        0 => Cell::from(text),
        _ => Cell::from(Line::raw(text).right_aligned()),
    };
    texts.into_iter().enumerate().map(cell).collect()
}

fn signed_count(count: i64) -> String {
    match count {
        0 => "0".to_owned(),
        1.. => format!("+{}", HumanCount(count.unsigned_abs())),
        _ => format!("-{}", HumanCount(count.unsigned_abs())),
    }
}

fn draw_page(frame: &mut Frame<'_>, page: &Page, area: Rect) {
    let [title, body] = Layout::vertical([Constraint::Length(1), Constraint::Min(1)]).areas(area);
    frame.render_widget(Paragraph::new(page.title.clone()).style(BOLD), title);
    let lines: Vec<Line<'_>> = page.lines.iter().skip(page.first).map(Line::raw).collect();
    frame.render_widget(Paragraph::new(lines), body);
}

/// The last line: what is being typed, what happened, or what the keys do.
fn keys(state: &State) -> String {
    match () {
        () if state.is_typing => format!("Types that contain: {}_", state.filter),
        () if state.page.is_some() => {
            "↑↓ scroll  h hunt for the code that adds to it  any other key: back".to_owned()
        }
        () if !state.message.is_empty() => state.message.clone(),
        () => {
            let filter = match &*state.filter {
                "" => "/ filter".to_owned(),
                filter => format!("/{filter} (Esc: all)"),
            };
            let changed = if state.only_changed { "d all" } else { "d changed" };
            format!(
                "Enter why  h hunt  m mark  {changed}  s sort  {filter}  w write  ? help  q quit"
            )
        }
    }
}
