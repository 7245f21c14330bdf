//! Trees in a terminal: branches drawn before each line; lines that are cut off are summed up in one.

use indicatif::HumanCount;

/// How much of a tree is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// The maximum number of children of a line.
    pub breadth: usize,
    /// The maximum depth.
    pub depth: usize,
    /// Lines with less weight are left out.
    pub least: u64,
}

/// A line of a tree, which may be left out.
pub(super) struct Row {
    /// The number of lines above it.
    pub depth: usize,
    /// Its text.
    pub text: String,
    /// The texts of its columns.
    pub columns: Vec<String>,
    /// Its weight, summed up if it is left out.
    pub weight: u64,
}

/// The lines of a table, each with its branch drawn before it. Lines beyond the extent become one that gives
/// their number, with columns for their weight.
pub(super) fn branches(
    rows: Vec<Row>,
    extent: Extent,
    more_columns: impl Fn(u64) -> Vec<String>,
) -> Vec<(String, Vec<String>)> {
    let mut kept: Vec<Row> = Vec::new();
    // For each depth: how many lines were shown and left out below the current line above, and the weight of
    // the latter.
    let mut seen: Vec<(usize, usize, u64)> = Vec::new();
    let mut hidden_below = usize::MAX;
    let close = |kept: &mut Vec<Row>, seen: &mut Vec<(usize, usize, u64)>, to: usize| {
        while seen.len() > to {
            let depth = seen.len() - 1;
            if let Some((_, more @ 1.., weight)) = seen.pop() {
                let text = format!("({} more)", HumanCount(more as u64));
                let columns = more_columns(weight);
                kept.push(Row { depth, text, columns, weight });
            }
        }
    };
    for row in rows {
        if row.depth >= extent.depth || row.depth > hidden_below {
            continue;
        }
        hidden_below = usize::MAX;
        close(&mut kept, &mut seen, row.depth + 1);
        seen.resize(row.depth + 1, (0, 0, 0));
        if let Some((shown, more, weight)) = seen.last_mut() {
            if *shown < extent.breadth && row.weight >= extent.least {
                *shown += 1;
            } else {
                *more += 1;
                *weight = weight.saturating_add(row.weight);
                hidden_below = row.depth;
                continue;
            }
        }
        kept.push(row);
    }
    close(&mut kept, &mut seen, 0);
    draw(kept)
}

/// Draws the branch before each line.
fn draw(rows: Vec<Row>) -> Vec<(String, Vec<String>)> {
    // Going up from the last line, the depths at which further lines follow are known.
    let mut follows: Vec<bool> = Vec::new();
    let mut drawn: Vec<(String, Vec<String>)> = rows
        .into_iter()
        .rev()
        .map(|row| {
            let mut text = String::new();
            follows.resize(row.depth + 1, false);
            for depth in 1..row.depth {
                text.push_str(if follows.get(depth) == Some(&true) { "│ " } else { "  " });
            }
            if row.depth > 0 {
                let more = follows.get(row.depth) == Some(&true);
                text.push_str(if more { "├ " } else { "└ " });
            }
            if let Some(here) = follows.last_mut() {
                *here = true;
            }
            text.push_str(&row.text);
            (text, row.columns)
        })
        .collect();
    drawn.reverse();
    drawn
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(depths: &[usize], extent: Extent) -> Vec<String> {
        let row = |(index, &depth): (usize, &usize)| Row {
            depth,
            text: index.to_string(),
            columns: Vec::new(),
            weight: 1,
        };
        let rows = depths.iter().enumerate().map(row).collect();
        branches(rows, extent, |_| Vec::new()).into_iter().map(|(text, _)| text).collect()
    }

    #[test]
    fn branches_are_drawn_to_what_follows() {
        let all = Extent { breadth: 9, depth: 9, least: 0 };
        let expected = ["0", "├ 1", "│ └ 2", "└ 3", "  ├ 4", "  └ 5", "6"];
        assert_eq!(drawn(&[0, 1, 2, 1, 2, 2, 0], all), expected);
    }

    #[test]
    fn what_is_too_much_is_one_line() {
        let some = Extent { breadth: 1, depth: 2, least: 0 };
        let expected = ["0", "├ 1", "└ (2 more)", "(1 more)"];
        assert_eq!(drawn(&[0, 1, 2, 1, 2, 1, 0, 1], some), expected);
    }
}
