//! One object: as text for a terminal and as JSON (docs/json.md).

use indicatif::{HumanBytes, HumanCount};
use serde::Serialize;

use super::RenderError;
use super::labels::{of_kind, printable, printable_code};
use super::preamble::Head;
use super::sheet::Sheet;
use super::table::Table;
use crate::inspect::object::{Neighbour, Shown};
use crate::python::Frame;
use crate::source::Provenance;

/// Writes an object.
pub fn write(
    shown: &Shown,
    provenance: &Provenance,
    out: &mut impl Sheet,
) -> Result<(), RenderError> {
    let what = of_kind(&shown.kind, shown.function.as_ref());
    let says = format!("{:#x} is an instance of {what}.", shown.address);
    provenance.heading(&says, out)?;
    writeln!(out)?;
    let external = match shown.external {
        0 => String::new(),
        bytes => format!(", {} elsewhere", HumanBytes(bytes)),
    };
    writeln!(out, "size        {}{external}", HumanBytes(shown.shallow))?;
    writeln!(
        out,
        "retains     {}, {}",
        HumanBytes(shown.retained.bytes),
        objects(shown.retained.objects.into())
    )?;
    writeln!(out, "references  {}", references(shown))?;
    let generation = match shown.generation {
        Some(generation) => generation.to_string(),
        None => "not tracked".to_owned(),
    };
    writeln!(out, "collector   {generation}{}", if shown.is_garbage { ", garbage" } else { "" })?;
    if !shown.roots.is_empty() {
        let roots: Vec<String> = shown.roots.iter().map(|root| printable(root)).collect();
        writeln!(out, "roots       {}", roots.join(", "))?;
    }
    if let Some(value) = &shown.value {
        writeln!(out, "value       {}", printable_code(value))?;
    }
    for (title, (count, neighbours)) in
        [("referred to by", &shown.referrers), ("refers to", &shown.referents)]
    {
        writeln!(out)?;
        writeln!(out, "{title} {}", objects(*count))?;
        neighbour_table(*count, neighbours, out)?;
    }
    Ok(())
}

/// A number of objects, in words.
fn objects(count: u64) -> String {
    match count {
        1 => "1 object".to_owned(),
        count => format!("{} objects", HumanCount(count)),
    }
}

/// Its reference count, in words.
fn references(shown: &Shown) -> String {
    let found = HumanCount(shown.references_found);
    match shown.references_counted {
        None => format!("immortal; {found} found"),
        Some(counted) => match counted.checked_sub(shown.references_found) {
            Some(0) => format!("{found}, all found"),
            Some(rest) => format!(
                "{}: {found} found in objects and frames, {} held by native code or the interpreter",
                HumanCount(counted),
                HumanCount(rest)
            ),
            // Some references are not counted: those that a frame borrows (3.14 and later), and words that
            // may only look like references.
            None => format!("{}, {found} found", HumanCount(counted)),
        },
    }
}

fn neighbour_table(
    count: u64,
    neighbours: &[Neighbour],
    out: &mut impl Sheet,
) -> Result<(), RenderError> {
    if neighbours.is_empty() {
        return Ok(());
    }
    let mut table =
        Table::new(["  as", "type", "address", "retained", "value"]).names([0, 1, 2]).texts([4]);
    for one in neighbours {
        table.add_row([
            format!("  {}", one.link.as_deref().map(printable_code).unwrap_or_default()),
            of_kind(&one.kind, one.function.as_ref()),
            format!("{:#x}", one.address),
            HumanBytes(one.retained.bytes).to_string(),
            one.value.as_deref().map(printable_code).unwrap_or_default(),
        ]);
    }
    if neighbours.iter().all(|one| one.value.is_none()) {
        table.hide("value");
    }
    table.write(out)?;
    match count.saturating_sub(neighbours.len() as u64) {
        0 => {}
        more => writeln!(out, "  ({} more)", HumanCount(more))?,
    }
    Ok(())
}

#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    head: Head<'a>,
    address: u64,
    r#type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    function: Option<&'a Frame>,
    shallow: u64,
    external: u64,
    retained: u64,
    retained_objects: u32,
    immortal: bool,
    references_counted: Option<u64>,
    references_found: u64,
    generation: Option<String>,
    garbage: bool,
    roots: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<&'a str>,
    referrers_count: u64,
    referrers: Vec<JsonNeighbour<'a>>,
    referents_count: u64,
    referents: Vec<JsonNeighbour<'a>>,
}

#[derive(Serialize)]
struct JsonNeighbour<'a> {
    link: Option<&'a str>,
    r#type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    function: Option<&'a Frame>,
    address: u64,
    retained: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<&'a str>,
}

impl<'a> From<&'a Neighbour> for JsonNeighbour<'a> {
    fn from(one: &'a Neighbour) -> JsonNeighbour<'a> {
        JsonNeighbour {
            link: one.link.as_deref(),
            r#type: &one.kind,
            function: one.function.as_ref(),
            address: one.address,
            retained: one.retained.bytes,
            value: one.value.as_deref(),
        }
    }
}

/// Writes an object as JSON.
pub fn write_json(
    shown: &Shown,
    provenance: &Provenance,
    out: &mut impl Sheet,
) -> Result<(), RenderError> {
    let document = Document {
        head: provenance.head(),
        address: shown.address,
        r#type: &shown.kind,
        function: shown.function.as_ref(),
        shallow: shown.shallow,
        external: shown.external,
        retained: shown.retained.bytes,
        retained_objects: shown.retained.objects,
        immortal: shown.references_counted.is_none(),
        references_counted: shown.references_counted,
        references_found: shown.references_found,
        generation: shown.generation.map(|generation| generation.to_string()),
        garbage: shown.is_garbage,
        roots: &shown.roots,
        value: shown.value.as_deref(),
        referrers_count: shown.referrers.0,
        referrers: shown.referrers.1.iter().map(JsonNeighbour::from).collect(),
        referents_count: shown.referents.0,
        referents: shown.referents.1.iter().map(JsonNeighbour::from).collect(),
    };
    serde_json::to_writer(&mut *out, &document)?;
    writeln!(out)?;
    Ok(())
}
