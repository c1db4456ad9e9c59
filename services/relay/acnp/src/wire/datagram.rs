//! What goes through a wire, apart from its bytes: addresses, the congestion mark, and how one buffer holds several datagrams.

use std::net::{IpAddr, SocketAddr};

use crate::proto::Ecn;

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
