//! Leaks that others reported, with the versions that they name (`fixtures/public_leaks`): the first finding is
//! the leak and names the line that feeds it, and the twin beside it, with the mended version or the corrected
//! use, is calm. So are services that people suspected. All at the duration that a person gets by default.
//!
//! With `LEAKSPY_TEST_ROUNDS=10` the healthy services are hunted so many times each.

use std::path::{Path, PathBuf};

use libtest_mimic::{Failed, Trial};
use serde_json::Value;

use crate::support::{Interpreter, Target, assert_documented, interpreters, leakspy, missing};

/// How often healthy services are hunted, if not once.
const ROUNDS: &str = "LEAKSPY_TEST_ROUNDS";
/// How the names of healthy services begin.
const HEALTHY: &str = "healthy";

pub fn trials() -> Vec<Trial> {
    let (healthy, leaking): (Vec<_>, Vec<_>) =
        pinned().into_iter().partition(|it| it.name.starts_with(HEALTHY));
    let rounds: u32 = std::env::var(ROUNDS).map_or(1, |it| it.parse().expect("a number"));
    let leaks = leaking.iter().map(|it| it.trial("leaks", ""));
    let twins = leaking.iter().map(|it| it.trial("mended", HEALTHY));
    let rounds = (1..=rounds).flat_map(|round| {
        healthy.iter().map(move |it| it.trial(&format!("round_{round}"), HEALTHY))
    });
    leaks.chain(twins).chain(rounds).collect()
}

/// A program, and what it is run with.
#[derive(Clone)]
struct Pinned {
    name: String,
    minor: u64,
    /// The versions of each package: one, or one that leaks and one that is mended.
    packages: Vec<(String, Vec<String>)>,
}

/// All programs, as `fixtures/fetch-pinned` reads them.
fn pinned() -> Vec<Pinned> {
    let text = include_str!("../../fixtures/public_leaks/pinned");
    let programs = text.lines().filter(|line| !line.starts_with('#'));
    programs.map(|line| Pinned::read(line).unwrap_or_else(|| panic!("{line}"))).collect()
}

impl Pinned {
    fn read(line: &str) -> Option<Pinned> {
        let mut words = line.split_whitespace();
        let name = words.next()?.to_owned();
        let minor = words.next()?.strip_prefix("3.")?.parse().ok()?;
        let package = |word: &str| {
            let (name, versions) = word.split_once("==")?;
            Some((name.to_owned(), versions.split('/').map(str::to_owned).collect()))
        };
        Some(Pinned { name, minor, packages: words.map(package).collect::<Option<_>>()? })
    }

    /// The folders of its packages, those of the mended versions for the twin.
    fn folders(&self, is_mended: bool) -> Vec<PathBuf> {
        let home = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join(format!("fixtures/interpreters/pinned-3.{}", self.minor));
        let folder = |(name, versions): &(String, Vec<String>)| {
            let version = if is_mended { versions.last() } else { versions.first() };
            home.join(format!("{name}=={}/site-packages", version.map_or("", |it| it)))
        };
        self.packages.iter().map(folder).collect()
    }

    fn trial(&self, what: &str, argument: &'static str) -> Trial {
        let is_mended = !argument.is_empty();
        let name = format!("{}_{what}::3.{}", self.name, self.minor);
        let folders = self.folders(is_mended);
        let mut usable = interpreters().iter().filter(|it| it.root.is_none());
        let interpreter = usable.find(|it| it.version[1] == self.minor);
        let Some(interpreter) = interpreter.filter(|_| folders.iter().all(|it| it.is_dir())) else {
            return missing(name, "see fixtures/fetch-pinned");
        };
        let program = self.name.clone();
        Trial::test(name, move || {
            let mut target = start(interpreter, &program, argument, &folders);
            if is_mended { is_calm(&mut target) } else { is_told_first(&mut target) }
        })
    }
}

fn start(
    interpreter: &Interpreter,
    program: &str,
    argument: &'static str,
    folders: &[PathBuf],
) -> Target {
    let path = std::env::join_paths(folders).expect("plain paths");
    let arguments: Vec<&str> = Some(argument).into_iter().filter(|it| !it.is_empty()).collect();
    let variables = [("PYTHONPATH", path.to_str().expect("a plain path"))];
    Target::start_in(interpreter, &format!("public_leaks/{program}"), &arguments, &variables)
}

/// The verdict after the default duration.
fn hunt(target: &Target) -> Result<Value, Failed> {
    let output = leakspy(["hunt", "--json", "--pid", &target.pid().to_string()]);
    assert!(output.status.success(), "{output:?}");
    let document = serde_json::from_slice(&output.stdout)?;
    assert_documented("`leakspy hunt --json`", &document);
    Ok(document)
}

/// The first finding is the truth, and the first of its feeders a line that is marked in the program, or a
/// function of the library where no line of the program is at work.
fn is_told_first(target: &mut Target) -> Result<(), Failed> {
    let document = hunt(target)?;
    let truth = target.ask("truth");
    let first = &document["findings"][0];
    let kind = text(&first["type"]).rsplit('.').next();
    assert!(list(&truth["kinds"]).contains(&first["kind"]), "{truth}: {document:#}");
    assert!(list(&truth["types"]).iter().any(|it| kind == it.as_str()), "{truth}: {document:#}");
    let holder = text(&first["holder"]["name"]);
    assert!(holder.contains(text(&truth["holder"])), "{truth}: {document:#}");
    let feeder = &first["feeders"][0];
    let is_in = |frame: &Value, file: &Value| text(&frame["file"]).ends_with(text(file));
    let is_right = match list(&truth["library"]) {
        [function, file] => list(&feeder["stack"])
            .iter()
            .any(|frame| is_in(frame, file) && text(&frame["function"]).ends_with(text(function))),
        _ => {
            let own = &feeder["own_frame"];
            is_in(own, &truth["file"]) && list(&truth["lines"]).contains(&own["line"])
        }
    };
    assert!(is_right, "the line: {truth}: {document:#}");
    target.assert_healthy();
    Ok(())
}

fn is_calm(target: &mut Target) -> Result<(), Failed> {
    let document = hunt(target)?;
    let all = document.get("together").unwrap_or(&document);
    assert_eq!(list(&all["findings"]), [] as [Value; 0], "{document:#}");
    target.assert_healthy();
    Ok(())
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
