//! Noise by snow: building a state with our keys and our randomness, taking the secrets out.

use rand::Rng;
use rand_chacha::ChaCha20Rng;
use snow::{
    Builder, HandshakeState,
    params::{CipherChoice, DHChoice, HashChoice},
    resolvers::{CryptoResolver, DefaultResolver},
    types::{Cipher, Dh, Hash, Random},
};

use super::{Pattern, Secrets, keys::KEY_LEN};
use crate::proto::{ConnectionId, crypto::Secret, packet::VERSION, packet::long::MESSAGE_LEN_MAX};

/// A handshake message does not open, or says what it may not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the handshake message is not acceptable")]
pub struct HandshakeFailed;

impl From<snow::Error> for HandshakeFailed {
    fn from(_: snow::Error) -> Self {
        Self
    }
}

/// Keys as bytes.
pub(super) struct Keys<'a> {
    pub(super) own: Option<&'a [u8; KEY_LEN]>,
    pub(super) remote: Option<&'a [u8; KEY_LEN]>,
    pub(super) shared: Option<&'a [u8; KEY_LEN]>,
}

/// Snow's own primitives, our randomness.
struct Resolver(ChaCha20Rng);

struct Randomness(ChaCha20Rng);

impl Random for Randomness {
    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), snow::Error> {
        self.0.fill_bytes(dest);
        Ok(())
    }
}

impl CryptoResolver for Resolver {
    fn resolve_rng(&self) -> Option<Box<dyn Random>> {
        Some(Box::new(Randomness(self.0.clone())))
    }

    fn resolve_dh(&self, choice: &DHChoice) -> Option<Box<dyn Dh>> {
        DefaultResolver.resolve_dh(choice)
    }

    fn resolve_hash(&self, choice: &HashChoice) -> Option<Box<dyn Hash>> {
        DefaultResolver.resolve_hash(choice)
    }

    fn resolve_cipher(&self, choice: &CipherChoice) -> Option<Box<dyn Cipher>> {
        DefaultResolver.resolve_cipher(choice)
    }
}

/// A Noise state for `pattern`, as the side that `initiates` or the one that answers. `rng` is for this state alone.
pub(super) fn state(
    pattern: Pattern,
    keys: &Keys<'_>,
    client_source: &ConnectionId,
    initiates: bool,
    rng: ChaCha20Rng,
) -> Result<HandshakeState, HandshakeFailed> {
    let name = pattern.noise_name().parse().expect("the names are Noise's");
    let prologue = prologue(pattern, client_source);
    let mut builder = Builder::with_resolver(name, Box::new(Resolver(rng))).prologue(&prologue)?;
    if let (Some(at), Some(shared)) = (pattern.psk_at(), keys.shared) {
        builder = builder.psk(at, shared)?;
    }
    let needs_own = if initiates { pattern.has_client_key() } else { pattern.has_server_key() };
    if let (true, Some(own)) = (needs_own, keys.own) {
        builder = builder.local_private_key(own)?;
    }
    if let (true, true, Some(remote)) = (initiates, pattern.has_server_key(), keys.remote) {
        builder = builder.remote_public_key(remote)?;
    }
    Ok(if initiates { builder.build_initiator()? } else { builder.build_responder()? })
}

/// What both sides have to agree on: version, pattern, and the id to which the server answers.
fn prologue(pattern: Pattern, client_source: &ConnectionId) -> Vec<u8> {
    let mut prologue = b"ACNP".to_vec();
    prologue.extend_from_slice(&VERSION.to_be_bytes());
    prologue.push(pattern as u8);
    prologue.push(client_source.len() as u8);
    prologue.extend_from_slice(client_source);
    prologue
}

/// Writes the next message with `payload` inside.
pub(super) fn write(state: &mut HandshakeState, payload: &[u8]) -> Result<Vec<u8>, HandshakeFailed> {
    let mut message = vec![0; MESSAGE_LEN_MAX];
    let len = state.write_message(payload, &mut message)?;
    message.truncate(len);
    Ok(message)
}

/// Reads a message; gives its payload.
pub(super) fn read(state: &mut HandshakeState, message: &[u8]) -> Result<Vec<u8>, HandshakeFailed> {
    let mut payload = vec![0; message.len()];
    let len = state.read_message(message, &mut payload)?;
    payload.truncate(len);
    Ok(payload)
}

/// The secrets of a handshake that both messages of were exchanged (ACNP-21).
pub(super) fn secrets(state: &mut HandshakeState) -> Secrets {
    let (client, server) = state.dangerously_get_raw_split();
    let hash = state.get_handshake_hash();
    Secrets { client: Secret::first(client, hash), server: Secret::first(server, hash) }
}
