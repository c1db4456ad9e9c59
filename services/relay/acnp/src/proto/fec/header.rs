//! What a repair says of itself: the packets that it covers and the seed of its coefficients.
//!
//! On the wire: the lowest covered packet number (varint, RFC 9000 §16) | seed (u16, big-endian) | one byte | the covered set. The byte's
//! low seven bits are the span less one, where the span counts packet numbers from the lowest to the highest covered. If its high bit is set,
//! a byte with a number of runs follows and then their lengths, a byte each: covered, not covered, and so on by turns, and what is left of
//! the span is covered. Else a bitmap of the span follows, lowest bit first.

/// Packet numbers from the lowest to the highest that a repair may cover.
pub const SPAN_MAX: u64 = 128;

/// Bytes of a header that [`Encoder`](super::Encoder) makes at most; it covers fewer packets rather than write a longer one.
pub const HEADER_BYTES_MAX: usize = 20;

/// The highest packet number: 62 bits (RFC 9000 §12.3).
const PN_MAX: u64 = (1 << 62) - 1;

/// Marks the form in runs.
const RUNS: u8 = 0x80;

/// Not a header: cut short or out of bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a repair's header")]
pub struct Malformed;

/// A repair's covered set and seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    base: u64,
    /// Bit i: packet `base + i` is covered. Bit 0 is set.
    covered: u128,
    seed: u16,
}

impl Header {
    /// A header that covers `pns`, which rise; none if they are none, do not fit into a span, or go past 62 bits.
    #[must_use]
    pub fn new(pns: impl IntoIterator<Item = u64>, seed: u16) -> Option<Self> {
        let mut pns = pns.into_iter();
        let base = pns.next()?;
        let mut covered = 1_u128;
        for pn in pns {
            let offset = pn.checked_sub(base).filter(|offset| *offset < SPAN_MAX)?;
            covered |= 1 << offset;
        }
        Self::checked(base, covered, seed).ok()
    }

    fn checked(base: u64, covered: u128, seed: u16) -> Result<Self, Malformed> {
        let header = Self { base, covered, seed };
        if covered & 1 == 0 || base > PN_MAX || header.last() > PN_MAX { Err(Malformed) } else { Ok(header) }
    }

    /// The lowest packet number covered.
    #[must_use]
    pub const fn first(&self) -> u64 {
        self.base
    }

    /// The highest packet number covered.
    #[must_use]
    pub const fn last(&self) -> u64 {
        self.base + self.span() - 1
    }

    /// How many packets are covered.
    #[must_use]
    pub const fn count(&self) -> u32 {
        self.covered.count_ones()
    }

    const fn span(&self) -> u64 {
        128 - self.covered.leading_zeros() as u64
    }

    /// The covered packet numbers, rising, each with its coefficient, which is never zero.
    ///
    /// A coefficient is 1 + h mod 255, where h is splitmix64's output (Steele, Lea, Flood, OOPSLA 2014) for the state seed * 2^32 + offset
    /// from the lowest packet number: any coefficient is had without those before it.
    pub fn terms(&self) -> impl Iterator<Item = (u64, u8)> + use<> {
        let Self { base, covered, seed } = *self;
        (0..self.span()).filter(move |i| covered >> i & 1 == 1).map(move |i| (base + i, coefficient(seed, i)))
    }

    /// Appends the wire form, in which the covered set is written the shorter way.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_varint(self.base, out);
        out.extend(self.seed.to_be_bytes());
        let (span, bitmap) = (self.span() as u8, self.span().div_ceil(8) as usize);
        if self.runs_are_shorter() {
            out.extend([RUNS | (span - 1), self.runs() as u8]);
            self.put_runs(out);
        } else {
            out.push(span - 1);
            out.extend(&self.covered.to_le_bytes()[..bitmap]);
        }
    }

    fn put_runs(&self, out: &mut Vec<u8>) {
        let mut set = self.covered;
        for run in 0..self.runs() {
            let length = if run % 2 == 0 { set.trailing_ones() } else { set.trailing_zeros() };
            out.push(length as u8);
            set >>= length;
        }
    }

    /// Bytes of the wire form.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        let set = if self.runs_are_shorter() { 1 + self.runs() } else { self.span().div_ceil(8) };
        varint_len(self.base) + 3 + set as usize
    }

    /// Runs but for the last.
    const fn runs(&self) -> u64 {
        (self.covered ^ self.covered >> 1).count_ones() as u64 - 1
    }

    const fn runs_are_shorter(&self) -> bool {
        1 + self.runs() < self.span().div_ceil(8)
    }

    /// Reads a header from the front of `bytes`, and gives what follows it.
    ///
    /// # Errors
    /// [`Malformed`] whatever is wrong.
    pub fn decode(bytes: &[u8]) -> Result<(Self, &[u8]), Malformed> {
        let (base, bytes) = take_varint(bytes)?;
        let ([high, low, form], bytes) = bytes.split_first_chunk().ok_or(Malformed)?;
        let (seed, span) = (u16::from_be_bytes([*high, *low]), u32::from(form & !RUNS) + 1);
        let (covered, rest) =
            if form & RUNS == 0 { take_bitmap(bytes, span)? } else { take_runs(bytes, span)? };
        // The highest bit is set too, else the span was a lie; the span is not kept.
        if covered.leading_zeros() + span != u128::BITS {
            return Err(Malformed);
        }
        Ok((Self::checked(base, covered, seed)?, rest))
    }
}

