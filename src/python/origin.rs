//! Whose code a file is: the program's own, an installed package's, or the standard library's.

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
