//! The handshake: two Noise messages, each with a hello inside, and the secrets that they leave.

mod client;
mod hello;
mod keys;
mod noise;
mod pattern;
mod replay;
mod server;
#[cfg(test)]
mod tests;
mod token;

pub use client::ClientHandshake;
pub use hello::{EARLY_LIMITS, Hello, Parameters};
pub use keys::{ClientKeys, KEY_LEN, PublicKey, ServerKeys, SharedKey, StaticKey};
pub use noise::HandshakeFailed;
pub use pattern::Pattern;
pub use replay::{REPLAY_ENTRIES_MAX, ReplayCache};
pub use server::{ClientMessage, ServerHandshake};
pub use token::{RetryToken, TokenKey};

use super::crypto::Secret;

/// What a handshake leaves.
#[derive(Debug)]
pub struct Secrets {
    /// The first secret of the client's packets.
    pub client: Secret,
    /// The first secret of the server's packets.
    pub server: Secret,
}
