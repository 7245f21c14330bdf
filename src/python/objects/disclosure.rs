//! How much of a program's data is disclosed, besides names.

/// How much of keys and values is disclosed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Disclosure {
    /// No dict keys and no values.
    Names,
    /// Keys that may be names: short text and small numbers. No values.
    #[default]
    Keys,
    /// All keys and values, shortened.
    Values,
}
