//! Text within a width: measured, wrapped at blanks, shortened between words.

use unicode_width::UnicodeWidthStr;

/// Units that stay on the line of their number.
const UNITS: [&str; 9] = ["B", "KiB", "MiB", "GiB", "TiB", "%", "ms", "s", "h"];
/// What stands for words that were left out.
const GAP: &str = "…";
/// How far to the right a label can reach under which the rest of its line is continued.
const LAST_LABEL: usize = 26;

/// How many columns a text takes, control sequences for colours not counted.
pub fn width(text: &str) -> usize {
    match text.contains('\u{1b}') {
        true => anstream::adapter::strip_str(text).to_string().width(),
        false => text.width(),
    }
}

/// The words of a text, between single blanks: a number and its unit are one.
fn words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for word in text.split(' ') {
        let unit = word.trim_end_matches(['.', ',', ';', ':', ')']);
        match words.last_mut() {
            Some(number)
                if UNITS.contains(&unit)
                    && number.ends_with(|last: char| last.is_ascii_digit()) =>
            {
                number.push(' ');
                number.push_str(word);
            }
            _ => words.push(word.to_owned()),
        }
    }
    words
}

/// A text as lines of at most this width, broken at blanks only: a longer word has a line of its own.
pub fn wrap(text: &str, most: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in &words(text) {
        if !line.is_empty() && width(&line) + 1 + width(word) > most {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(line);
    lines
}

/// A line as lines of at most this width. Those after the first begin where the text behind its label does.
pub fn wrap_line(line: &str, most: usize) -> Vec<String> {
    if width(line) <= most {
        return vec![line.to_owned()];
    }
    let indent = hanging(line).min(most / 2);
    let start = line.len() - line.trim_start_matches(' ').len();
    let (blanks, text) = line.split_at_checked(start).unwrap_or(("", line));
    let mut lines: Vec<String> = Vec::new();
    let mut now = blanks.to_owned();
    let mut is_empty = true;
    // Runs of blanks stay as they are: they align columns.
    for word in &words(text) {
        if !is_empty && !word.is_empty() && width(&now) + 1 + width(word) > most {
            lines.push(std::mem::replace(&mut now, " ".repeat(indent)).trim_end().to_owned());
            is_empty = true;
        }
        if !is_empty {
            now.push(' ');
        }
        now.push_str(word);
        is_empty = false;
    }
    lines.push(now);
    lines
}

/// Where the continuation of a line begins: behind its label, its number or its indentation.
fn hanging(line: &str) -> usize {
    let plain = anstream::adapter::strip_str(line).to_string();
    let text = plain.trim_start_matches(' ');
    let mut found = plain.len() - text.len();
    if let Some((number, _)) = text.split_once(". ")
        && !number.is_empty()
        && number.chars().all(|c| c.is_ascii_digit())
    {
        found += number.len() + 2;
    }
    let mut blanks = 0;
    for (column, character) in plain.chars().enumerate().take(LAST_LABEL) {
        match character {
            ' ' => blanks += 1,
            _ if blanks >= 2 => (blanks, found) = (0, found.max(column)),
            _ => blanks = 0,
        }
    }
    found
}

/// A text in at most this width: words in the middle are left out, then the beginning of the last word, up to a dot
/// or slash. The branches of a tree before it stay.
pub fn shorten(text: &str, most: usize) -> String {
    if width(text) <= most {
        return text.to_owned();
    }
    let body = text.trim_start_matches([' ', '│', '├', '└']);
    let branch = text.strip_suffix(body).unwrap_or_default();
    let room = most.saturating_sub(width(branch)).max(1);
    let words: Vec<&str> = body.split(' ').collect();
    let Some((last, first)) = words.split_last().filter(|(_, first)| !first.is_empty()) else {
        return format!("{branch}{}", shorten_word(body, room));
    };
    let mut head = String::new();
    for word in first {
        if width(&head) + width(word) + 1 + width(GAP) + 1 + width(last) > room {
            break;
        }
        head.push_str(word);
        head.push(' ');
    }
    let first = first.first().copied().unwrap_or_default();
    match head.is_empty() {
        true if width(first) + 1 + width(GAP) <= room => format!("{branch}{first} {GAP}"),
        true => format!("{branch}{}", shorten_word(&format!("{GAP} {last}"), room)),
        false => format!("{branch}{head}{GAP} {last}"),
    }
}

/// A word in at most this width: its end, from a dot or slash on if there is one, or else from an underscore.
fn shorten_word(word: &str, most: usize) -> String {
    if width(word) <= most {
        return word.to_owned();
    }
    let fits = |end: &&str| width(end) < most;
    for separators in [&['.', '/'][..], &['_', '-', ':', '[', '(']] {
        let ends = word.match_indices(separators).filter_map(|(at, _)| word.get(at + 1..));
        if let Some(end) = ends.filter(|end| !end.is_empty()).find(fits) {
            return format!("{GAP}{end}");
        }
    }
    let mut ends = word.char_indices().filter_map(|(at, _)| word.get(at..));
    ends.find(fits).map_or_else(|| GAP.to_owned(), |end| format!("{GAP}{end}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_at_blanks_and_continued_behind_their_label() {
        assert_eq!(wrap("a bb ccc dddddddd", 6), ["a bb", "ccc", "dddddddd"]);
        let line = "   held by   module __main__ › CACHE  (dict at 0x7f61e1c09700)";
        let expected =
            ["   held by   module __main__ › CACHE ", "             (dict at 0x7f61e1c09700)"];
        assert_eq!(
            wrap_line(line, 40).iter().map(|l| l.trim_end()).collect::<Vec<_>>(),
            expected.map(str::trim_end)
        );
        assert_eq!(wrap_line("it has 20.72 MiB.", 13), ["it has", "20.72 MiB."]);
        assert_eq!(wrap_line("as 12 is", 6), ["as 12", "is"]);
        assert_eq!(wrap_line("1. one two three", 11), ["1. one two", "   three"]);
        assert_eq!(wrap_line("short", 11), ["short"]);
    }

    #[test]
    fn words_in_the_middle_go_first() {
        assert_eq!(shorten("local self of something __main__.Entry", 24), "local … __main__.Entry");
        assert_eq!(shorten("│ └ .products list", 15), "│ └ .products …");
        assert_eq!(shorten("│ └ .products list", 12), "│ └ … list");
        assert_eq!(shorten("django.db.models.fields.CharField", 20), "…fields.CharField");
        assert_eq!(shorten("stdlib_module_names{…}", 20), "…module_names{…}");
        assert_eq!(shorten("x".repeat(9).as_str(), 4), "…xxx");
        assert_eq!(shorten("fits", 4), "fits");
    }
}
