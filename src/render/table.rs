//! Tables for a terminal: columns that fit its width.
//!
//! Where there is no room, columns of text are wrapped or shortened, and then columns are dropped, the least important
//! first. Numbers are never broken.

use super::RenderError;
use super::fitting::{shorten, width, wrap};
use super::sheet::{HEADING, Sheet};

/// The blanks between two columns.
pub(super) const GAP: usize = 2;
/// How narrow a column of text becomes before another column is dropped, if it is wider by itself.
const NARROW: usize = 34;
/// How narrow it becomes where no column is left to drop.
const NARROWEST: usize = 18;
/// A word of text up to this length is never cut.
const WORD: usize = 26;

/// How a column fills its width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    /// Numbers, to the right. Never shortened.
    Number,
    /// A name, to the left, shortened in the middle.
    Name,
    /// Text, to the left, continued in further lines.
    Text,
}

#[derive(Clone, Debug)]
struct Column {
    name: String,
    flow: Flow,
}

/// A table.
#[derive(Clone, Debug)]
pub struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
    /// The names of columns that can be dropped, the least important first.
    spare: &'static [&'static str],
}

impl Table {
    /// A table with these columns, all numbers.
    pub fn new<const N: usize>(names: [&str; N]) -> Table {
        let column = |name: &str| Column { name: name.to_owned(), flow: Flow::Number };
        Table { columns: names.map(column).into(), rows: Vec::new(), spare: &[] }
    }

    /// Columns that are names.
    pub fn names<const N: usize>(self, indices: [usize; N]) -> Table {
        self.flowing(indices, Flow::Name)
    }

    /// Columns that are text.
    pub fn texts<const N: usize>(self, indices: [usize; N]) -> Table {
        self.flowing(indices, Flow::Text)
    }

    fn flowing<const N: usize>(mut self, indices: [usize; N], flow: Flow) -> Table {
        for index in indices {
            if let Some(column) = self.columns.get_mut(index) {
                column.flow = flow;
            }
        }
        self
    }

