//! Which Noise handshake: a number on the wire, a name for Noise.

/// A handshake, by what either side knows of the other before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Pattern {
    /// The client knows the server's key.
    Nk = 0,
    /// And shows one of its own.
    Ik = 1,
    /// Both share a key, and that is all.
    NnPsk0 = 2,
    /// The client knows the server's key, and both share one.
    NkPsk2 = 3,
    /// And the client shows one of its own.
    IkPsk2 = 4,
}

impl Pattern {
    const ALL: [Self; 5] = [Self::Nk, Self::Ik, Self::NnPsk0, Self::NkPsk2, Self::IkPsk2];

    /// The pattern of this number.
    #[must_use]
    pub fn from_wire(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|pattern| *pattern as u8 == number)
    }

    /// Whether the client shows a key of its own.
    #[must_use]
    pub const fn has_client_key(self) -> bool {
        matches!(self, Self::Ik | Self::IkPsk2)
    }

    /// Whether the client has to know the server's key.
    #[must_use]
    pub const fn has_server_key(self) -> bool {
        !matches!(self, Self::NnPsk0)
    }

    /// Where the shared key is mixed in, if there is one.
    pub(super) const fn psk_at(self) -> Option<u8> {
        match self {
            Self::Nk | Self::Ik => None,
            Self::NnPsk0 => Some(0),
            Self::NkPsk2 | Self::IkPsk2 => Some(2),
        }
    }

    pub(super) const fn noise_name(self) -> &'static str {
        match self {
            Self::Nk => "Noise_NK_25519_ChaChaPoly_BLAKE2s",
            Self::Ik => "Noise_IK_25519_ChaChaPoly_BLAKE2s",
            Self::NnPsk0 => "Noise_NNpsk0_25519_ChaChaPoly_BLAKE2s",
            Self::NkPsk2 => "Noise_NKpsk2_25519_ChaChaPoly_BLAKE2s",
            Self::IkPsk2 => "Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s",
        }
    }
}
