//! Numbers in as few bytes as they need: seven bits per byte, the lowest first; the eighth bit says that more
//! follow (LEB128).

/// The maximum number of bytes of a number.
pub(super) const LONGEST: usize = 10;

/// Appends a number.
#[inline]
pub(super) fn write(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// The number at this position, which moves past it; `None` if there is none.
#[inline]
pub(super) fn read(bytes: &[u8], at: &mut usize) -> Option<u64> {
    let first = *bytes.get(*at)?;
    *at += 1;
    if first < 0x80 {
        return Some(first.into());
    }
    let mut number = u64::from(first & 0x7f);
    for shift in (7..).step_by(7).take(LONGEST - 1) {
        let byte = *bytes.get(*at)?;
        *at += 1;
        let bits = u64::from(byte & 0x7f);
        // The tenth byte has room for one bit.
        if shift == 63 && bits > 1 {
            return None;
        }
        number |= bits << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

/// The difference between two numbers, small in either direction.
#[inline]
pub fn difference(from: u64, to: u64) -> u64 {
    let signed = to.wrapping_sub(from) as i64;
    ((signed << 1) ^ (signed >> 63)) as u64
}

/// The number that has this difference to another.
#[inline]
pub fn apply(from: u64, difference: u64) -> u64 {
    from.wrapping_add((difference >> 1) ^ (difference & 1).wrapping_neg())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_are_read_as_they_were_written(numbers in prop::collection::vec(any::<u64>(), 0..20)) {
            let mut bytes = Vec::new();
            numbers.iter().for_each(|&number| write(number, &mut bytes));
            let mut at = 0;
            for number in numbers {
                prop_assert_eq!(read(&bytes, &mut at), Some(number));
            }
            prop_assert_eq!(read(&bytes, &mut at), None);
        }

        #[test]
        fn any_bytes_are_numbers_or_none(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let mut at = 0;
            while read(&bytes, &mut at).is_some() {}
            prop_assert!(at <= bytes.len());
        }

        #[test]
        fn differences_lead_back(from: u64, to: u64) {
            prop_assert_eq!(apply(from, difference(from, to)), to);
        }
    }

    #[test]
    fn near_numbers_have_small_differences() {
        assert_eq!([difference(5, 5), difference(5, 4), difference(5, 6)], [0, 1, 2]);
        assert_eq!(difference(u64::MAX, 0), 2);
    }
}
