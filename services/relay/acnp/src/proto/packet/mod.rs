//! Packets as they lie in a datagram, before anything is opened: headers, versions, packet numbers.

pub mod long;
pub mod number;
pub mod short;

pub use long::{Long, LongHeader};
pub use short::ShortHeader;

/// The version of the protocol that is spoken here.
pub const VERSION: u32 = 0x4143_0001;
/// Least size of a client's datagram with an Initial, bytes (ACNP-6), and what every path must carry.
pub const DATAGRAM_LEN_MIN: usize = 1200;
/// Bytes that sealing adds.
pub const TAG_LEN: usize = 16;
/// Bytes of the sample that header protection takes (ACNP-5).
pub const SAMPLE_LEN: usize = 16;
/// Where that sample begins, from the start of the packet number, bytes.
pub const SAMPLE_OFFSET: usize = 4;

/// Bit that tells long packets from short ones.
const LONG: u8 = 0x80;
/// Bit that is 1 in every packet (ACNP-1).
const FIXED: u8 = 0x40;

/// Whether a datagram begins with a long packet.
#[must_use]
pub fn is_long(datagram: &[u8]) -> bool {
    datagram.first().is_some_and(|flags| flags & (LONG | FIXED) == LONG | FIXED)
}

/// Whether a datagram begins with a short packet.
#[must_use]
pub fn is_short(datagram: &[u8]) -> bool {
    datagram.first().is_some_and(|flags| flags & (LONG | FIXED) == FIXED)
}