fn coefficient(seed: u16, offset: u64) -> u8 {
    let mut z = (u64::from(seed) << 32 | offset).wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    1 + ((z ^ (z >> 31)) % 255) as u8
}

fn take_bitmap(bytes: &[u8], span: u32) -> Result<(u128, &[u8]), Malformed> {
    let (bitmap, rest) = bytes.split_at_checked(span.div_ceil(8) as usize).ok_or(Malformed)?;
    Ok((bitmap.iter().rev().fold(0, |set, byte| set << 8 | u128::from(*byte)), rest))
}

fn take_runs(bytes: &[u8], span: u32) -> Result<(u128, &[u8]), Malformed> {
    let (count, bytes) = bytes.split_first().ok_or(Malformed)?;
    let (runs, rest) = bytes.split_at_checked(usize::from(*count)).ok_or(Malformed)?;
    let all = u128::MAX >> (u128::BITS - span);
    let (mut covered, mut at) = (all, 0);
    for run in runs {
        // From here on the other way round.
        at += u32::from(*run);
        covered ^= all & u128::MAX.checked_shl(at).ok_or(Malformed)?;
    }
    Ok((covered, rest))
}

const fn varint_len(value: u64) -> usize {
    match value {
        0..0x40 => 1,
        0x40..0x4000 => 2,
        0x4000..0x4000_0000 => 4,
        _ => 8,
    }
}

fn put_varint(value: u64, out: &mut Vec<u8>) {
    let length = varint_len(value);
    let start = out.len();
    out.extend(&value.to_be_bytes()[8 - length..]);
    out[start] |= (length.trailing_zeros() as u8) << 6;
}

fn take_varint(bytes: &[u8]) -> Result<(u64, &[u8]), Malformed> {
    let length = 1 << (bytes.first().ok_or(Malformed)? >> 6);
    let (number, rest) = bytes.split_at_checked(length).ok_or(Malformed)?;
    let value = number.iter().fold(0_u64, |value, byte| value << 8 | u64::from(*byte));
    Ok((value & (u64::MAX >> (66 - 8 * length as u32)), rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_header_comes_back(base in 0..PN_MAX - SPAN_MAX, sparse in any::<u128>(), dense: bool, shift in 0_u32..128, seed: u16) {
            let covered = (if dense { u128::MAX ^ (1 << (sparse % 128)) } else { sparse }) >> shift | 1;
            let header = Header::checked(base, covered, seed).unwrap();
            let mut bytes = Vec::new();
            header.encode(&mut bytes);
            prop_assert_eq!(bytes.len(), header.encoded_len());
            bytes.push(7);
            prop_assert_eq!(Header::decode(&bytes), Ok((header, &[7][..])));
            prop_assert!(Header::decode(&bytes[..header.encoded_len() - 1]).is_err());
            let pns: Vec<u64> = header.terms().map(|(pn, _)| pn).collect();
            prop_assert_eq!(pns.len(), header.count() as usize);
            prop_assert_eq!(Header::new(pns, seed), Some(header));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            if let Ok((header, _)) = Header::decode(&bytes) {
                prop_assert!(header.last() - header.first() < SPAN_MAX);
                prop_assert!(header.terms().all(|(_, c)| c != 0));
            }
        }
    }

    #[test]
    fn the_bytes_are_these() {
        let mut bytes = Vec::new();
        Header::new([0x1234, 0x1235, 0x1237], 0xabcd).unwrap().encode(&mut bytes);
        assert_eq!(bytes, [0x52, 0x34, 0xab, 0xcd, 0x03, 0b1011]);
        bytes.clear();
        Header::new((5..45).chain(65..133), 1).unwrap().encode(&mut bytes);
        assert_eq!(bytes, [5, 0, 1, 0xff, 2, 40, 20]);
    }
}
