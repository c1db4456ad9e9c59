//! Masks over the first byte and the packet number (ACNP-5).

use aws_lc_rs::aead::quic::HeaderProtectionKey;

use super::Suite;
use crate::proto::{
    packet::{SAMPLE_LEN, SAMPLE_OFFSET},
    varint::Malformed,
};

/// The key that masks the headers of one direction.
pub struct HeaderKey(HeaderProtectionKey);

impl HeaderKey {
    pub(super) fn new(suite: Suite, key: &[u8]) -> Self {
        Self(HeaderProtectionKey::new(suite.header(), key).expect("the suite's key length was asked for"))
    }

    fn mask(&self, packet: &[u8], number_at: usize) -> Result<[u8; 5], Malformed> {
        let at = number_at + SAMPLE_OFFSET;
        let sample = packet.get(at..at + SAMPLE_LEN).ok_or(Malformed)?;
        self.0.new_mask(sample).map_err(|_| Malformed)
    }

    /// Masks the header of a packet that was sealed. `bits` of the first byte are masked.
    pub fn protect(&self, packet: &mut [u8], number_at: usize, bits: u8) {
        let mask = self.mask(packet, number_at).expect("a packet is padded to hold its sample");
        let number_len = usize::from(packet[0] & 3) + 1;
        packet[0] ^= mask[0] & bits;
        apply(&mut packet[number_at..number_at + number_len], &mask);
    }

    /// Unmasks the header of a packet; gives the length of its number.
    ///
    /// # Errors
    /// The packet is too short to hold the sample.
    pub fn unprotect(&self, packet: &mut [u8], number_at: usize, bits: u8) -> Result<usize, Malformed> {
        let mask = self.mask(packet, number_at)?;
        packet[0] ^= mask[0] & bits;
        let number_len = usize::from(packet[0] & 3) + 1;
        apply(&mut packet[number_at..number_at + number_len], &mask);
        Ok(number_len)
    }
}

fn apply(number: &mut [u8], mask: &[u8; 5]) {
    number.iter_mut().zip(&mask[1..]).for_each(|(byte, mask)| *byte ^= mask);
}

impl std::fmt::Debug for HeaderKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HeaderKey(..)")
    }
}
