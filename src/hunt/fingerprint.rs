//! Fingerprints: what makes a finding of one hunt the same as one of another, of another process, on another day,
//! after an edit of the program.
//!
//! A fingerprint has two parts, `5f1c09ab-7d00e231`. The first stands for the place: the kind of leak and the path
//! of the holder without keys, indices, numbers of threads and lines; where no object holds what piles up, its type. The
//! second stands for the function that feeds it, by its name and its file's, and is absent if none was seen.

use std::fmt;
use std::str::FromStr;

use xxhash_rust::xxh3::xxh3_64;

use super::finding::{Feeder, Finding, LeakKind};
use super::suspects::names::STEP;
use crate::python::Frame;

/// A function that feeds at least this share is one of those that a list of known leaks names.
const LEAST_SHARE: f64 = 0.05;
/// Before the comment in a line of a list.
const COMMENT: char = '#';
/// Functions that Python inlines from 3.12 on.
const INLINED: [&str; 3] = ["<listcomp>", "<setcomp>", "<dictcomp>"];

impl Finding {
    /// Notes its fingerprint, once its feeders are known.
    pub(crate) fn take_fingerprint(&mut self) {
        self.fingerprint = Fingerprint::of(self).to_string();
    }
}

/// What identifies a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint {
    place: u32,
    feeder: Option<u32>,
}

impl Fingerprint {
    /// The fingerprint of a finding, with the function that feeds it most.
    pub fn of(finding: &Finding) -> Fingerprint {
        let feeder = feeding_functions(finding).first().map(|(function, _)| hash(function));
        Fingerprint { place: hash(&place(finding)), feeder }
    }

    /// One for each function that feeds a finding noticeably, so that it does not matter which of them was seen most.
    pub fn all_of(finding: &Finding) -> Vec<Fingerprint> {
        let place = hash(&place(finding));
        let functions = feeding_functions(finding);
        let noticed = functions
            .iter()
            .enumerate()
            .filter(|(number, (_, share))| *number == 0 || *share >= LEAST_SHARE);
        let all: Vec<Fingerprint> = noticed
            .map(|(_, (function, _))| Fingerprint { place, feeder: Some(hash(function)) })
            .collect();
        if all.is_empty() { vec![Fingerprint { place, feeder: None }] } else { all }
    }

    /// Whether both can be of the same leak: the place is the same, and the function if both have one.
    fn agrees_with(self, other: Fingerprint) -> bool {
        let (ours, theirs) = (self.feeder, other.feeder);
        self.place == other.place && (ours == theirs || ours.is_none() || theirs.is_none())
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.place)?;
        self.feeder.map_or(Ok(()), |feeder| write!(f, "-{feeder:08x}"))
    }
}

/// A text that is no fingerprint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it is no fingerprint: those look like 5f1c09ab-7d00e231")]
pub struct NoFingerprint;

impl FromStr for Fingerprint {
    type Err = NoFingerprint;

    fn from_str(text: &str) -> Result<Fingerprint, NoFingerprint> {
        let number = |digits: &str| {
            let is_hex = digits.len() == 8 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
            let number = u32::from_str_radix(digits, 16).ok();
            number.filter(|_| is_hex).ok_or(NoFingerprint)
        };
        match text.split_once('-') {
            Some((place, feeder)) => {
                Ok(Fingerprint { place: number(place)?, feeder: Some(number(feeder)?) })
            }
            None => Ok(Fingerprint { place: number(text)?, feeder: None }),
        }
    }
}

/// Known leaks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KnownLeaks(Vec<Fingerprint>);

impl KnownLeaks {
    /// Reads a list: a fingerprint a line, and whatever follows a `#` is a comment.
    ///
    /// # Errors
    /// The number of the line that has something else.
    pub fn parse(text: &str) -> Result<KnownLeaks, usize> {
        let mut known = Vec::new();
        for (number, line) in (1_usize..).zip(text.lines()) {
            let words = line.split(COMMENT).next().unwrap_or_default().trim();
            if !words.is_empty() {
                known.push(words.parse().map_err(|_| number)?);
            }
        }
        Ok(KnownLeaks(known))
    }

