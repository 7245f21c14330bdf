//! The form of an output file: by an option, or by the extension of its name.

use std::path::Path;

use clap::ValueEnum;

use crate::cli::errors::CommandError;

/// The form asked for by an option or by the extension of the file; `None` if neither says anything.
///
/// `forms` lists the extensions with their forms, longer ones first; the first form of an extension is meant where no
/// option says another of them.
///
/// # Errors
/// The option contradicts the extension, or the extension is unknown and there is no option.
pub fn form<F: ValueEnum + Copy + PartialEq>(
    option: &str,
    asked: Option<F>,
    path: Option<&Path>,
    forms: &[(&str, &[F])],
) -> Result<Option<F>, CommandError> {
    let Some(name) = path.and_then(Path::file_name).map(|name| name.to_string_lossy()) else {
        return Ok(asked);
    };
    let lower = name.to_lowercase();
    let known = forms.iter().find(|(ending, _)| {
        lower.strip_suffix(ending).is_some_and(|stem| stem.len() > 1 && stem.ends_with('.'))
    });
    let refuse = |sentence: String| Err(CommandError::Usage(sentence.into()));
    match (asked, known) {
        (Some(asked), Some((ending, fitting))) if !fitting.contains(&asked) => refuse(format!(
            "`--{option} {}` is not the form of a file that ends in .{ending}: leave out `--{option}`, or change \
             the name",
            word(asked)
        )),
        (Some(asked), _) => Ok(Some(asked)),
        (None, Some((_, fitting))) => Ok(fitting.first().copied()),
        (None, None) => match Path::new(&lower).extension() {
            Some(ending) => refuse(format!(
                "the form of a file that ends in .{} is unknown; the name can end in {}",
                ending.to_string_lossy(),
                endings(forms)
            )),
            None => Ok(None),
        },
    }
}

/// The extensions in words.
fn endings<F>(forms: &[(&str, &[F])]) -> String {
    let all: Vec<String> = forms.iter().map(|(ending, _)| format!(".{ending}")).collect();
    match all.as_slice() {
        [rest @ .., last] if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        all => all.join(""),
    }
}

/// The word that stands for a form on the command line.
fn word<F: ValueEnum>(form: F) -> String {
    form.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
    enum Form {
        Json,
        Speedscope,
        Svg,
    }

    const FORMS: &[(&str, &[Form])] = &[
        ("speedscope.json", &[Form::Speedscope]),
        ("json", &[Form::Json, Form::Speedscope]),
        ("svg", &[Form::Svg]),
    ];

    fn found(asked: Option<Form>, path: &str) -> Result<Option<Form>, String> {
        form("format", asked, Some(Path::new(path)), FORMS).map_err(|error| error.to_string())
    }

    #[test]
    fn the_extension_says_the_form() {
        for (path, expected) in [
            ("a.svg", Some(Form::Svg)),
            ("/x/A.SVG", Some(Form::Svg)),
            ("a.json", Some(Form::Json)),
            ("a.speedscope.json", Some(Form::Speedscope)),
            ("-", None),
            ("/dev/stdout", None),
        ] {
            assert_eq!(found(None, path), Ok(expected), "{path}");
        }
        assert_eq!(found(Some(Form::Speedscope), "a.json"), Ok(Some(Form::Speedscope)));
        assert_eq!(found(Some(Form::Svg), "a.xyz"), Ok(Some(Form::Svg)));
    }

    #[test]
    fn what_contradicts_is_refused() {
        let said = found(Some(Form::Json), "a.svg").expect_err("it contradicts");
        assert!(
            said.starts_with("`--format json` is not the form of a file that ends in .svg"),
            "{said}"
        );
        let said = found(None, "a.pdf").expect_err("it is unknown");
        assert!(said.ends_with("can end in .speedscope.json, .json or .svg"), "{said}");
    }
}
