//! Where the resident set of a hunted process grew, and growth without a known cause.

use std::io::Write;

use super::RenderError;
use super::hunt::{signed_bytes, unit};
use crate::hunt::accounts::{Growing, Rates, Unexplained};
use crate::hunt::verdict::Verdict;

/// Writes the rate of each place: they add up to that of the resident set.
pub(super) fn write_places(
    growth: &Rates,
    verdict: &Verdict,
    out: &mut impl Write,
) -> Result<(), RenderError> {
    let unit = unit(verdict);
    let rate = |bytes: f64| format!("{}/{unit}", signed_bytes(bytes));
    let of_place = |it: &Growing| format!("{} {}", it.place.name(), rate(it.bytes_per_s));
    let places: Vec<String> =
        growth.places.iter().filter(|it| it.bytes_per_s.abs() >= 1.0).map(of_place).collect();
    Ok(writeln!(
        out,
        "The resident set grew by {} in its last {:.0} {unit}, of which {} is private: {}.",
        rate(growth.rss_bytes_per_s),
        growth.seconds,
        rate(growth.private_bytes_per_s),
        if places.is_empty() { "nowhere".into() } else { places.join(", ") }
    )?)
}

/// Says that memory grows without a known cause, where that is, and what to do next.
pub(super) fn write_unexplained(
    unexplained: &Unexplained,
    verdict: &Verdict,
    out: &mut impl Write,
) -> Result<(), RenderError> {
    let rate = signed_bytes(unexplained.bytes_per_s);
    let place = unexplained.place.map_or(String::new(), |it| format!(", mostly in {}", it.name()));
    Ok(writeln!(
        out,
        "\nGrows, cause not found: {rate}/{} of the resident set has no explanation{place}. Hunt for longer \
         (--duration {:.0}), and see what it is made of: leakspy mem --pid {}",
        unit(verdict),
        (4.0 * verdict.duration_s / 10.0).ceil() * 10.0,
        verdict.pid
    )?)
}
