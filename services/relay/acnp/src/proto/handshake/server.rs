//! The server's side of the handshake.

use rand_chacha::ChaCha20Rng;
use snow::HandshakeState;

use super::{HandshakeFailed, Hello, Pattern, PublicKey, Secrets, ServerKeys, keys::KEY_LEN, noise};
use crate::proto::ConnectionId;

/// A client's first message, opened.
pub struct ClientMessage {
    /// What the client says.
    pub hello: Hello,
    /// The key that it showed; that it holds it is certain once a packet of its opens.
    pub client_key: Option<PublicKey>,
    /// What tells this message from any other: its ephemeral key.
    pub ephemeral: [u8; KEY_LEN],
    /// The server's side, ready to answer.
    pub handshake: ServerHandshake,
}

/// A server that has read the first message.
pub struct ServerHandshake(HandshakeState);

impl ServerHandshake {
    /// Opens a client's first message. `rng` is for this handshake alone.
    ///
    /// # Errors
    /// It is not for this server, or not allowed.
    pub fn read(
        keys: &ServerKeys,
        pattern: u8,
        client_source: &ConnectionId,
        message: &[u8],
        rng: ChaCha20Rng,
    ) -> Result<ClientMessage, HandshakeFailed> {
        let pattern =
            Pattern::from_wire(pattern).filter(|pattern| keys.allow(*pattern)).ok_or(HandshakeFailed)?;
        let ephemeral = *message.first_chunk().ok_or(HandshakeFailed)?;
        let mut state = noise::state(pattern, &keys.parts(), client_source, false, rng)?;
        let payload = noise::read(&mut state, message)?;
        let hello = Hello::decode(&payload).map_err(|_| HandshakeFailed)?;
        let client_key = state.get_remote_static().and_then(|key| key.try_into().ok()).map(PublicKey);
        Ok(ClientMessage { hello, client_key, ephemeral, handshake: Self(state) })
    }

    /// Writes the answer.
    ///
    /// # Errors
    /// None that the peer could cause.
    pub fn answer(mut self, hello: &Hello) -> Result<(Vec<u8>, Secrets), HandshakeFailed> {
        let message = noise::write(&mut self.0, &hello.encode())?;
        Ok((message, noise::secrets(&mut self.0)))
    }
}
