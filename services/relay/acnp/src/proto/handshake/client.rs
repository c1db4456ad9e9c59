//! The client's side of the handshake.

use rand_chacha::ChaCha20Rng;
use snow::HandshakeState;

use super::{ClientKeys, HandshakeFailed, Hello, Pattern, Secrets, noise};
use crate::proto::ConnectionId;

/// A client that has its first message and waits for the answer.
pub struct ClientHandshake {
    state: HandshakeState,
    pattern: Pattern,
    message: Vec<u8>,
}

impl ClientHandshake {
    /// Writes the first message. `rng` is for this handshake alone.
    ///
    /// # Errors
    /// The keys don't make a handshake.
    pub fn new(
        keys: &ClientKeys,
        source: &ConnectionId,
        hello: &Hello,
        rng: ChaCha20Rng,
    ) -> Result<Self, HandshakeFailed> {
        let pattern = keys.pattern();
        let mut state = noise::state(pattern, &keys.parts(), source, true, rng)?;
        let message = noise::write(&mut state, &hello.encode())?;
        Ok(Self { state, pattern, message })
    }

    /// Its pattern.
    #[must_use]
    pub const fn pattern(&self) -> Pattern {
        self.pattern
    }

    /// The first message, the same however often it is sent (ACNP-22).
    #[must_use]
    pub fn message(&self) -> &[u8] {
        &self.message
    }

    /// Reads the answer.
    ///
    /// # Errors
    /// It is not the server's; another may yet come (ACNP-28).
    pub fn read(&mut self, message: &[u8]) -> Result<(Hello, Secrets), HandshakeFailed> {
        let payload = noise::read(&mut self.state, message)?;
        let hello = Hello::decode(&payload).map_err(|_| HandshakeFailed)?;
        Ok((hello, noise::secrets(&mut self.state)))
    }
}

impl std::fmt::Debug for ClientHandshake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ClientHandshake({:?})", self.pattern)
    }
}
