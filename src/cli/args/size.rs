//! Sizes of memory, with their units.

use bytesize::ByteSize;

/// A size above zero, with its unit: `512KiB`, `1.5GiB`, `200MB`.
pub fn size(text: &str) -> Result<ByteSize, String> {
    let text = text.trim();
    let is_bare = text.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | '_'));
    if is_bare && !text.is_empty() {
        return Err(format!("a size needs a unit: {text}KiB, {text}MiB or {text}GiB"));
    }
    match text.parse::<ByteSize>() {
        Ok(size) if size.as_u64() > 0 => Ok(size),
        Ok(_) => Err("must be more than 0 bytes".to_owned()),
        Err(_) => Err("not a size such as 512KiB, 1.5GiB or 200MB".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_has_a_unit() {
        assert_eq!(size("2GiB"), Ok(ByteSize::gib(2)));
        assert_eq!(size("1.5 MiB"), Ok(ByteSize::kib(1536)));
        assert_eq!(size("200MB"), Ok(ByteSize::mb(200)));
        assert_eq!(size("10"), Err("a size needs a unit: 10KiB, 10MiB or 10GiB".to_owned()));
        for text in ["", "0B", "GiB", "-1GiB", "2 parsecs"] {
            assert!(size(text).is_err(), "{text}");
        }
    }
}
