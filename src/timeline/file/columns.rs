//! leakspy's own format: comma-separated values (RFC 4180) with a header whose names end in units.

use std::io::BufRead;

use csv::{ReaderBuilder, WriterBuilder};

use super::FileError;
use crate::timeline::sample::Sample;
use crate::timeline::series::Timeline;

/// How such a file begins.
pub(super) const BEGINNING: &[u8] = b"time_s,pid";

/// Writes samples as lines, after a heading if `heading` is set.
pub(super) fn write(samples: &[Sample], heading: bool, out: &mut Vec<u8>) -> Result<(), FileError> {
    let mut writer = WriterBuilder::new().has_headers(heading).from_writer(out);
    for sample in samples {
        writer.serialize(sample).map_err(into_io)?;
    }
    Ok(writer.flush()?)
}

/// Reads such a file. Columns are found by name; others are ignored.
pub(super) fn read(mut file: impl BufRead) -> Result<Timeline, FileError> {
    // Ignores an incomplete last line, which can look complete: a number or a command may be cut short.
    let mut text = Vec::new();
    file.read_to_end(&mut text)?;
    let whole = text.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
    let text = text.get(..whole).unwrap_or_default();
    let mut reader = ReaderBuilder::new().flexible(true).from_reader(text);
    let mut timeline = Timeline::default();
    for record in reader.deserialize::<Sample>() {
        match record {
            Ok(sample) => timeline.add(sample),
            Err(error) => {
                let line = error.position().map(csv::Position::line).unwrap_or_default();
                return Err(FileError::NoSample { line, what: error.to_string() });
            }
        }
    }
    timeline.finish();
    Ok(timeline)
}

fn into_io(error: csv::Error) -> FileError {
    FileError::Io(error.into())
}
