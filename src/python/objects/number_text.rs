//! Numbers as `repr` writes them.

/// Writes a `float`.
pub(super) fn float(value: f64) -> String {
    let text = without_point(value);
    // What `repr` adds to whole numbers: they would read as an `int`.
    if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') { text + ".0" } else { text }
}

/// Writes a `complex` number.
pub(super) fn complex(real: f64, imaginary: f64) -> String {
    let imaginary_text = without_point(imaginary);
    if real == 0.0 && real.is_sign_positive() {
        return format!("{imaginary_text}j");
    }
    let sign = if imaginary_text.starts_with('-') { "" } else { "+" };
    format!("({}{sign}{imaginary_text}j)", without_point(real))
}

/// A number without the `.0` of a whole one; with an exponent if that is below -4 or above 15.
fn without_point(value: f64) -> String {
    if value.is_nan() {
        return "nan".to_owned();
    }
    if value.is_infinite() {
        return if value < 0.0 { "-inf" } else { "inf" }.to_owned();
    }
    let scientific = shortest(value);
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    match exponent.parse::<i32>().unwrap_or_default() {
        exponent @ -4..=15 => {
            let digits = mantissa.bytes().filter(u8::is_ascii_digit).count() as i32;
            format!("{value:.*}", (digits - 1 - exponent).max(0) as usize)
        }
        exponent => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{mantissa}e{sign}{:02}", exponent.unsigned_abs())
        }
    }
}

/// The fewest digits that give the same number, with an exponent. Of two that are as near, `repr` takes the even.
fn shortest(value: f64) -> String {
    let some = format!("{value:e}");
    let digits = some.bytes().take_while(|&byte| byte != b'e').filter(u8::is_ascii_digit).count();
    let even = format!("{value:.*e}", digits.saturating_sub(1));
    if even.parse() == Ok(value) { even } else { some }
}

/// Writes an `int` in decimal: its digits in base 2 to the 30, the least first.
pub(super) fn int(digits: &[u32], is_negative: bool) -> String {
    /// The largest power of ten that a digit has room for.
    const PART: u64 = 1_000_000_000;
    let mut rest = digits.to_vec();
    let mut parts = Vec::new();
    while rest.iter().any(|&digit| digit != 0) {
        let mut remainder = 0;
        for digit in rest.iter_mut().rev() {
            let value = remainder << 30 | u64::from(*digit);
            *digit = (value / PART) as u32;
            remainder = value % PART;
        }
        parts.push(remainder);
    }
    let mut text = if is_negative { "-" } else { "" }.to_owned();
    text.push_str(&parts.pop().unwrap_or_default().to_string());
    text.extend(parts.iter().rev().map(|part| format!("{part:09}")));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_read_as_in_python() {
        for (value, expected) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.5, "1.5"),
            (2_170_631_701_775_022.3, "2170631701775022.2"),
            (1e15, "1000000000000000.0"),
            (1e16, "1e+16"),
            (1.5e300, "1.5e+300"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (5e-324, "5e-324"),
            (-f64::NAN, "nan"),
            (f64::NEG_INFINITY, "-inf"),
        ] {
            assert_eq!(float(value), expected);
        }
    }

    #[test]
    fn complex_numbers_read_as_in_python() {
        assert_eq!(complex(0.0, 1.0), "1j");
        assert_eq!(complex(-0.0, -1.0), "(-0-1j)");
        assert_eq!(complex(1e16, f64::NAN), "(1e+16+nanj)");
        assert_eq!(complex(0.0, -0.0), "-0j");
    }

    #[test]
    fn ints_have_any_length() {
        assert_eq!(int(&[], false), "0");
        assert_eq!(int(&[7], true), "-7");
        assert_eq!(int(&[0, 0, 8], false), "9223372036854775808");
        assert_eq!(int(&[0, 0, 0, 1], true), "-1237940039285380274899124224");
    }
}
