//! Connection ids: what a datagram is sorted by, whatever address it came from.

use rand::Rng;

/// Longest id in a long packet, bytes.
pub const CID_LEN_MAX: usize = 20;
/// Longest id that an endpoint gives out, bytes: it stands in every short packet.
pub const LOCAL_CID_LEN_MAX: usize = 8;
/// Length of an id that an endpoint gives out unless configured, bytes.
pub const LOCAL_CID_LEN_DEFAULT: usize = 4;
/// Length of the id that a client makes up for a server it has not heard from, bytes.
pub const FIRST_CID_LEN: usize = 8;

/// An id of 0..=20 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct ConnectionId {
    len: u8,
    bytes: [u8; CID_LEN_MAX],
}

impl ConnectionId {
    /// An id of these bytes, if they are not too many.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let mut id = Self { len: u8::try_from(bytes.len()).ok()?, bytes: [0; CID_LEN_MAX] };
        id.bytes.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(id)
    }

    /// A random id of `len` bytes, at most [`CID_LEN_MAX`].
    pub fn random(rng: &mut impl Rng, len: usize) -> Self {
        let mut id = Self { len: len.min(CID_LEN_MAX) as u8, bytes: [0; CID_LEN_MAX] };
        rng.fill_bytes(&mut id.bytes[..len.min(CID_LEN_MAX)]);
        id
    }

    /// Its length in bytes.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether it has no bytes.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl std::ops::Deref for ConnectionId {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..self.len()]
    }
}

impl std::fmt::Debug for ConnectionId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Length of a stateless reset token, bytes.
pub const RESET_TOKEN_LEN: usize = 16;

/// What ends a packet that says: I know nothing of this connection (ACNP-10).
#[derive(Clone, Copy)]
pub struct ResetToken(pub [u8; RESET_TOKEN_LEN]);

impl PartialEq for ResetToken {
    /// In constant time: how much of a guess was right is nobody's business.
    fn eq(&self, other: &Self) -> bool {
        aws_lc_rs::constant_time::verify_slices_are_equal(&self.0, &other.0).is_ok()
    }
}

impl Eq for ResetToken {}

impl std::fmt::Debug for ResetToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ResetToken(..)")
    }
}
