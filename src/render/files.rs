//! What a verdict on snapshot files does not rest on.

use super::RenderError;
use super::sheet::Sheet;
use crate::hunt::verdict::Missing;

/// Says what could not be asked.
pub(super) fn write_missing(missing: &[Missing], out: &mut impl Sheet) -> Result<(), RenderError> {
    let words = missing.iter().map(|missing| match missing {
        Missing::Feeders => "who adds to a leak",
        Missing::Limits => {
            "limits of caches and code that removes from them (one that is filling may look like a leak)"
        }
        Missing::States => "states of objects",
        Missing::Values => {
            "values (an object that took the place of another like it may be taken for it)"
        }
        Missing::Native => "the memory of native code",
    });
    let words: Vec<&str> = words.collect();
    match words.is_empty() {
        true => Ok(()),
        false => Ok(writeln!(out, "Compared as files, which do not have: {}.", words.join("; "))?),
    }
}
