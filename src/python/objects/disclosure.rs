//! How much of a program's data is disclosed besides names.

/// How much is told of keys and values.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Disclosure {
    /// No key of a dict, and no value.
    Names,
    /// Keys that may be names: short text, and small numbers. No value.
    #[default]
    Keys,
    /// All keys and values, shortened.
    Values,
}
