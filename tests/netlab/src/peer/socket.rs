//! UDP sockets with room for a burst.

use std::{io, net::SocketAddr, net::UdpSocket, os::fd::AsRawFd};

use socket2::{Domain, Protocol, Socket, Type};

/// Bytes that a UDP socket may hold either way: what arrives while its process waits for a core.
const BUFFER_BYTES: usize = 8 << 20;

/// A UDP socket at `address`, set to not block.
pub(super) fn udp(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    for (plain, force) in [(libc::SO_RCVBUF, libc::SO_RCVBUFFORCE), (libc::SO_SNDBUF, libc::SO_SNDBUFFORCE)] {
        // Root may go beyond the system's bound; others get what the bound allows.
        if set_buffer(&socket, force).is_err() {
            set_buffer(&socket, plain)?;
        }
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

fn set_buffer(socket: &Socket, option: i32) -> io::Result<()> {
    let bytes = BUFFER_BYTES as libc::c_int;
    // SAFETY: the descriptor is open; the value lives through the call and its length is given.
    let done = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            option,
            (&raw const bytes).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// The address from which anything of that family can be reached.
pub(super) fn any(family_of: SocketAddr) -> SocketAddr {
    if family_of.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0u16; 8], 0).into() }
}
