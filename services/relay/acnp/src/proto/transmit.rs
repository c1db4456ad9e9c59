//! Datagrams on their way out of the protocol and into it.

use std::net::{IpAddr, SocketAddr};

/// The two congestion bits of the IP header (RFC 3168 §5); a datagram without a mark is `None`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Ecn {
    /// ECN-capable, code point ECT(1).
    Ect1 = 0b01,
    /// ECN-capable, code point ECT(0).
    Ect0 = 0b10,
    /// Congestion experienced.
    Ce = 0b11,
}

impl Ecn {
    /// Reads the two low bits of a type-of-service or traffic-class octet.
    #[must_use]
    pub fn from_bits(bits: u8) -> Option<Self> {
        match bits & 0b11 {
            0b01 => Some(Self::Ect1),
            0b10 => Some(Self::Ect0),
            0b11 => Some(Self::Ce),
            _ => None,
        }
    }

    /// The two bits of a mark, zero for none.
    #[must_use]
    pub fn bits(mark: Option<Self>) -> u8 {
        mark.map_or(0, |mark| mark as u8)
    }
}

/// Datagrams to be sent, whose bytes lie in the buffer that was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transmit {
    /// Where to.
    pub remote: SocketAddr,
    /// The address to send from; `None` leaves it to the routes.
    pub local: Option<IpAddr>,
    /// The congestion mark of every datagram.
    pub ecn: Option<Ecn>,
    /// Bytes of each datagram but the last, which may be shorter; `None` when there is only one.
    pub segment_size: Option<usize>,
}

/// What is known of a datagram that came, apart from its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meta {
    /// Who sent it.
    pub remote: SocketAddr,
    /// The address that it was sent to, where that is known.
    pub local: Option<IpAddr>,
    /// Its congestion mark.
    pub ecn: Option<Ecn>,
}
