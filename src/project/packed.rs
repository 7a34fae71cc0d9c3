//! Codes in as few bits as their codebook asks for: their length says nothing but their number, so that it can be
//! checked before anything is read.

/// Bits of one code of a codebook with `codes` codes.
fn bits_of(codes: u32) -> usize {
    (u32::BITS - codes.saturating_sub(1).leading_zeros()).max(1) as usize
}

/// Length of `count` packed codes, in bytes.
pub(super) fn packed_len(count: usize, codes: u32) -> usize {
    (count * bits_of(codes)).div_ceil(8)
}

/// Packs codes below `codes`, first code in the lowest bits.
pub(super) fn pack(cells: &[u16], codes: u32) -> Vec<u8> {
    let bits = bits_of(codes);
    let mut packed = Vec::with_capacity(packed_len(cells.len(), codes));
    let (mut waiting, mut count) = (0_u64, 0);
    for &cell in cells {
        waiting |= u64::from(cell) << count;
        count += bits;
        while count >= 8 {
            packed.push(waiting as u8);
            waiting >>= 8;
            count -= 8;
        }
    }
    if count > 0 {
        packed.push(waiting as u8);
    }
    packed
}

/// The `count` codes of [`pack`]; `None` where the length is another, a code is not below `codes`, or bits are left over.
pub(super) fn unpack(packed: &[u8], count: usize, codes: u32) -> Option<Vec<u16>> {
    if packed.len() != packed_len(count, codes) {
        return None;
    }
    let bits = bits_of(codes);
    let mask = (1_u64 << bits) - 1;
    let mut cells = Vec::with_capacity(count);
    let (mut waiting, mut have) = (0_u64, 0);
    let mut bytes = packed.iter();
    for _ in 0..count {
        while have < bits {
            waiting |= u64::from(*bytes.next()?) << have;
            have += 8;
        }
        let cell = waiting & mask;
        if cell >= u64::from(codes) {
            return None;
        }
        cells.push(cell as u16); // below `codes`, which are at most 65,534
        waiting >>= bits;
        have -= bits;
    }
    (waiting == 0).then_some(cells)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn codes_come_back_from_their_bits(
            codes in 1_u32..=65_534,
            cells in prop::collection::vec(any::<u16>(), 0..200),
        ) {
            let cells: Vec<u16> = (cells.iter())
                .map(|&cell| (u32::from(cell) % codes) as u16)
                .collect();
            let packed = pack(&cells, codes);
            prop_assert_eq!(packed.len(), packed_len(cells.len(), codes));
            prop_assert_eq!(unpack(&packed, cells.len(), codes), Some(cells.clone()));
            prop_assert_eq!(unpack(&packed, cells.len() + 9, codes), None);
        }

        #[test]
        fn no_code_is_beyond_the_codebook(codes in 1_u32..=65_534, packed in prop::collection::vec(any::<u8>(), 0..200)) {
            for count in 0..packed.len() * 8 {
                let cells = unpack(&packed, count, codes).unwrap_or_default();
                prop_assert!(cells.iter().all(|&cell| u32::from(cell) < codes));
            }
        }
    }

    #[test]
    fn a_code_too_large_or_bits_left_over_are_refused() {
        assert_eq!(pack(&[0, 4, 2], 5), [0b10_100_000, 0]);
        assert_eq!(unpack(&[0b10_100_000, 0], 3, 5), Some(vec![0, 4, 2]));
        assert_eq!(unpack(&[0b10_101_000, 0], 3, 5), None);
        assert_eq!(unpack(&[0b10_100_000, 2], 3, 5), None);
        assert_eq!(unpack(&[0b10_100_000], 3, 5), None);
    }
}
