//! Holds the UDP port of a raw wire with an ordinary socket that hears nothing.
//!
//! Without it the kernel would answer each packet with "port unreachable" (RFC 1122 section 4.1.3.1), and another program could take
//! the port.

use std::{io, net::SocketAddr};

use super::filter;
use crate::wire::socket::Socket;

/// Takes the port of `local`; port 0 takes a free one. The socket is one that takes merged datagrams (GRO), so that they are rejected
/// whole, and that devices merge them at all.
pub(super) fn take(local: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::bind(local)?;
    filter::attach(&socket, &filter::nothing())?;
    Ok(socket)
}
