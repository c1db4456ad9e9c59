//! Tokens that a server seals for itself: this address was seen (ACNP-24).

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use rand::Rng;
use rand_chacha::ChaCha20Rng;

use crate::proto::{ConnectionId, varint::Reader};

/// How long a Retry's token lasts.
const RETRY_LIFE: Duration = Duration::from_secs(15);
/// How long a token for a later connection lasts.
const LATER_LIFE: Duration = Duration::from_secs(24 * 3600);
/// Clocks of one server's machines may differ by so much.
const SKEW_MS: u64 = 1000;
const NONCE_LEN: usize = 12;

const RETRY: u8 = 1;
const LATER: u8 = 2;

/// What a Retry's token says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryToken {
    /// The destination of the client's first Initial.
    pub first_destination: ConnectionId,
    /// The source of the Retry.
    pub retry_source: ConnectionId,
}

/// The key that seals tokens. Servers behind one address share it.
pub struct TokenKey(LessSafeKey);

impl TokenKey {
    /// A key of these random bytes.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &bytes).expect("the length is right")))
    }

    /// A token for a Retry to `address`; `now_ms` since 1970.
    pub fn retry(
        &self,
        address: SocketAddr,
        now_ms: u64,
        token: &RetryToken,
        rng: &mut ChaCha20Rng,
    ) -> Vec<u8> {
        let mut content = vec![RETRY];
        content.extend_from_slice(&now_ms.to_be_bytes());
        for id in [&token.first_destination, &token.retry_source] {
            content.push(id.len() as u8);
            content.extend_from_slice(id);
        }
        self.seal(&address_bytes(address.ip(), Some(address.port())), content, rng)
    }

    /// A token for a later connection from `address`.
    pub fn later(&self, address: IpAddr, now_ms: u64, rng: &mut ChaCha20Rng) -> Vec<u8> {
        let mut content = vec![LATER];
        content.extend_from_slice(&now_ms.to_be_bytes());
        self.seal(&address_bytes(address, None), content, rng)
    }

    /// What a Retry's token from `address` says; `None` if it is not one, or too old.
    #[must_use]
    pub fn read_retry(&self, address: SocketAddr, now_ms: u64, token: &[u8]) -> Option<RetryToken> {
        let content = self.open(&address_bytes(address.ip(), Some(address.port())), token)?;
        let mut reader = fresh(&content, RETRY, now_ms, RETRY_LIFE)?;
        let mut id = || {
            let len = usize::from(reader.u8().ok()?);
            ConnectionId::new(reader.take(len).ok()?)
        };
        Some(RetryToken { first_destination: id()?, retry_source: id()? })
    }

    /// Whether `token` was given to `address` for a later connection, not too long ago.
    #[must_use]
    pub fn is_later(&self, address: IpAddr, now_ms: u64, token: &[u8]) -> bool {
        self.open(&address_bytes(address, None), token)
            .is_some_and(|content| fresh(&content, LATER, now_ms, LATER_LIFE).is_some())
    }

    fn seal(&self, address: &[u8], mut content: Vec<u8>, rng: &mut ChaCha20Rng) -> Vec<u8> {
        let mut nonce = [0; NONCE_LEN];
        rng.fill_bytes(&mut nonce);
        self.0
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(address), &mut content)
            .expect("a token is short");
        [&nonce[..], &content].concat()
    }

    fn open(&self, address: &[u8], token: &[u8]) -> Option<Vec<u8>> {
        let (nonce, sealed) = token.split_first_chunk::<NONCE_LEN>()?;
        let mut sealed = sealed.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let len = self.0.open_in_place(nonce, Aad::from(address), &mut sealed).ok()?.len();
        sealed.truncate(len);
        Some(sealed)
    }
}

impl std::fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenKey(..)")
    }
}

/// The rest of a token's content, if it is of this kind and neither too old nor from the future.
fn fresh(content: &[u8], kind: u8, now_ms: u64, life: Duration) -> Option<Reader<'_>> {
    let mut reader = Reader::new(content);
    let (is, made_ms) = (reader.u8().ok()?, u64::from_be_bytes(reader.array().ok()?));
    let fresh = made_ms <= now_ms + SKEW_MS && u128::from(now_ms.saturating_sub(made_ms)) <= life.as_millis();
    (is == kind && fresh).then_some(reader)
}

fn address_bytes(address: IpAddr, port: Option<u16>) -> Vec<u8> {
    let mut bytes = match address.to_canonical() {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    bytes.extend(port.iter().flat_map(|port| port.to_be_bytes()));
    bytes
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn a_token_holds_for_its_address_and_its_time() {
        let (key, mut rng) = (TokenKey::new([3; 32]), ChaCha20Rng::seed_from_u64(1));
        let here: SocketAddr = "10.0.0.1:5000".parse().unwrap();
        let content = RetryToken {
            first_destination: ConnectionId::new(&[1; 8]).unwrap(),
            retry_source: ConnectionId::new(&[2; 4]).unwrap(),
        };
        let token = key.retry(here, 1_000_000, &content, &mut rng);
        assert_eq!(key.read_retry(here, 1_000_000, &token), Some(content));
        assert_eq!(key.read_retry(here, 1_015_000, &token), Some(content));
        assert_eq!(key.read_retry(here, 1_015_001, &token), None);
        assert_eq!(key.read_retry("10.0.0.1:5001".parse().unwrap(), 1_000_000, &token), None);
        assert_eq!(TokenKey::new([4; 32]).read_retry(here, 1_000_000, &token), None);
        assert!(!key.is_later(here.ip(), 1_000_000, &token), "one kind is not the other");

        let later = key.later(here.ip(), 1_000_000, &mut rng);
        assert!(key.is_later(here.ip(), 1_000_000 + 86_400_000, &later));
        assert!(!key.is_later(here.ip(), 1_000_000 + 86_400_001, &later));
        assert!(!key.is_later("10.0.0.2".parse().unwrap(), 1_000_000, &later));
        assert!((0..later.len()).all(|len| !key.is_later(here.ip(), 1_000_000, &later[..len])));
    }
}
