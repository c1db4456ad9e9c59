//! Secrets, and what is derived from them (ACNP-21, ACNP-23, ACNP-30).

use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Prk};

use super::{HeaderKey, PacketKey, Suite};

/// Length of a secret, bytes.
pub const SECRET_LEN: usize = 32;
/// Longest key of a suite, bytes.
const KEY_LEN_MAX: usize = 32;

/// A secret of one direction, from which its keys come.
#[derive(Clone)]
pub struct Secret([u8; SECRET_LEN]);

struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

impl Secret {
    /// A secret of these bytes, which are random or come out of a handshake.
    #[must_use]
    pub const fn new(bytes: [u8; SECRET_LEN]) -> Self {
        Self(bytes)
    }

    fn expand(&self, info: &[&[u8]], out: &mut [u8]) {
        Prk::new_less_safe(HKDF_SHA256, &self.0)
            .expand(info, Length(out.len()))
            .and_then(|okm| okm.fill(out))
            .expect("HKDF gives 255 times 32 bytes, and no more than 32 are asked for");
    }

    fn derived(&self, info: &[&[u8]]) -> Self {
        let mut next = [0; SECRET_LEN];
        self.expand(info, &mut next);
        Self(next)
    }

    /// The first secret of a direction, from its half of the handshake's split and the handshake's hash (ACNP-21).
    #[must_use]
    pub fn first(split: [u8; SECRET_LEN], hash: &[u8]) -> Self {
        Self(split).derived(&[b"acnp 1rtt", hash])
    }

    /// The secret of early packets, from what the hello carried (ACNP-23).
    #[must_use]
    pub fn early(fresh: [u8; SECRET_LEN]) -> Self {
        Self(fresh).derived(&[b"acnp early"])
    }

    /// The secret after the next key update (ACNP-30).
    #[must_use]
    pub fn next(&self) -> Self {
        self.derived(&[b"acnp next"])
    }

    /// The key that seals packets.
    #[must_use]
    pub fn packet_key(&self, suite: Suite) -> PacketKey {
        let (mut key, mut iv) = ([0; KEY_LEN_MAX], [0; 12]);
        let key = &mut key[..suite.aead().key_len()];
        self.expand(&[b"acnp key"], key);
        self.expand(&[b"acnp iv"], &mut iv);
        PacketKey::new(suite, key, iv)
    }

    /// The key that masks headers.
    #[must_use]
    pub fn header_key(&self, suite: Suite) -> HeaderKey {
        let mut key = [0; KEY_LEN_MAX];
        let key = &mut key[..suite.header().key_len()];
        self.expand(&[b"acnp hp"], key);
        HeaderKey::new(suite, key)
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}
