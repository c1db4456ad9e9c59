//! FEC_REPAIR: a combination of earlier packets, from which one that was lost can be solved.

use bytes::Bytes;

use crate::proto::{
    PathId,
    varint::{Malformed, Reader, put_varint},
};

/// Most packets that a repair covers, and the widest span of their numbers (ACNP-50).
pub const REPAIR_SPAN_MAX: u64 = 256;

/// A repair symbol and what it is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repair {
    /// The path whose packets it covers.
    pub path: PathId,
    /// The smallest packet number covered.
    pub base: u64,
    /// Covered numbers lie in `base..base + span`; 1..=[`REPAIR_SPAN_MAX`].
    pub span: u64,
    /// Bit `i`, low bits first: `base + i` is covered. Empty: all are.
    pub set: Bytes,
    /// Seed of the coefficients.
    pub seed: u16,
    /// The combination.
    pub symbol: Bytes,
}

impl Repair {
    /// Bytes of its fields before the symbol, the type byte included.
    #[must_use]
    pub fn header_len(&self) -> usize {
        use crate::proto::varint::varint_len;
        1 + varint_len(u64::from(self.path.0))
            + varint_len(self.base)
            + varint_len(self.span)
            + 1
            + self.set.len()
            + 2
    }

    /// The packet numbers that it covers, upwards.
    pub fn covered(&self) -> impl Iterator<Item = u64> + '_ {
        let covers = |i: u64| {
            self.set.is_empty() || self.set.get((i / 8) as usize).is_some_and(|byte| byte >> (i % 8) & 1 == 1)
        };
        (0..self.span).filter(move |i| covers(*i)).map(|i| self.base + i)
    }

    pub(super) fn read(reader: &mut Reader<'_>, payload: &Bytes) -> Result<Self, Malformed> {
        let path = super::read::path(reader)?;
        let (base, span) = (reader.varint()?, reader.varint()?);
        let set_len = usize::from(reader.u8()?);
        if span == 0 || span > REPAIR_SPAN_MAX || set_len > span.div_ceil(8) as usize {
            return Err(Malformed);
        }
        let set = payload.slice_ref(reader.take(set_len)?);
        let seed = reader.u16()?;
        Ok(Self { path, base, span, set, seed, symbol: payload.slice_ref(reader.take_rest()) })
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        put_varint(out, u64::from(self.path.0));
        put_varint(out, self.base);
        put_varint(out, self.span);
        out.push(self.set.len() as u8);
        out.extend_from_slice(&self.set);
        out.extend_from_slice(&self.seed.to_be_bytes());
        out.extend_from_slice(&self.symbol);
    }
}
