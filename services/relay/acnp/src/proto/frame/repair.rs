//! FEC_REPAIR: a combination of earlier packets, from which one that was lost can be solved.

use bytes::Bytes;

use crate::proto::{
    PathId,
    fec::Header,
    varint::{Malformed, Reader, put_varint, varint_len},
};

/// A repair symbol and what it is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repair {
    /// The path whose packets it covers.
    pub path: PathId,
    /// Which packets those are, and the seed of their coefficients (ACNP-53).
    pub header: Header,
    /// The combination.
    pub symbol: Bytes,
}

impl Repair {
    /// Bytes of its fields before the symbol, the type byte included.
    #[must_use]
    pub fn header_len(&self) -> usize {
        1 + varint_len(u64::from(self.path.0)) + self.header.encoded_len()
    }

    pub(super) fn read(reader: &mut Reader<'_>, payload: &Bytes) -> Result<Self, Malformed> {
        let path = super::read::path(reader)?;
        let (header, symbol) = Header::decode(reader.take_rest()).map_err(|_| Malformed)?;
        Ok(Self { path, header, symbol: payload.slice_ref(symbol) })
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        put_varint(out, u64::from(self.path.0));
        self.header.encode(out);
        out.extend_from_slice(&self.symbol);
    }
}