    /// Adds the leaks of another list.
    pub fn extend(&mut self, other: KnownLeaks) {
        self.0.extend(other.0);
    }

    /// Whether a finding is one of them.
    pub fn contain(&self, finding: &Finding) -> bool {
        let fingerprint = Fingerprint::of(finding);
        self.0.iter().any(|known| known.agrees_with(fingerprint))
    }
}

fn hash(text: &str) -> u32 {
    (xxh3_64(text.as_bytes()) >> 32) as u32
}

/// Where a leak is, in words that do not depend on the run.
fn place(finding: &Finding) -> String {
    let kind = format!("{:?}", finding.kind);
    match finding.kind {
        // Of several cycles, chance decides which is told.
        LeakKind::Uncollectable => [&*kind, &finding.holder.kind, &finding.grown].join(STEP),
        LeakKind::Garbage | LeakKind::Refcount => [&*kind, &finding.grown].join(STEP),
        _ => {
            let mut parts = vec![kind];
            for part in finding.holder.path.split(STEP).map(lasting) {
                // Keys of keys: the same place, however deep.
                if parts.last() != Some(&part) {
                    parts.push(part);
                }
            }
            parts.join(STEP)
        }
    }
}

/// A part of a path without what differs between runs.
fn lasting(part: &str) -> String {
    if part.starts_with("thread ") {
        return "thread".to_owned();
    }
    let part = part.rsplit_once(" × ").map_or(part, |(step, _)| step);
    if part.starts_with('[') {
        return "[…]".to_owned();
    }
    match part.strip_suffix(')').and_then(|rest| rest.rsplit_once(" (")) {
        Some((function, place)) => {
            let file = place.rsplit_once(':').map_or(place, |(file, _)| file);
            in_file(function, file)
        }
        None if part.starts_with(['(', '+']) => part.chars().take(1).collect(),
        None => part.to_owned(),
    }
}

/// A function by its own name and its file's: not by its class, which old interpreters do not know, nor by the folder
/// that the program happens to lie in.
fn in_file(function: &str, file: &str) -> String {
    let name = function.rsplit('.').next().unwrap_or_default();
    let file = file.rsplit('/').next().unwrap_or_default();
    format!("{name} ({file})")
}

/// The functions that feed a leak, with their shares, the largest first.
fn feeding_functions(finding: &Finding) -> Vec<(String, f64)> {
    let mut functions: Vec<(String, f64)> = Vec::new();
    for feeder in &finding.feeders {
        let Some(frame) = feeding_frame(feeder) else { continue };
        let function = in_file(&frame.function, &frame.file);
        match functions.iter_mut().find(|(known, _)| *known == function) {
            Some((_, share)) => *share += feeder.share,
            None => functions.push((function, feeder.share)),
        }
    }
    functions.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    functions
}

