//! Sealing and opening what packets carry (ACNP-31).

use aws_lc_rs::aead::{Aad, LessSafeKey, Nonce, UnboundKey};

use super::Suite;
use crate::proto::{PathId, packet::TAG_LEN};

/// What came was not sealed with this key, or was changed on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the packet does not open")]
pub struct DoesNotOpen;

/// The key that seals the packets of one direction, for one key phase.
pub struct PacketKey {
    key: LessSafeKey,
    iv: [u8; 12],
}

impl PacketKey {
    pub(super) fn new(suite: Suite, key: &[u8], iv: [u8; 12]) -> Self {
        let key = UnboundKey::new(suite.aead(), key).expect("the suite's key length was asked for");
        Self { key: LessSafeKey::new(key), iv }
    }

    fn nonce(&self, path: PathId, number: u64) -> Nonce {
        let mut nonce = self.iv;
        nonce[..4].iter_mut().zip(path.0.to_be_bytes()).for_each(|(byte, path)| *byte ^= path);
        nonce[4..].iter_mut().zip(number.to_be_bytes()).for_each(|(byte, number)| *byte ^= number);
        Nonce::assume_unique_for_key(nonce)
    }

    /// Seals the end of `out`: the header begins at `header_at`, the content at `content_at`. Appends the tag.
    pub fn seal(&self, path: PathId, number: u64, out: &mut Vec<u8>, header_at: usize, content_at: usize) {
        let (header, content) = out[header_at..].split_at_mut(content_at - header_at);
        let tag = self
            .key
            .seal_in_place_separate_tag(self.nonce(path, number), Aad::from(header), content)
            .expect("a packet is shorter than any AEAD's limit");
        out.extend_from_slice(tag.as_ref());
    }

    /// Opens `sealed`, whose tag is its end, into `content`, which is shorter by [`TAG_LEN`].
    ///
    /// # Errors
    /// It was not sealed so; `content` holds nothing of use then.
    pub fn open(
        &self,
        path: PathId,
        number: u64,
        header: &[u8],
        sealed: &[u8],
        content: &mut [u8],
    ) -> Result<(), DoesNotOpen> {
        let split = sealed.len().checked_sub(TAG_LEN).ok_or(DoesNotOpen)?;
        let (sealed, tag) = sealed.split_at(split);
        let nonce = self.nonce(path, number);
        self.key.open_separate_gather(nonce, Aad::from(header), sealed, tag, content).map_err(|_| DoesNotOpen)
    }
}

impl std::fmt::Debug for PacketKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PacketKey(..)")
    }
}
