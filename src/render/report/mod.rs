//! The report: one HTML file with everything about a heap, which any browser shows without a network.
//!
//! | | |
//! |---|---|
//! | `report.html` | the page, with places for style, script and data |
//! | `report.css` | its looks: dark and light, on a phone and in print |
//! | `base.js`, `flame.js`, `main.js` | what draws it: tables, the flamegraph and the tree, the parts in order |
//! | [`data`] | the figures, cut to what fits |
//!
//! The policy in the page allows only its own script and style, by their hashes, and nothing to be fetched. The
//! data is JSON, deflated and in base64, so no name in it is ever part of the page's text; the script puts names
//! in as text, and shows characters that would hide or reorder it.

mod data;

use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::DeflateEncoder;
use sha2::{Digest, Sha256};

pub use self::data::Parts;
use super::RenderError;

const PAGE: &str = include_str!("report.html");
const STYLE: &str = include_str!("report.css");
const SCRIPT: &str =
    concat!(include_str!("base.js"), include_str!("flame.js"), include_str!("main.js"));
/// The most bytes of a report.
const MOST_BYTES: usize = 2 << 20;

/// Writes a report of at most two megabytes. Branches of the tree that retain little are summed up until it
/// fits.
pub fn write(parts: &Parts<'_>, out: &mut impl Write) -> Result<(), RenderError> {
    let mut lines = data::MOST_LINES;
    loop {
        let page = page(&packed(&serde_json::to_vec(&parts.document(lines)?)?)?);
        if page.len() <= MOST_BYTES || lines < 100 {
            out.write_all(page.as_bytes())?;
            return Ok(());
        }
        lines /= 2;
    }
}

fn packed(json: &[u8]) -> Result<String, RenderError> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(json)?;
    Ok(STANDARD.encode(encoder.finish()?))
}

fn page(data: &str) -> String {
    let hash = |text: &str| format!("sha256-{}", STANDARD.encode(Sha256::digest(text)));
    let places = [
        ("{{script-hash}}", &*hash(SCRIPT)),
        ("{{style-hash}}", &*hash(STYLE)),
        ("{{style}}", STYLE),
        ("{{data}}", data),
        ("{{script}}", SCRIPT),
    ];
    let mut page = PAGE.to_owned();
    for (place, text) in places {
        page = page.replacen(place, text, 1);
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_the_data_is_part_of_the_page() -> Result<(), RenderError> {
        let hostile = br#"{"a": "</script><script>alert(1)</script>{{script}}"}"#;
        let page = page(&packed(hostile)?);
        assert!(!page.contains("alert(1)") && !page.contains("{{"));
        assert_eq!(page.matches("<script").count(), 2);
        Ok(())
    }
}
