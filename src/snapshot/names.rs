//! Reading the names of references from a file.

use std::sync::Arc;

use super::columns;
use super::container::{FileError, Reader};
use super::load::load_nodes;
use super::records::RoleRecord;
use crate::heap::names::kept::{Definitions, FunctionNames, KeptNames, KeyForm, Texts};
use crate::python::Frame;
use crate::python::objects::Role;

/// The maximum length of a text: longer ones are never written.
pub(super) const LONGEST_TEXT: u64 = 1 << 16;
/// The maximum number of a function's variables of one kind.
const MOST_VARIABLES: u32 = 255;

/// Reads everything but the roles of the individual references.
pub(super) fn load_names(reader: &Reader, end: u32) -> Result<KeptNames, FileError> {
    let mut kept = KeptNames::default();
    let wrong = || FileError::contradiction(columns::ROLES, "is not what it should be");
    let records: Vec<RoleRecord> =
        serde_json::from_slice(&reader.bytes(columns::ROLES)?).map_err(|_| wrong())?;
    for record in records {
        if record.name().is_some_and(|name| name.len() as u64 > LONGEST_TEXT) {
            return Err(wrong());
        }
        let (role, words) = record.into_role().ok_or_else(wrong)?;
        if let Some(words) = &words {
            kept.words.insert(role, words.clone());
        }
        // It would be mistaken for the role with a separate key.
        if matches!(role, Role::Value(_)) {
            return Err(wrong());
        }
        kept.roles.push((role, words));
    }
    let mut forms = reader.numbers(columns::KEY_FORM)?;
    kept.key_words = load_texts(
        reader,
        [columns::KEY_NODE, columns::KEY_LENGTH, columns::KEY_TEXT],
        end,
        || match forms.below(3)? {
            0 => Ok(KeyForm::Type),
            1 => Ok(KeyForm::Text),
            _ => Ok(KeyForm::Number),
        },
    )?;
    kept.values = load_texts(
        reader,
        [columns::VALUE_NODE, columns::VALUE_LENGTH, columns::VALUE_TEXT],
        end,
        || Ok(()),
    )?;
    load_functions(reader, &mut kept, end)?;
    kept.definitions = load_definitions(reader, end)?;
    let nodes = load_nodes(reader, columns::COUNTED_NODE, end)?;
    let mut counts = reader.numbers(columns::COUNTED_COUNT)?;
    for node in nodes {
        kept.counts.insert(node, counts.number()?.checked_sub(1));
    }
    Ok(kept)
}

/// Reads texts of objects.
fn load_texts<F>(
    reader: &Reader,
    [nodes, lengths, text]: [&'static str; 3],
    end: u32,
    mut form: impl FnMut() -> Result<F, FileError>,
) -> Result<Texts<F>, FileError> {
    let nodes = load_nodes(reader, nodes, end)?;
    let text = reader.bytes(text)?;
    let ends = ends(reader, lengths, nodes.len(), text.len())?;
    let mut forms = Vec::new();
    for _ in &nodes {
        forms.push(form()?);
    }
    Ok(Texts { nodes, forms, ends, text })
}

/// Where each of `count` texts ends, which have `bytes` bytes in all.
fn ends(
    reader: &Reader,
    column: &'static str,
    count: usize,
    bytes: usize,
) -> Result<Vec<u32>, FileError> {
    let mut lengths = reader.numbers(column)?;
    let mut end: u64 = 0;
    let mut ends = Vec::new();
    for _ in 0..count {
        let length = lengths.number()?;
        end = end.saturating_add(length);
        if length > LONGEST_TEXT || end > bytes as u64 || end > u64::from(u32::MAX) {
            return Err(FileError::contradiction(column, "has a length that is too large"));
        }
        ends.push(end as u32);
    }
    Ok(ends)
}

/// Reads which functions objects are or run. An older file does not say.
fn load_definitions(reader: &Reader, end: u32) -> Result<Definitions, FileError> {
    if !reader.has(columns::DEFINITIONS) {
        return Ok(Definitions::default());
    }
    let wrong = || FileError::contradiction(columns::DEFINITIONS, "is not what it should be");
    let functions: Vec<Frame> =
        serde_json::from_slice(&reader.bytes(columns::DEFINITIONS)?).map_err(|_| wrong())?;
    let is_short = |text: &str| text.len() as u64 <= LONGEST_TEXT;
    if !functions.iter().all(|it| is_short(&it.function) && is_short(&it.file)) {
        return Err(wrong());
    }
    let nodes = load_nodes(reader, columns::DEFINED_NODE, end)?;
    let mut indices = reader.numbers(columns::DEFINED_BY)?;
    let mut by = Vec::new();
    for _ in &nodes {
        by.push(indices.below(functions.len() as u32)?);
    }
    Ok(Definitions { nodes, by, functions })
}

fn load_functions(reader: &Reader, kept: &mut KeptNames, end: u32) -> Result<(), FileError> {
    let nodes = load_nodes(reader, columns::FUNCTION_NODE, end)?;
    let mut closures = reader.numbers(columns::FUNCTION_CLOSURE)?;
    let mut defaults = reader.numbers(columns::FUNCTION_DEFAULTS)?;
    let mut places = reader.numbers(columns::FUNCTION_NAME)?;
    let text = reader.bytes(columns::NAME_TEXT)?;
    let count = reader.numbers(columns::NAME_LENGTH)?.left() as usize;
    let ends = ends(reader, columns::NAME_LENGTH, count, text.len())?;
    let names: Vec<Arc<str>> = std::iter::once(&0)
        .chain(&ends)
        .zip(&ends)
        .map(|(&start, &end)| text.get(start as usize..end as usize).unwrap_or_default())
        .map(|name| String::from_utf8_lossy(name).into())
        .collect();
    for node in nodes {
        let mut function = FunctionNames::default();
        let counts = [closures.below(MOST_VARIABLES + 1)?, defaults.below(MOST_VARIABLES + 1)?];
        for (count, into) in counts.into_iter().zip([&mut function.closure, &mut function.defaults])
        {
            for _ in 0..count {
                let place = places.below(names.len() as u32)?;
                into.extend(names.get(place as usize).cloned());
            }
        }
        kept.functions.insert(node, function);
    }
    Ok(())
}
