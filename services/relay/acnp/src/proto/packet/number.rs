//! Packet numbers on the wire: as few of their low bits as can be understood (ACNP-3).

/// The largest packet number.
pub const NUMBER_MAX: u64 = (1 << 62) - 1;
/// Most bytes that a number takes on the wire.
pub const NUMBER_LEN_MAX: usize = 4;

/// Bytes to send of `number`, when the peer has acknowledged everything up to `acked` (`None`: nothing yet).
#[must_use]
pub fn wire_len(number: u64, acked: Option<u64>) -> usize {
    let span = acked.map_or(number + 1, |acked| number.saturating_sub(acked));
    // Twice the span has to fit, and one more, so that the window's half on either side is enough.
    match span {
        0..0x80 => 1,
        0x80..0x8000 => 2,
        0x8000..0x80_0000 => 3,
        _ => 4,
    }
}

/// Appends the low `len` bytes of `number`.
pub fn put(out: &mut Vec<u8>, number: u64, len: usize) {
    out.extend_from_slice(&number.to_be_bytes()[8 - len..]);
}

/// The low bits that `bytes` (1..=4 of them) hold.
#[must_use]
pub fn truncated(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// The full number with these low `len` bytes that is closest to `expected` (RFC 9000 §A.3).
#[must_use]
pub fn expand(truncated: u64, len: usize, expected: u64) -> u64 {
    let window = 1_u64 << (8 * len);
    let candidate = expected & !(window - 1) | truncated;
    if candidate + window / 2 <= expected && candidate + window <= NUMBER_MAX {
        candidate + window
    } else if candidate > expected + window / 2 && candidate >= window {
        candidate - window
    } else {
        candidate
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_rfc_s_sample_expands_as_it_says() {
        assert_eq!(expand(0x9b32, 2, 0xa82f_30eb), 0xa82f_9b32);
    }

    proptest! {
        #[test]
        fn a_number_is_understood_wherever_the_receiver_may_be(
            acked in 0..1_u64 << 40, span in 1..1_u64 << 31, seen in 0.0..1.0
        ) {
            let number = acked + span;
            let len = wire_len(number, Some(acked));
            // The receiver has seen at least what it acknowledged, and at most what was sent.
            let expected = acked + 1 + (seen * (span - 1) as f64) as u64;
            let mut wire = Vec::new();
            put(&mut wire, number, len);
            prop_assert_eq!(expand(truncated(&wire), len, expected), number);
        }
    }
}
