//! A version of CPython: `3.12.1`.

use std::fmt;

/// A version of CPython, ordered as versions are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// The 3 of 3.12.1.
    pub major: u8,
    /// The 12 of 3.12.1.
    pub minor: u8,
    /// The 1 of 3.12.1.
    pub micro: u8,
}

impl Version {
    /// From `PY_VERSION_HEX`, as in `Py_Version` (3.11+) and `_Py_DebugOffsets.version` (3.13+).
    pub fn from_hex(hex: u64) -> Option<Version> {
        let hex = u32::try_from(hex).ok()?;
        let [major, minor, micro, _release] = hex.to_be_bytes();
        (major != 0).then_some(Version { major, minor, micro })
    }

    /// From the beginning of `sys.version`: `3.12.1 (main, …`, `3.15.0a3+ (…`.
    pub fn from_text(text: &str) -> Option<Version> {
        let mut parts = text.splitn(3, '.');
        let major = parts.next()?.parse().ok()?;
        let minor = parts.next()?.parse().ok()?;
        let rest = parts.next()?;
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        Some(Version { major, minor, micro: rest.get(..end)?.parse().ok()? })
    }

    /// Major and minor from the name of an interpreter or its library: `python3.8`,
    /// `libpython2.7.so.1.0`.
    pub fn from_file_name(name: &str) -> Option<(u8, u8)> {
        let (_, rest) = name.split_once("python")?;
        let (major, rest) = rest.split_once('.')?;
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        Some((major.parse().ok()?, rest.get(..end)?.parse().ok()?))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.micro)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const V3_12_1: Version = Version { major: 3, minor: 12, micro: 1 };

    #[test]
    fn a_version_is_read_from_numbers_and_names() {
        assert_eq!(Version::from_hex(0x30c01f0), Some(V3_12_1));
        assert_eq!(Version::from_hex(0), None);
        assert_eq!(Version::from_hex(u64::MAX), None);
        assert_eq!(Version::from_text("3.12.1 (main, Dec  8 2023)"), Some(V3_12_1));
        assert_eq!(Version::from_text("3.12.1+ (heads/3.12)"), Some(V3_12_1));
        assert_eq!(Version::from_text("3.12"), None);
        assert_eq!(Version::from_text("3.x.1"), None);
        assert_eq!(Version::from_file_name("libpython2.7.so.1.0"), Some((2, 7)));
        assert_eq!(Version::from_file_name("python3.8"), Some((3, 8)));
        assert_eq!(Version::from_file_name("python3"), None);
        assert_eq!(V3_12_1.to_string(), "3.12.1");
    }
}
