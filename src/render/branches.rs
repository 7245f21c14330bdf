//! Trees in a terminal: branches drawn before each line, and what is cut off summed up in one line.

use indicatif::HumanCount;

/// How much of a tree is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// How many lines at most below one.
    pub breadth: usize,
    /// How many lines deep at most.
    pub depth: usize,
    /// What weighs less is left out.
    pub least: u64,
}

/// A line of a tree, to be shown or not.
pub(super) struct Row {
    /// How many lines lead to it.
    pub depth: usize,
    /// What is written there.
    pub text: String,
    /// What stands in the columns beside it.
    pub columns: Vec<String>,
    /// What is counted of lines that are left out.
    pub weight: u64,
}

/// Lines that go into a table, each with its branch drawn before it. Those that are too many become one
/// that says so, with columns for what they weigh.
pub(super) fn branches(
    rows: Vec<Row>,
    extent: Extent,
    more_columns: impl Fn(u64) -> Vec<String>,
) -> Vec<(String, Vec<String>)> {
    let mut kept: Vec<Row> = Vec::new();
    // How many lines have been seen at each depth below the current line of the depth before.
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
    // From the last line upwards it is known at which depths others follow.
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
