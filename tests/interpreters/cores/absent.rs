//! A core without the files that the process had mapped: what can be named is named.

use std::collections::HashMap;
use std::path::Path;

use leakspy::heap::Grouping;
use leakspy::process::core::binaries::Places;
use leakspy::source::{CoreFile, Source};
use libtest_mimic::Failed;

/// How many objects of each type a source has.
fn counts(source: &dyn Source) -> Result<HashMap<String, u64>, Failed> {
    let summary = source.summary(Grouping::Type)?;
    Ok(summary.types.into_iter().map(|group| (group.name, group.count)).collect())
}

/// At least 99 of 100 objects have the name of their type, as if nothing were missing.
pub fn most_types_have_names(path: &Path, whole: &CoreFile) -> Result<(), Failed> {
    let nothing = Places { sysroot: Some("/nowhere".into()), only_sysroot: true };
    let core = CoreFile::open(path, nothing, None)?;
    assert!(core.missing().is_some() && whole.missing().is_none());
    let (expected, found) = (counts(whole)?, counts(&core)?);
    let all: u64 = expected.values().sum();
    let named =
        |(name, count): (&String, &u64)| found.get(name).copied().unwrap_or_default().min(*count);
    let named: u64 = expected.iter().map(named).sum();
    let mut differences: Vec<_> = expected
        .iter()
        .filter(|&(name, count)| found.get(name) != Some(count))
        .map(|(name, count)| (count, name, found.get(name).copied().unwrap_or_default()))
        .collect();
    differences.sort();
    println!("{named} of {all} objects are named: {differences:?}");
    assert!(named * 100 >= all * 99, "{named} of {all}: {differences:#?}");
    let threads = (whole.threads(None)?, core.threads(None)?);
    assert_eq!(threads.0, threads.1);
    Ok(())
}
