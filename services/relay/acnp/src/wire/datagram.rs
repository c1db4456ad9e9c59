//! What goes through a wire, apart from its bytes: addresses, the congestion mark, and how one buffer holds several datagrams.

use std::net::{IpAddr, SocketAddr};

/// The two congestion bits of the IP header (RFC 3168 section 5); a packet without a mark is `None`.
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
    pub fn from_bits(bits: u8) -> Option<Ecn> {
        match bits & 0b11 {
            0b01 => Some(Ecn::Ect1),
            0b10 => Some(Ecn::Ect0),
            0b11 => Some(Ecn::Ce),
            _ => None,
        }
    }

    /// The two bits of a mark, zero for none.
    pub fn bits(mark: Option<Ecn>) -> u8 {
        mark.map_or(0, |mark| mark as u8)
    }
}

/// Bytes to be sent: one datagram, or several of one size to one destination.
#[derive(Debug, Clone, Copy)]
pub struct Transmit<'a> {
    /// Where to.
    pub destination: SocketAddr,
    /// The address to send from; `None` lets the routes choose. A server answers from the address that the peer wrote to.
    pub source: Option<IpAddr>,
    /// The congestion mark of every datagram.
    pub ecn: Option<Ecn>,
    /// The datagrams, one behind the other.
    pub contents: &'a [u8],
    /// Bytes of each datagram but the last, which may be shorter; `None` when `contents` is a single datagram.
    pub segment_size: Option<usize>,
}

/// Bytes that came: one datagram, or several of one size from one sender, as the kernel merged them.
#[derive(Debug)]
pub struct Received<'a> {
    /// Who sent them; IPv4 addresses are never in IPv6's mapped form.
    pub remote: SocketAddr,
    /// The address that they were sent to, where the system tells.
    pub local: Option<IpAddr>,
    /// The congestion mark with which they came.
    pub ecn: Option<Ecn>,
    /// Bytes of each datagram but the last, which may be shorter.
    pub stride: usize,
    /// The datagrams, one behind the other. They may be decrypted in place.
    pub contents: &'a mut [u8],
}

impl<'a> Received<'a> {
    /// The single datagrams.
    pub fn datagrams(self) -> impl Iterator<Item = &'a mut [u8]> {
        self.contents.chunks_mut(self.stride.max(1))
    }
}
