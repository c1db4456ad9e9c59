//! ACK: which packets were received, in ranges by gap and length (ACNP-41, ACNP-42).

use std::{ops::RangeInclusive, time::Duration};

use bytes::Bytes;

use super::kind;
use crate::proto::{
    PathId,
    varint::{Malformed, Reader, put_varint},
};

/// Most ranges that an ACK holds.
pub const ACK_RANGES_MAX: usize = 512;
/// Most recovered packets that an ACK names.
pub const RECOVERED_MAX: usize = 256;

/// Packets received by the mark that they bore.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EcnCounts {
    /// ECT(0).
    pub ect0: u64,
    /// ECT(1).
    pub ect1: u64,
    /// Congestion experienced.
    pub ce: u64,
}

/// Packets that were received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ack {
    /// The path whose numbers these are.
    pub path: PathId,
    /// The largest number received.
    pub largest: u64,
    /// How long the receiver sat on it.
    pub delay: Duration,
    /// The ranges.
    pub ranges: AckRanges,
    /// Marks counted, if the receiver sees them.
    pub ecn: Option<EcnCounts>,
    /// By how much packets came late, as the receiver measured.
    pub reordering: Option<Duration>,
    /// Which of the packets were lost and recovered.
    pub recovered: Recovered,
}

/// The ranges of an ACK, checked when it was read, decoded as they are walked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AckRanges {
    largest: u64,
    first_len: u64,
    pairs: Bytes,
}

impl AckRanges {
    /// The ranges from the largest numbers down.
    pub fn iter(&self) -> impl Iterator<Item = RangeInclusive<u64>> + '_ {
        let mut reader = Reader::new(&self.pairs);
        let mut smallest = self.largest - self.first_len;
        let rest = std::iter::from_fn(move || {
            let range = next_range(&mut reader, smallest).ok()?;
            smallest = *range.start();
            Some(range)
        });
        std::iter::once(self.largest - self.first_len..=self.largest).chain(rest)
    }

    pub(super) fn read(reader: &mut Reader<'_>, payload: &Bytes, largest: u64) -> Result<Self, Malformed> {
        let count = reader.varint()?;
        let first_len = reader.varint()?;
        if count >= ACK_RANGES_MAX as u64 || first_len > largest {
            return Err(Malformed);
        }
        let (before, mut smallest) = (reader.rest(), largest - first_len);
        for _ in 0..count {
            smallest = *next_range(reader, smallest)?.start();
        }
        let pairs = payload.slice_ref(&before[..before.len() - reader.rest().len()]);
        Ok(Self { largest, first_len, pairs })
    }
}

/// The range below one that ends at `smallest`.
fn next_range(reader: &mut Reader<'_>, smallest: u64) -> Result<RangeInclusive<u64>, Malformed> {
    let end = smallest.checked_sub(reader.varint()? + 2).ok_or(Malformed)?;
    let start = end.checked_sub(reader.varint()?).ok_or(Malformed)?;
    Ok(start..=end)
}

/// Packets of an ACK that came by FEC.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Recovered {
    largest: u64,
    distances: Bytes,
}

impl Recovered {
    /// Their numbers, from the largest down.
    pub fn iter(&self) -> impl Iterator<Item = u64> + '_ {
        let (mut reader, mut next) = (Reader::new(&self.distances), Some(self.largest));
        std::iter::from_fn(move || {
            let number = next?.checked_sub(reader.varint().ok()?)?;
            next = number.checked_sub(1);
            Some(number)
        })
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.distances.is_empty()
    }

    fn read(reader: &mut Reader<'_>, payload: &Bytes, largest: u64) -> Result<Self, Malformed> {
        let count = reader.varint()?;
        if count > RECOVERED_MAX as u64 {
            return Err(Malformed);
        }
        let (before, mut next) = (reader.rest(), Some(largest));
        for _ in 0..count {
            let number = next.and_then(|next| next.checked_sub(reader.varint().ok()?)).ok_or(Malformed)?;
            next = number.checked_sub(1);
        }
        Ok(Self { largest, distances: payload.slice_ref(&before[..before.len() - reader.rest().len()]) })
    }
}

