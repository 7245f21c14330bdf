//! What a hunt says of growth that is no leak, or of which it is not known whether it is one.

use std::time::Duration;

use indicatif::{HumanCount, HumanDuration};

use super::accounts::write_unexplained;
use super::hunt::{headline, signed_bytes, signed_rate, size, unit};
use super::labels::{of_frame, printable, printable_code, short_places};
use super::sheet::Sheet;
use super::{Paths, RenderError};
use crate::hunt::finding::{Filling, Finding, Limit, Removal, Undecided, Until};
use crate::hunt::verdict::Verdict;

/// The longest time that is printed, in seconds.
const LONGEST_S: f64 = 1e9;

/// Says whether something leaks, if nothing but what is known does for certain; `where_looked` completes "nothing grew steadily".
pub(super) fn write_whether_it_leaks(
    verdict: &Verdict,
    known: &[Finding],
    where_looked: &str,
    out: &mut impl Sheet,
) -> Result<(), RenderError> {
    if let (Some(unexplained), [], []) =
        (&verdict.unexplained, &*verdict.findings, &*verdict.undecided)
    {
        return write_unexplained(unexplained, verdict, out);
    }
    match (&*verdict.findings, &*verdict.undecided, &*verdict.filling) {
        ([], [], _) if !known.is_empty() => writeln!(out, "\nNo new leak found.")?,
        ([], [], []) => writeln!(out, "\nNo leak found: nothing grew steadily {where_looked}.")?,
        ([], [], _) => writeln!(out, "\nNo leak found.")?,
        ([], _, _) => writeln!(out, "\nThere may be a leak; the hunt was too short to tell.")?,
        _ => {}
    }
    Ok(())
}

/// Writes what grows and is no leak, or may be none, if there is anything.
pub(super) fn write_other_growth(
    verdict: &Verdict,
    out: &mut impl Sheet,
) -> Result<(), RenderError> {
    if !verdict.undecided.is_empty() {
        writeln!(out, "\nGrowing, and undecided whether it is a leak:")?;
    }
    verdict
        .undecided
        .iter()
        .try_for_each(|undecided| write_undecided(undecided, unit(verdict), out))?;
    if !verdict.filling.is_empty() {
        writeln!(out, "\nGrowing towards a limit, and no leak:")?;
    }
    verdict.filling.iter().try_for_each(|filling| write_filling(filling, unit(verdict), out))
}

fn write_filling(filling: &Filling, unit: &str, out: &mut impl Sheet) -> Result<(), RenderError> {
    let Filling { growth, limit, full_in_s, bytes_to_come } = filling;
    let fed_by = growth.feeders.iter().find_map(|feeder| feeder.own_frame.as_ref());
    let line = fed_by.map_or(String::new(), |frame| format!(": {}", of_frame(frame, Paths::Short)));
    let [grown, name] = [&growth.grown, &growth.holder.name].map(|it| printable_code(it));
    writeln!(out, "\n-  {grown} objects fill {name}{line}")?;
    write_growth(growth, unit, out)?;
    let rest = size(*bytes_to_come);
    let time = HumanDuration(Duration::from_secs_f64(full_in_s.clamp(0.0, LONGEST_S)));
    match limit {
        Some(Limit { items, name, is_certain }) => {
            let word = if *is_certain { "limit" } else { "likely its limit" };
            let items = HumanCount(*items);
            match *full_in_s > 0.0 {
                true => writeln!(
                    out,
                    "   until     {items} items ({name}, {word}): in {time} at this pace, about {rest} more"
                )?,
                false => writeln!(
                    out,
                    "   until     it is pruned: it has more than {items} items ({name}, {word}); a longer --duration \
                     tells"
                )?,
            }
        }
        None if growth.removal.is_some() => writeln!(
            out,
            "   until     about {time} from now: about {rest} more; a longer --duration tells"
        )?,
        None => writeln!(
            out,
            "   until     about {time} from now, if its pace goes on falling: about {rest} more; a longer \
             --duration tells"
        )?,
    }
    match &growth.removal {
        Some(removal) => {
            Ok(writeln!(out, "   removed   by {}, likely", removal_in_words(removal))?)
        }
        None => Ok(()),
    }
}

fn write_undecided(
    undecided: &Undecided,
    unit: &str,
    out: &mut impl Sheet,
) -> Result<(), RenderError> {
    let Undecided { growth, tells_in_s, slows } = undecided;
    writeln!(out, "\n-  {}", headline(growth))?;
    write_growth(growth, unit, out)?;
    if *slows {
        return Ok(writeln!(
            out,
            "   slows     as a cache does that fills up, or a leak with less load: --duration {tells_in_s:.0} tells"
        )?);
    }
    let removal = growth.removal.as_ref().map_or("code on the way".to_owned(), removal_in_words);
    Ok(writeln!(
        out,
        "   removed   by {removal}, which was not seen to: --duration {tells_in_s:.0} tells"
    )?)
}

fn write_growth(growth: &Finding, unit: &str, out: &mut impl Sheet) -> Result<(), RenderError> {
    let Finding { objects_per_s, bytes_per_s, holder, .. } = growth;
    let bytes = signed_bytes(*bytes_per_s);
    writeln!(out, "   grows     {} objects/{unit}, {bytes}/{unit}", signed_rate(*objects_per_s))?;
    Ok(writeln!(out, "   held by   {}", short_places(&printable_code(&holder.path)))?)
}

/// Code that removes, and from when on.
pub(super) fn removal_in_words(removal: &Removal) -> String {
    let Removal { place, call, until } = removal;
    let when = match until {
        Some(Until::Items(items)) => format!(", above {} items", HumanCount(*items)),
        Some(Until::AgeS(seconds)) => format!(", after {seconds} s"),
        None => String::new(),
    };
    format!("{} ({}{when})", of_frame(place, Paths::Short), printable(call))
}