    /// Columns that can be dropped where there is no room, the least important first.
    pub fn spare(mut self, names: &'static [&'static str]) -> Table {
        self.spare = names;
        self
    }

    /// Adds a row. Cells that are missing are empty.
    pub fn add_row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// Leaves out a column.
    pub fn hide(&mut self, name: &str) {
        if let Some(index) = self.columns.iter().position(|column| column.name == name) {
            self.columns.remove(index);
            for row in &mut self.rows {
                if index < row.len() {
                    row.remove(index);
                }
            }
        }
    }

    /// Writes the table, without trailing blanks.
    pub fn write(mut self, out: &mut impl Sheet) -> Result<(), RenderError> {
        let widths = match out.width() {
            None => self.natural(),
            Some(room) => loop {
                match self.widths(room, NARROW) {
                    Some(widths) => break widths,
                    None => {
                        let dropped = self
                            .spare
                            .iter()
                            .find(|name| self.columns.iter().any(|it| it.name == **name));
                        match dropped {
                            Some(name) => self.hide(name),
                            None => break self.tightest(room),
                        }
                    }
                }
            },
        };
        let names: Vec<String> = self.columns.iter().map(|column| column.name.clone()).collect();
        for line in self.lines(&names, &widths) {
            let line = out.styled(HEADING, &line);
            writeln!(out, "{line}")?;
        }
        for row in &self.rows {
            for line in self.lines(row, &widths) {
                writeln!(out, "{line}")?;
            }
        }
        Ok(())
    }

    /// The widths that the cells have by themselves.
    fn natural(&self) -> Vec<usize> {
        let widest = |(index, column): (usize, &Column)| {
            let cells = self.rows.iter().filter_map(|row| row.get(index)).map(|cell| width(cell));
            cells.max().unwrap_or_default().max(width(&column.name))
        };
        self.columns.iter().enumerate().map(widest).collect()
    }

    /// Widths without a column to drop: those of text become as narrow as it takes.
    fn tightest(&self, room: usize) -> Vec<usize> {
        let mut narrow = (NARROWEST..NARROW).rev();
        narrow
            .find_map(|least| self.widths(room, least))
            .unwrap_or_else(|| self.narrowest(NARROWEST))
    }

    /// The least widths.
    fn narrowest(&self, narrow: usize) -> Vec<usize> {
        let least = |(index, natural): (usize, usize)| match self.columns.get(index)?.flow {
            Flow::Number => Some(natural),
            Flow::Name => Some(natural.min(narrow)),
            Flow::Text => Some(natural.min(narrow.max(self.longest_word(index)))),
        };
        self.natural().into_iter().enumerate().filter_map(least).collect()
    }

    /// The width of the longest word of a column that is not cut.
    fn longest_word(&self, index: usize) -> usize {
        let cells = self.rows.iter().filter_map(|row| row.get(index));
        let words = cells.flat_map(|cell| cell.split(' ')).map(width);
        words.filter(|&width| width <= WORD).max().unwrap_or_default()
    }

    /// Widths that together take no more than `room`, if there are any.
    fn widths(&self, room: usize, narrow: usize) -> Option<Vec<usize>> {
        let (natural, mut widths) = (self.natural(), self.narrowest(narrow));
        let gaps = GAP * widths.len().saturating_sub(1);
        let mut left = room.checked_sub(widths.iter().sum::<usize>() + gaps)?;
        // What is left goes to the columns that lack most, evenly.
        while left > 0 {
            let lacking =
                natural.iter().zip(&mut widths).filter(|(natural, width)| **natural > **width);
            let Some((_, narrow)) = lacking.min_by_key(|(_, width)| **width) else { break };
            *narrow += 1;
            left -= 1;
        }
        Some(widths)
    }

    /// The lines of a row.
    fn lines(&self, row: &[String], widths: &[usize]) -> Vec<String> {
        let cell = |(index, column): (usize, &Column)| {
            let text = row.get(index).map(String::as_str).unwrap_or_default();
            let most = widths.get(index).copied().unwrap_or_default();
            match column.flow {
                Flow::Number => vec![text.to_owned()],
                Flow::Name => vec![shorten(text, most)],
                Flow::Text => {
                    wrap(text, most).into_iter().map(|line| shorten(&line, most)).collect()
                }
            }
        };
        let cells: Vec<Vec<String>> = self.columns.iter().enumerate().map(cell).collect();
        let height = cells.iter().map(Vec::len).max().unwrap_or_default();
        let line = |number: usize| {
            let mut line = String::new();
            for ((lines, column), &most) in cells.iter().zip(&self.columns).zip(widths) {
                let text = lines.get(number).map(String::as_str).unwrap_or_default();
                let blanks = " ".repeat(most.saturating_sub(width(text)));
                match column.flow {
                    Flow::Number => line.extend([&*blanks, text]),
                    Flow::Name | Flow::Text => line.extend([text, &*blanks]),
                }
                line.push_str(&" ".repeat(GAP));
            }
            line.trim_end().to_owned()
        };
        (0..height).map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::sheet::Paper;

    fn lines(room: usize) -> Vec<String> {
        let mut table = Table::new(["type", "count", "share", "made of"])
            .names([0])
            .texts([3])
            .spare(&["share"]);
        let cells =
            ["app.models.fields.CharField", "1,024", "12.0 %", "2 app.Node, list, 3 more types"];
        table.add_row(cells.map(str::to_owned));
        let mut out = Paper::new(room);
        table.write(&mut out).expect("memory can be written");
        out.lines()
    }

    #[test]
    fn wide_enough_is_left_alone() {
        assert_eq!(
            lines(80),
            [
                "type                         count   share  made of",
                "app.models.fields.CharField  1,024  12.0 %  2 app.Node, list, 3 more types",
            ]
        );
    }

    #[test]
    fn the_least_important_column_goes_and_text_is_wrapped() {
        assert_eq!(
            lines(70),
            [
                "type                         count  made of",
                "app.models.fields.CharField  1,024  2 app.Node, list, 3 more types",
            ]
        );
        assert_eq!(
            lines(48),
            [
                "type                  count  made of",
                "…fields.CharField     1,024  2 app.Node, list, 3",
                "                             more types",
            ]
        );
    }

    #[test]
    fn a_word_of_text_is_not_cut() {
        let mut table = Table::new(["type", "advice"]).names([0]).texts([1]);
        let cells = ["app.models.fields.CharField", "use dataclass(slots=True), or less"];
        table.add_row(cells.map(str::to_owned));
        let mut out = Paper::new(42);
        table.write(&mut out).expect("memory can be written");
        let expected = [
            "type                advice",
            "…fields.CharField   use",
            "                    dataclass(slots=True),",
            "                    or less",
        ];
        assert_eq!(out.lines(), expected);
    }
}
