//! Where a recording goes: a file that is either whole or absent, or standard output.

use std::fmt::Display;
use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::ZonedDateTime;
use nix::unistd::{AccessFlags, access};

use super::terminal::say;
use crate::cli::errors::{CommandError, Context};
use crate::private_file::{PrivateFile, resolve};
use crate::profile::Profile;
use crate::profile::recording::Recorded;
use crate::profile::stack_recorder::RecordedStacks;
use crate::profile::tracemalloc::Traced;
use crate::render::{Form, Heading, Pauses, Style, View, summary};

/// The bytes that are collected before they are written to a file.
const STREAM: usize = 1 << 20;

/// How and where a profile is written.
#[derive(Debug, Clone, PartialEq)]
pub struct OutputSpec {
    /// Its form.
    pub form: Form,
    /// The weight that decides its widths, and how files are shown.
    pub style: Style,
    /// The file, `-` for standard output; by default one in the current directory.
    pub path: Option<PathBuf>,
}

/// Writes a recording, and sums it up in a paragraph.
pub fn write_recorded(recorded: &Recorded, spec: &OutputSpec) -> Result<(), CommandError> {
    let heading = Heading {
        pid: recorded.pid,
        command: recorded.command.clone(),
        python: recorded.version.to_string(),
        view: View::Allocated,
        duration: recorded.duration,
        samples: recorded.samples,
        pauses: recorded.pauses,
        accuracy: Some(recorded.accuracy),
        earlier: None,
    };
    write_all(&recorded.profile, &heading, spec)
}

/// Writes stacks that were recorded without pauses.
pub fn write_stacks(stacks: &RecordedStacks, spec: &OutputSpec) -> Result<(), CommandError> {
    let heading = Heading {
        pid: stacks.pid,
        command: stacks.command.clone(),
        python: stacks.version.to_string(),
        view: View::Stacks,
        duration: stacks.duration,
        samples: stacks.samples,
        pauses: Pauses::default(),
        accuracy: None,
        earlier: None,
    };
    if stacks.torn > 0 {
        say(format_args!(
            "Stacks left out because they changed while they were read: {}.",
            stacks.torn
        ));
    }
    write_all(&stacks.profile, &heading, spec)
}

/// Writes the traces of tracemalloc.
pub fn write_traced(traced: &Traced, spec: &OutputSpec) -> Result<(), CommandError> {
    let heading = Heading {
        pid: traced.pid,
        command: traced.command.clone(),
        python: traced.version.to_string(),
        view: View::Traced,
        duration: Duration::ZERO,
        samples: traced.processes,
        pauses: traced.pauses,
        accuracy: None,
        earlier: None,
    };
    write_all(&traced.profile, &heading, spec)
}

/// Writes a profile as `spec` says, and sums it up in a paragraph.
pub fn write_all(
    profile: &Profile,
    heading: &Heading,
    spec: &OutputSpec,
) -> Result<(), CommandError> {
    render_to_file(profile, heading, spec)?;
    summary::write(profile, heading, spec.style, &mut io::stderr())?;
    if profile.total().by(heading.view.measure(spec.style.by)) <= 0.0 {
        say(nothing(heading));
    }
    Ok(())
}

/// Writes `profile` as `spec` says, and tells the user where it is.
fn render_to_file(
    profile: &Profile,
    heading: &Heading,
    spec: &OutputSpec,
) -> Result<(), CommandError> {
    let mut bytes = Vec::new();
    spec.form.write(profile, heading, spec.style, &mut bytes)?;
    let path = match &spec.path {
        Some(path) if path == Path::new("-") => {
            let mut out = io::stdout().lock();
            return out.write_all(&bytes).and_then(|()| out.flush()).context("standard output");
        }
        Some(path) => path.clone(),
        None => default_path(heading.pid, spec.form.extension()),
    };
    write_whole(&path, &bytes).with_context(|| format!("cannot write {}", path.display()))?;
    say(format_args!("Wrote {}", path.display()));
    Ok(())
}

/// The message when nothing was recorded.
fn nothing(heading: &Heading) -> String {
    let (pid, seconds) = (heading.pid, heading.duration.as_secs_f64());
    let what = match heading.view {
        View::Allocated if heading.samples > 0 => {
            return format!(
                "In {seconds:.1} s too little was seen of process {pid} to tell what it allocates. \
                 Record for longer (`--duration`)."
            );
        }
        View::Allocated => "allocated nothing that was sampled",
        View::Stacks => "was never seen to run Python",
        View::Live => "had no objects",
        View::Fed => "has no leak that was seen being fed",
        View::Traced => {
            return format!(
                "tracemalloc has seen nothing allocated in process {pid} that is alive."
            );
        }
    };
    format!(
        "Process {pid} {what} in {seconds:.1} s. If it was idle, record for longer (`--duration`)."
    )
}

/// `leakspy-PID-TIME.svg` in the current directory.
pub fn default_path(pid: i32, ending: &str) -> PathBuf {
    format!("leakspy-{pid}-{}.{ending}", local_time()).into()
}

/// The local time as `20250131-235959`.
fn local_time() -> impl Display {
    ZonedDateTime::now().strftime("%Y%m%d-%H%M%S")
}

