//! The short packet: what nearly every datagram is.

use super::{FIXED, SAMPLE_LEN, SAMPLE_OFFSET, number};
use crate::proto::{ConnectionId, varint::Malformed};

/// The key phase's bit in the first byte.
pub(crate) const KEY_PHASE: u8 = 0x20;
/// Bits of the first byte that header protection masks (ACNP-5).
pub(crate) const PROTECTED: u8 = 0x3f;
/// Bits that must be 0 once unmasked (ACNP-1).
pub(crate) const RESERVED: u8 = 0x1c;

/// A short packet's header as it is written.
#[derive(Debug, Clone, Copy)]
pub struct ShortHeader {
    /// The id that the receiver gave out.
    pub destination: ConnectionId,
    /// Which keys sealed it.
    pub key_phase: bool,
    /// Its packet number, whole.
    pub number: u64,
    /// Bytes of the number on the wire, 1..=4.
    pub number_len: usize,
}

impl ShortHeader {
    /// Bytes that it takes.
    #[must_use]
    pub const fn wire_len(&self) -> usize {
        1 + self.destination.len() + self.number_len
    }

    /// Appends it, unmasked.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.push(FIXED | if self.key_phase { KEY_PHASE } else { 0 } | (self.number_len - 1) as u8);
        out.extend_from_slice(&self.destination);
        number::put(out, self.number, self.number_len);
    }
}

/// The connection id of a short packet, whose length `cid_len` its receiver knows.
///
/// # Errors
/// The packet is too short to be one.
pub fn destination(packet: &[u8], cid_len: usize) -> Result<ConnectionId, Malformed> {
    if packet.len() < 1 + cid_len + SAMPLE_OFFSET + SAMPLE_LEN {
        return Err(Malformed);
    }
    packet.get(1..1 + cid_len).and_then(ConnectionId::new).ok_or(Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::packet::{TAG_LEN, is_long, is_short};
    use proptest::prelude::*;

    #[test]
    fn a_connected_path_costs_24_bytes_at_most() {
        let destination = ConnectionId::new(&[1, 2, 3, 4]).unwrap();
        // The widest span that ACNP-2 speaks of.
        let number_len = number::wire_len((1 << 22) + 5, Some(5));
        let header = ShortHeader { destination, key_phase: false, number: (1 << 22) + 5, number_len };
        assert_eq!(header.wire_len() + TAG_LEN, 24);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            id in prop::collection::vec(any::<u8>(), 0..=8), key_phase: bool, number in 0..1_u64 << 32
        ) {
            let destination_id = ConnectionId::new(&id).unwrap();
            let header =
                ShortHeader { destination: destination_id, key_phase, number, number_len: number::wire_len(number, None) };
            let mut packet = Vec::new();
            header.write(&mut packet);
            prop_assert_eq!(packet.len(), header.wire_len());
            prop_assert!(is_short(&packet) && !is_long(&packet));
            prop_assert_eq!(packet[0] & KEY_PHASE != 0, key_phase);
            packet.resize(packet.len() + 40, 0);
            prop_assert_eq!(destination(&packet, id.len()), Ok(destination_id));
        }

        #[test]
        fn no_input_panics(packet: Vec<u8>, cid_len in 0usize..=8) {
            let _ = destination(&packet, cid_len);
        }
    }
}