pub(super) fn read(kind: u8, reader: &mut Reader<'_>, payload: &Bytes) -> Result<Ack, Malformed> {
    let path = if kind & kind::ACK_PATH == 0 { PathId::FIRST } else { super::read::path(reader)? };
    let largest = reader.varint()?;
    let delay = Duration::from_micros(reader.varint()?);
    let ranges = AckRanges::read(reader, payload, largest)?;
    let ecn = if kind & kind::ACK_ECN == 0 {
        None
    } else {
        Some(EcnCounts { ect0: reader.varint()?, ect1: reader.varint()?, ce: reader.varint()? })
    };
    let (reordering, recovered) = if kind & kind::ACK_MORE == 0 {
        (None, Recovered::default())
    } else {
        (Some(Duration::from_micros(reader.varint()?)), Recovered::read(reader, payload, largest)?)
    };
    Ok(Ack { path, largest, delay, ranges, ecn, reordering, recovered })
}

/// Appends an ACK of `ranges` (from the largest numbers down, apart from one another, at most [`ACK_RANGES_MAX`] are written, and as
/// many as fit `space` bytes) and of `recovered` (from the largest down). Writes nothing without a range.
pub fn write_ack(
    path: PathId,
    delay: Duration,
    ranges: impl Iterator<Item = RangeInclusive<u64>>,
    ecn: Option<EcnCounts>,
    more: Option<(Duration, &[u64])>,
    space: usize,
    out: &mut Vec<u8>,
) {
    let mut ranges = ranges.take(ACK_RANGES_MAX).peekable();
    let Some(first) = ranges.next() else { return };
    // What stands behind the ranges is small, but for the recovered numbers: those that don't fit wait for the next ACK.
    let tail =
        ecn.map_or(0, |_| 24) + more.map_or(0, |(_, recovered)| 10 + 2 * recovered.len().min(RECOVERED_MAX));
    let end = out.len() + space.saturating_sub(tail);
    out.push(
        kind::ACK
            | ecn.map_or(0, |_| kind::ACK_ECN)
            | if path == PathId::FIRST { 0 } else { kind::ACK_PATH }
            | more.map_or(0, |_| kind::ACK_MORE),
    );
    if path != PathId::FIRST {
        put_varint(out, u64::from(path.0));
    }
    put_varint(out, *first.end());
    put_varint(out, delay.as_micros().min(1 << 40) as u64);
    // The count is not known before the ranges are written; it takes two bytes either way.
    let count_at = out.len();
    out.extend_from_slice(&[0x40, 0]);
    put_varint(out, first.end() - first.start());
    let count = write_pairs(*first.start(), ranges, end, out);
    out[count_at..count_at + 2].copy_from_slice(&(0x4000 | count).to_be_bytes());
    if let Some(ecn) = ecn {
        [ecn.ect0, ecn.ect1, ecn.ce].into_iter().for_each(|count| put_varint(out, count));
    }
    if let Some((reordering, recovered)) = more {
        put_varint(out, reordering.as_micros().min(1 << 40) as u64);
        write_recovered(*first.end(), recovered, out);
    }
}

fn write_pairs(
    mut smallest: u64,
    ranges: impl Iterator<Item = RangeInclusive<u64>>,
    end: usize,
    out: &mut Vec<u8>,
) -> u16 {
    let mut count = 0;
    for range in ranges {
        debug_assert!(range.end() + 2 <= smallest, "ranges that touch are one");
        let before = out.len();
        put_varint(out, smallest - range.end() - 2);
        put_varint(out, range.end() - range.start());
        if out.len() > end {
            out.truncate(before);
            break;
        }
        smallest = *range.start();
        count += 1;
    }
    count
}

fn write_recovered(largest: u64, recovered: &[u64], out: &mut Vec<u8>) {
    let recovered = &recovered[..recovered.len().min(RECOVERED_MAX)];
    put_varint(out, recovered.len() as u64);
    let mut next = largest;
    for number in recovered {
        put_varint(out, next - number);
        next = number.saturating_sub(1);
    }
}
