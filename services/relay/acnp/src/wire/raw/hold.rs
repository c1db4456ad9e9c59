//! Holds the UDP port of a raw wire with an ordinary socket that hears nothing.
//!
//! Without it the kernel would answer each packet with "port unreachable" (RFC 1122 section 4.1.3.1), and another program could take
//! the port.

use std::{
    io,
    net::{SocketAddr, UdpSocket},
};

use super::filter;
use crate::wire::{socket, system::set_option};

/// Takes the port of `local`; port 0 takes a free one.
pub(super) fn take(local: SocketAddr) -> io::Result<UdpSocket> {
    let socket = socket::bind(local)?;
    filter::attach(&socket, &filter::nothing())?;
    // Merged datagrams are rejected whole: a socket that did not take them would have them cut up first. Old kernels know no such
    // option and never merge.
    let _ = set_option(&socket, libc::SOL_UDP, libc::UDP_GRO, &1);
    Ok(socket)
}