/// The function that a stack is told by: the program's own, or that of a library where no other is known.
fn feeding_frame(feeder: &Feeder) -> Option<&Frame> {
    let start = feeder
        .own_frame
        .as_ref()
        .and_then(|own| feeder.stack.iter().position(|frame| frame == own));
    let stack = feeder.stack.get(start.unwrap_or_default()..)?;
    let is_inlined =
        |frame: &&Frame| INLINED.contains(&frame.function.rsplit('.').next().unwrap_or_default());
    stack.iter().find(|frame| !is_inlined(frame)).or(stack.first())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hunt::finding::Holder;

    fn frame(function: &str, file: &str, line: u32) -> Frame {
        Frame::new(function, file, Some(line))
    }

    fn feeder(share: f64, frame: Frame) -> Feeder {
        Feeder { share, hits: 1, stack: vec![frame.clone()], own_frame: Some(frame) }
    }

    fn finding(path: &str, feeders: Vec<Feeder>) -> Finding {
        Finding {
            objects_per_s: 1.0,
            bytes_per_s: 1.0,
            bytes_per_object: 1.0,
            confidence: 1.0,
            feeders,
            ..Finding::new(
                LeakKind::Container,
                "app.Session",
                Holder { path: path.into(), ..Holder::default() },
            )
        }
    }

    fn fingerprint(path: &str, feeders: Vec<Feeder>) -> Fingerprint {
        Fingerprint::of(&finding(path, feeders))
    }

    #[test]
    fn keys_lines_threads_and_folders_do_not_matter() {
        let same = |one: &str, other: &str| {
            assert_eq!(fingerprint(one, vec![]), fingerprint(other, vec![]), "{one}, {other}");
        };
        same("module app › CACHE › ['a']", "module app › CACHE › [7] › [str]");
        same("module app › CACHE › ['a'] × 2", "module app › CACHE › […]");
        same("module app › .next × 7", "module app › .next × 19");
        same(
            "thread Thread-7 (work) › work (/srv/a/app.py:12) › local rows",
            "thread 0x7f1200 › App.work (/home/me/app.py:40) › local rows",
        );
        let fed = |function, file, line| {
            fingerprint("module app › CACHE", vec![feeder(1.0, frame(function, file, line))])
        };
        assert_eq!(fed("Cache.add", "/srv/app.py", 7), fed("add", "/tmp/x/app.py", 9));
        assert_eq!(fed("add", "/srv/app.py", 7).to_string().len(), 17);
    }

    #[test]
    fn names_kinds_and_functions_do() {
        let one = fingerprint("module app › CACHE", vec![]);
        assert_ne!(one, fingerprint("module app › OTHER", vec![]));
        assert_ne!(one, fingerprint("module app › CACHE › .items", vec![]));
        let spread = Finding { kind: LeakKind::Spread, ..finding("module app › CACHE", vec![]) };
        assert_ne!(one, Fingerprint::of(&spread));
        let fed = |function| {
            fingerprint("module app › CACHE", vec![feeder(1.0, frame(function, "app.py", 1))])
        };
        assert_ne!(fed("add"), fed("put"));
        // Nothing holds garbage, so its type tells where it is from.
        let garbage = |grown: &str| Finding {
            kind: LeakKind::Garbage,
            grown: grown.into(),
            ..finding("garbage", vec![])
        };
        assert_ne!(Fingerprint::of(&garbage("app.A")), Fingerprint::of(&garbage("app.B")));
    }

    #[test]
    fn comprehensions_are_told_by_the_function_they_are_in() {
        let inner = frame("load.<locals>.<listcomp>", "app.py", 3);
        let outer = frame("load", "app.py", 2);
        let old = Feeder {
            share: 1.0,
            hits: 1,
            stack: vec![inner.clone(), outer.clone()],
            own_frame: Some(inner),
        };
        let path = "module app › CACHE";
        assert_eq!(fingerprint(path, vec![old]), fingerprint(path, vec![feeder(1.0, outer)]));
    }

    #[test]
    fn a_known_leak_is_recognized_by_any_of_its_feeders() {
        let fed = |names: &[(&str, f64)]| {
            let feeders = names.iter().map(|(name, share)| feeder(*share, frame(name, "a.py", 1)));
            finding("module app › CACHE", feeders.collect())
        };
        let two = Fingerprint::all_of(&fed(&[("add", 0.6), ("put", 0.4)]));
        let lines: Vec<String> = two.iter().map(|it| format!("{it}  # it")).collect();
        assert_eq!(lines.len(), 2);
        let known = KnownLeaks::parse(&format!("# known\n\n{}\n", lines.join("\n")));
        let known = known.expect("it is a list");
        assert!(known.contain(&fed(&[("put", 0.7), ("add", 0.3)])));
        assert!(known.contain(&fed(&[])), "nobody was seen");
        assert!(!known.contain(&fed(&[("other", 1.0)])));
        let anyone = KnownLeaks::parse(&Fingerprint::of(&fed(&[])).to_string());
        assert!(anyone.expect("it is a list").contain(&fed(&[("other", 1.0)])));
    }

    #[test]
    fn a_list_with_anything_else_is_refused_with_the_line() {
        for wrong in ["x", "5f1c09ab-", "5f1c09ab-7d00e23", "+f1c09ab", "5f1c09ab-7d00e231-1"] {
            assert_eq!(KnownLeaks::parse(&format!("# one\n{wrong}\n")), Err(2), "{wrong}");
        }
    }
}
