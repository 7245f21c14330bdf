//! Whose code a file is: the program's own, an installed package's, or the standard library's; and what of its path a
//! reader needs.

/// Whose code a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The program itself.
    Program,
    /// An installed package.
    Package,
    /// The standard library.
    Library,
}

impl Origin {
    /// Whose code the file of a frame is, and its path within that code.
    pub fn of(file: &str) -> (Origin, &str) {
        for directory in ["/site-packages/", "/dist-packages/"] {
            if let Some((_, inside)) = file.rsplit_once(directory) {
                return (Origin::Package, inside);
            }
        }
        if file.starts_with("<frozen ") {
            return (Origin::Library, file);
        }
        for directory in ["/lib/python3.", "/lib64/python3."] {
            if let Some((_, rest)) = file.split_once(directory)
                && let Some((_, inside)) = rest.split_once('/')
            {
                return (Origin::Library, inside);
            }
        }
        (Origin::Program, file)
    }
}

/// The part of a file's path that identifies it to a reader: for a package or the standard library the part
/// after their directory, otherwise the file and its directory.
pub fn short_path(file: &str) -> &str {
    match Origin::of(file) {
        (Origin::Program, _) => {
            let directory = file.rmatch_indices('/').nth(1);
            directory.and_then(|(slash, _)| file.get(slash + 1..)).unwrap_or(file)
        }
        (_, inside) => inside,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_shortened_to_what_tells_files_apart() {
        for (file, expected) in [
            ("/srv/shop/app/views.py", "app/views.py"),
            ("/srv/app.py", "srv/app.py"),
            ("/app.py", "/app.py"),
            ("app.py", "app.py"),
            ("./app.py", "./app.py"),
            ("<string>", "<string>"),
            ("<frozen importlib._bootstrap>", "<frozen importlib._bootstrap>"),
            ("/usr/lib/python3.11/json/decoder.py", "json/decoder.py"),
            ("/opt/py/lib/python3.13t/threading.py", "threading.py"),
            (
                "/v/lib/python3.12/site-packages/django/db/models/base.py",
                "django/db/models/base.py",
            ),
            ("/usr/lib/python3/dist-packages/yaml/__init__.py", "yaml/__init__.py"),
            ("/home/ünï/日本/模块.py", "日本/模块.py"),
            ("", ""),
        ] {
            assert_eq!(short_path(file), expected);
        }
    }
}
