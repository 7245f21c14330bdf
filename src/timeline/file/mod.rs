//! Files of samples: leakspy's own, and those of memory_profiler's `mprof`.
//!
//! Both are written as the samples come, a line at a time, so a sudden end loses at most the moment being
//! written. An incomplete last line is therefore not an error.

mod columns;
mod mprof;

use std::io::{self, BufRead, Write};

use super::sample::Sample;
use super::series::Timeline;
use crate::obstacle::{Obstructed, Obstruction};

/// The format of a file of samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Form {
    /// A table: a heading with names and units, then a line for each process and moment.
    #[default]
    Csv,
    /// The format of `mprof run` and `mprof attach`.
    Mprof,
}

/// Why a file could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// Reading or writing failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is a table, but not of samples.
    #[error("line {line} is no sample: {what}")]
    NoSample {
        /// The line, from 1.
        line: u64,
        /// What is wrong with it.
        what: String,
    },
    /// It is not a file of samples.
    #[error("not a file of `leakspy timeline`, nor one of `mprof`")]
    Unknown,
    /// It is empty.
    #[error("there are no samples in it")]
    Empty,
}

impl Obstructed for FileError {
    fn obstacle(&self) -> Option<Obstruction> {
        match self {
            FileError::Io(_)
            | FileError::NoSample { .. }
            | FileError::Unknown
            | FileError::Empty => None,
        }
    }
}

/// Writes samples as they come.
#[derive(Debug)]
pub struct Writer<W: Write> {
    out: W,
    form: Form,
    root: i32,
    begun: bool,
}

impl<W: Write> Writer<W> {
    /// Writes to `out`; `root` is the process that the others descend from.
    pub fn new(out: W, form: Form, root: i32) -> Writer<W> {
        Writer { out, form, root, begun: false }
    }

    /// Writes the samples of one moment and passes them on at once.
    pub fn write(&mut self, samples: &[Sample]) -> Result<(), FileError> {
        let mut bytes = Vec::new();
        match self.form {
            Form::Csv => columns::write(samples, !self.begun, &mut bytes)?,
            Form::Mprof => mprof::write(samples, self.root, !self.begun, &mut bytes)?,
        }
        self.begun |= !samples.is_empty();
        self.out.write_all(&bytes)?;
        Ok(self.out.flush()?)
    }
}

/// Reads a file of samples in either format.
pub fn read(mut file: impl BufRead) -> Result<Timeline, FileError> {
    let beginning = file.fill_buf()?;
    let timeline = match beginning {
        [] => return Err(FileError::Empty),
        beginning if beginning.starts_with(columns::BEGINNING) => columns::read(file)?,
        beginning if mprof::is_one(beginning) => mprof::read(file)?,
        _ => return Err(FileError::Unknown),
    };
    match timeline.series.is_empty() {
        true => Err(FileError::Empty),
        false => Ok(timeline),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Measure, Who};
    use super::*;

    fn sample(time_s: f64, pid: i32, mib: u64) -> Sample {
        Sample {
            time_s,
            pid,
            started_ticks: if pid == 0 { 0 } else { 7 },
            rss_bytes: mib << 20,
            collections_2: Some(3),
            pss_bytes: (mib > 5).then_some(5 << 20),
            stack: (mib > 5).then(|| "main (a.py:1);f \"x\", (a.py:2)".into()),
            command: if pid == 0 { "(all)".into() } else { "python app.py, \"quoted\"".into() },
            ..Sample::default()
        }
    }

    fn moments() -> [[Sample; 3]; 2] {
        [
            [sample(10.25, 0, 7), sample(10.25, 12, 4), sample(10.25, 13, 3)],
            [sample(10.5, 0, 9), sample(10.5, 12, 6), sample(10.5, 13, 3)],
        ]
    }

    fn written(form: Form) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut writer = Writer::new(&mut bytes, form, 12);
        for samples in moments() {
            writer.write(&samples).expect("a vector takes everything");
        }
        bytes
    }

    #[test]
    fn what_was_written_is_read() {
        let timeline = read(&*written(Form::Csv)).expect("it is one of ours");
        let all: Vec<Sample> =
            timeline.series.iter().flat_map(|series| series.samples.clone()).collect();
        let mut expected: Vec<Sample> = moments().concat();
        expected.sort_by_key(Sample::who);
        assert_eq!(all, expected);
    }

    #[test]
    fn mprof_has_memory_and_children() {
        let bytes = written(Form::Mprof);
        let text = String::from_utf8(bytes.clone()).expect("it is text");
        let expected = "CMDLINE python app.py, \"quoted\"\nMEM 4.000000 10.2500\n\
                        CHLD 13 3.000000 10.2500\nMEM 6.000000 10.5000\nCHLD 13 3.000000 10.5000\n";
        assert_eq!(text, expected);
        let timeline = read(&*bytes).expect("it is one of mprof's");
        let [main, child] = &*timeline.series else { panic!("two series: {timeline:?}") };
        assert_eq!((main.who, child.who), (Who::Process(1, 0), Who::Process(13, 1)));
        let points: Vec<_> = main.points(Measure::Rss).collect();
        assert_eq!(points, [(10.25, 4 << 20), (10.5, 6 << 20)]);
    }

    #[test]
    fn a_last_line_that_is_not_whole_is_left_out() {
        for form in [Form::Csv, Form::Mprof] {
            let whole = written(form);
            let lines = |bytes: &[u8]| {
                let timeline = read(bytes);
                timeline.map(|found| found.series.iter().map(|s| s.samples.len()).sum::<usize>())
            };
            let all = lines(&whole).expect("it is whole");
            // In mprof's format a line can be complete without its newline.
            let first = if form == Form::Csv { 1 } else { 2 };
            for missing in first..25 {
                let cut = &whole[..whole.len() - missing];
                assert_eq!(lines(cut).ok(), Some(all - 1), "{form:?} without {missing} bytes");
            }
        }
    }

    #[test]
    fn other_files_are_refused() {
        assert!(matches!(read(&b""[..]), Err(FileError::Empty)));
        assert!(matches!(read(&b"PK\x03\x04"[..]), Err(FileError::Unknown)));
        assert!(matches!(read(&b"time,value\n1,2\n"[..]), Err(FileError::Unknown)));
        assert!(matches!(read(&b"time_s,pid\n1,2\n3,4\n"[..]), Err(FileError::NoSample { .. })));
        assert!(matches!(read(&b"CMDLINE x\n"[..]), Err(FileError::Empty)));
        let wrong = b"MEM many 1.0\nMEM 1.0 2.0\n";
        assert!(matches!(read(&wrong[..]), Err(FileError::NoSample { line: 1, .. })));
    }
}