/// Makes sure that a file can be written, before anything is started that would be lost otherwise.
///
/// # Errors
/// It is a folder, or its folder is missing or cannot be written to.
pub fn check_writable(path: &Path) -> Result<(), CommandError> {
    let cannot = |why: &str| {
        CommandError::new(format_args!(
            "cannot write {}: {why}. Nothing was started.",
            path.display()
        ))
    };
    if path == Path::new("-") {
        return Ok(());
    }
    // A link stays a link: its target is replaced.
    let path_there = resolve(path).map_err(|error| cannot(&error.to_string()))?;
    match fs::symlink_metadata(&path_there) {
        Ok(there) if there.is_dir() => return Err(cannot("it is a folder")),
        Ok(there) if !there.is_file() => return Ok(()),
        _ => {}
    }
    let folder = path_there.parent().filter(|parent| !parent.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    if !folder.is_dir() {
        return Err(cannot(&format!("there is no folder {}", folder.display())));
    }
    access(folder, AccessFlags::W_OK | AccessFlags::X_OK).map_err(|errno| {
        cannot(&format!("the folder {} cannot be written to ({})", folder.display(), errno.desc()))
    })
}

/// A picture or chart as PNG, to be written to `path`.
pub fn png_of(svg: &str, path: &Path) -> Result<Vec<u8>, CommandError> {
    let instead = path.with_extension("svg");
    #[cfg(feature = "png")]
    return crate::render::png::of_svg(svg).with_context(|| {
        format!("cannot make {}; as SVG it can be had: `-o {}`", path.display(), instead.display())
    });
    #[cfg(not(feature = "png"))]
    {
        let _ = svg;
        Err(CommandError::new(format_args!(
            "This leakspy was built without PNG (its cargo feature `png`). It draws SVG, which any browser \
             shows: `-o {}`.",
            instead.display()
        )))
    }
}

/// Puts `bytes` at `path` in one step, so that no reader ever finds half of them. Only the user can read them.
pub fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = PrivateFile::create(path)?;
    file.write_all(bytes)?;
    file.finish()?;
    Ok(())
}

/// Writes to `path` as it comes, `-` for standard output: a reader never finds half a file under its name. Only
/// the user can read it.
pub fn write_streamed<E: Into<CommandError>>(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> Result<(), E>,
) -> Result<(), CommandError> {
    let cannot = || format!("cannot write {}", path.display());
    if path == Path::new("-") {
        let mut out = BufWriter::new(io::stdout().lock());
        write(&mut out).map_err(Into::into)?;
        return Ok(out.flush()?);
    }
    let file = PrivateFile::create(path).with_context(cannot)?;
    let mut out = BufWriter::with_capacity(STREAM, file);
    write(&mut out).map_err(Into::into)?;
    let file = out.into_inner().map_err(io::IntoInnerError::into_error).with_context(cannot)?;
    file.finish().with_context(cannot)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_nothing_else_is_left() -> io::Result<()> {
        let directory = tempfile::tempdir()?;
        let (file, link) = (directory.path().join("a.svg"), directory.path().join("link.svg"));
        write_whole(&file, b"first")?;
        std::os::unix::fs::symlink(&file, &link)?;
        write_whole(&link, b"second")?;
        assert_eq!(fs::read(&file)?, b"second");
        assert!(fs::symlink_metadata(&link)?.is_symlink());
        assert_eq!(fs::read_dir(directory.path())?.count(), 2);
        Ok(())
    }

    #[test]
    fn a_device_is_written_to_and_stays_what_it_is() -> io::Result<()> {
        write_whole(Path::new("/dev/null"), b"bytes")?;
        assert!(!fs::metadata("/dev/null")?.is_file());
        Ok(())
    }

    #[test]
    fn a_directory_that_is_not_there_is_an_error() {
        assert!(write_whole(Path::new("/nowhere/at/all.svg"), b"").is_err());
    }

    #[test]
    fn a_file_that_cannot_be_written_is_refused_before() -> io::Result<()> {
        let directory = tempfile::tempdir()?;
        let said = |path: &Path| check_writable(path).map_err(|error| error.to_string());
        for path in ["new.svg", "-", "/dev/null"] {
            assert_eq!(said(&directory.path().join(path)), Ok(()), "{path}");
        }
        let refused = said(directory.path()).expect_err("it is a folder");
        assert!(refused.ends_with("it is a folder. Nothing was started."), "{refused}");
        let refused = said(&directory.path().join("no/a.svg")).expect_err("no such folder");
        assert!(refused.contains("there is no folder"), "{refused}");
        Ok(())
    }

    #[test]
    fn a_default_name_has_the_pid_the_local_time_and_the_form() {
        let date = || -> String {
            let output = Command::new("date").arg("+%Y%m%d-%H%M%S").output().expect("date runs");
            String::from_utf8(output.stdout).expect("UTF-8").trim_end().to_owned()
        };
        let before = date();
        let name = default_path(12, "svg");
        let after = date();
        let name = name.to_str().expect("UTF-8");
        let time = name.strip_prefix("leakspy-12-").and_then(|rest| rest.strip_suffix(".svg"));
        let time = time.expect("prefix and ending");
        assert!((&*before..=&*after).contains(&time), "{before} {time} {after}");
    }
}
