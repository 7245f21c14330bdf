//! How often code takes the address of a function, a hint at whether the compiler inlined it; and where it
//! reads certain words.
//!
//! Relies on the two forms that x86-64 compilers use: an absolute 32-bit number in programs linked to a fixed
//! address, and `lea` relative to the next instruction elsewhere. Calls are not counted.

/// How often `code`, which lies at `base`, takes the address of `function`. Zero on other architectures.
pub fn count(code: &[u8], base: u64, function: u64) -> usize {
    if !cfg!(target_arch = "x86_64") {
        return 0;
    }
    let absolute = i32::try_from(function).ok().map(i32::to_le_bytes);
    let is_lea = |bytes: &[u8]| bytes[0] == 0x8d && bytes[1] & 0xc7 == 0x05;
    code.windows(6)
        .zip(base..)
        .filter(|(bytes, at)| {
            let [.., a, b, c, d] = **bytes else { return false };
            let number = [a, b, c, d];
            let next = at.wrapping_add(6);
            let relative = i64::from(i32::from_le_bytes(number)) as u64;
            Some(number) == absolute || (is_lea(bytes) && next.wrapping_add(relative) == function)
        })
        .count()
}

/// Where `code`, which lies at `base`, refers to one of these words relative to the next instruction: the
/// address of that next instruction, and the word. None on other architectures.
pub fn to_words(code: &[u8], base: u64, words: &[u64]) -> Vec<(u64, u64)> {
    /// What an instruction may have behind the reference: nothing, or a number to compare or store.
    const BEHIND: [u64; 3] = [0, 1, 4];
    if !cfg!(target_arch = "x86_64") {
        return Vec::new();
    }
    let next = |(bytes, at): (&[u8], u64)| {
        let distance = i64::from(i32::from_le_bytes(bytes.try_into().ok()?)) as u64;
        let ends = BEHIND.iter().map(|behind| at.wrapping_add(4 + behind));
        let mut read = ends.map(|end| (end, end.wrapping_add(distance)));
        read.find(|(_, word)| words.contains(word))
    };
    code.windows(4).zip(base..).filter_map(next).collect()
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_counted_and_calls_are_not() {
        // cmp rax, 0x4fb450; lea rax, [rip + 0x10]; call +0x10
        let code = [
            0x48, 0x3d, 0x50, 0xb4, 0x4f, 0x00, 0x48, 0x8d, 0x05, 0x10, 0, 0, 0, 0xe8, 0x10, 0, 0,
            0,
        ];
        assert_eq!(count(&code, 0x40_0000, 0x4f_b450), 1);
        assert_eq!(count(&code, 0x40_0000, 0x40_0000 + 13 + 0x10), 1);
        assert_eq!(count(&code, 0x40_0000, 0x40_0000 + 18 + 0x10), 0);
        assert_eq!(count(&[], 0, 0), 0);
    }

    #[test]
    fn reads_of_a_word_are_found_with_and_without_a_number_behind() {
        // mov rax, [rip + 0x10]; cmp dword [rip + 0x20], 1
        let code = [0x48, 0x8b, 0x05, 0x10, 0, 0, 0, 0x83, 0x3d, 0x20, 0, 0, 0, 0x01];
        let (first, second) = (0x1000 + 7 + 0x10, 0x1000 + 14 + 0x20);
        let read = [(0x1007, first), (0x100e, second)];
        assert_eq!(to_words(&code, 0x1000, &[first, second]), read);
        assert!(to_words(&code, 0x1000, &[first + 8]).is_empty());
    }
}
