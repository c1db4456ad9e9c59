//! The keys that people hold: a server's, a client's, and one that both share.

use rand_chacha::ChaCha20Rng;
use snow::{
    params::DHChoice,
    resolvers::{CryptoResolver, DefaultResolver},
};

use super::{Pattern, noise};

/// Length of every key, bytes.
pub const KEY_LEN: usize = 32;

/// An X25519 public key.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PublicKey(pub [u8; KEY_LEN]);

impl std::fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A key that both sides were given beforehand.
#[derive(Clone)]
pub struct SharedKey(pub [u8; KEY_LEN]);

impl std::fmt::Debug for SharedKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SharedKey(..)")
    }
}

/// An X25519 key pair that lasts.
#[derive(Clone)]
pub struct StaticKey {
    private: [u8; KEY_LEN],
    public: PublicKey,
}

impl StaticKey {
    /// A fresh one.
    #[must_use]
    pub fn generate(rng: &mut ChaCha20Rng) -> Self {
        let mut private = [0; KEY_LEN];
        rand::Rng::fill_bytes(rng, &mut private);
        Self::from_private(private)
    }

    /// The pair of this private key: any 32 random bytes.
    #[must_use]
    pub fn from_private(private: [u8; KEY_LEN]) -> Self {
        let mut dh = DefaultResolver.resolve_dh(&DHChoice::Curve25519).expect("compiled in");
        dh.set(&private);
        let mut public = PublicKey([0; KEY_LEN]);
        public.0.copy_from_slice(dh.pubkey());
        Self { private, public }
    }

    /// The half that others may know.
    #[must_use]
    pub const fn public(&self) -> PublicKey {
        self.public
    }

    /// The half that they may not: for storing it.
    #[must_use]
    pub const fn private(&self) -> &[u8; KEY_LEN] {
        &self.private
    }
}

impl std::fmt::Debug for StaticKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "StaticKey({:?})", self.public)
    }
}

/// What a client brings to a handshake.
#[derive(Debug, Clone)]
pub struct ClientKeys {
    server: Option<PublicKey>,
    own: Option<StaticKey>,
    shared: Option<SharedKey>,
}

impl ClientKeys {
    /// The server is the one with this key.
    #[must_use]
    pub const fn pinned(server: PublicKey) -> Self {
        Self { server: Some(server), own: None, shared: None }
    }

    /// The server is whoever knows this key.
    #[must_use]
    pub const fn shared(key: SharedKey) -> Self {
        Self { server: None, own: None, shared: Some(key) }
    }

    /// Besides, the client shows who it is. Without a pinned server there is nobody to show it to, and it is not shown.
    #[must_use]
    pub fn with_own(self, own: StaticKey) -> Self {
        Self { own: Some(own), ..self }
    }

    /// Besides, both have to know this key.
    #[must_use]
    pub fn with_shared(self, key: SharedKey) -> Self {
        Self { shared: Some(key), ..self }
    }

    /// The handshake that follows.
    #[must_use]
    pub const fn pattern(&self) -> Pattern {
        match (&self.server, &self.own, &self.shared) {
            (None, _, _) => Pattern::NnPsk0,
            (Some(_), None, None) => Pattern::Nk,
            (Some(_), None, Some(_)) => Pattern::NkPsk2,
            (Some(_), Some(_), None) => Pattern::Ik,
            (Some(_), Some(_), Some(_)) => Pattern::IkPsk2,
        }
    }

    pub(super) fn parts(&self) -> noise::Keys<'_> {
        noise::Keys {
            own: self.own.as_ref().map(|key| &key.private),
            remote: self.server.as_ref().map(|key| &key.0),
            shared: self.shared.as_ref().map(|key| &key.0),
        }
    }
}

/// What a server brings to its handshakes.
#[derive(Debug, Clone)]
pub struct ServerKeys {
    /// Its key.
    pub own: StaticKey,
    /// The key that it shares with its clients. If there is one, no client gets in without it.
    pub shared: Option<SharedKey>,
    /// Whether clients have to show a key of their own.
    pub client_key_required: bool,
}

impl ServerKeys {
    /// Whether a client may come with this handshake.
    #[must_use]
    pub const fn allow(&self, pattern: Pattern) -> bool {
        self.shared.is_some() == pattern.psk_at().is_some()
            && (!self.client_key_required || pattern.has_client_key())
    }

    pub(super) fn parts(&self) -> noise::Keys<'_> {
        noise::Keys {
            own: Some(&self.own.private),
            remote: None,
            shared: self.shared.as_ref().map(|key| &key.0),
        }
    }
}
