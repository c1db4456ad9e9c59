//! Socket options that more than one wire sets, and addresses as the system wants them.

use std::{
    io,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    os::fd::{AsRawFd, OwnedFd},
};

use tokio::io::{Interest, unix::AsyncFd};

/// Bytes that a wire asks the kernel to queue for it: 100 ms at 600 Mbit/s, counted as the kernel counts packets.
pub(super) const RECEIVE_BUFFER_BYTES: usize = 8 << 20;

/// Bytes that a wire asks the kernel to queue on the way out.
pub(super) const SEND_BUFFER_BYTES: usize = 4 << 20;

/// Sets one option to a value of plain bytes.
pub(super) fn set_option<T: Copy>(
    descriptor: &impl AsRawFd,
    level: libc::c_int,
    name: libc::c_int,
    value: &T,
) -> io::Result<()> {
    let (value, length) = (std::ptr::from_ref(value).cast(), size_of::<T>() as libc::socklen_t);
    // SAFETY: the pointer is to a live value of the length that is given; the kernel only reads it.
    match unsafe { libc::setsockopt(descriptor.as_raw_fd(), level, name, value, length) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Lets the runtime watch a descriptor.
pub(super) fn watch(descriptor: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an owned descriptor is open, and names the same file, as long as it lives; the watcher keeps it.
    Ok(unsafe { AsyncFd::register_with_interest(descriptor, interest) }?)
}

/// Asks for large queues: beyond the system's limit where the process may (CAP_NET_ADMIN), else as far as the limit goes.
pub(super) fn enlarge_queues(descriptor: &impl AsRawFd) {
    let sizes = [
        (libc::SO_RCVBUFFORCE, libc::SO_RCVBUF, RECEIVE_BUFFER_BYTES),
        (libc::SO_SNDBUFFORCE, libc::SO_SNDBUF, SEND_BUFFER_BYTES),
    ];
    for (force, ask, bytes) in sizes {
        let bytes = bytes as libc::c_int;
        let set = set_option(descriptor, libc::SOL_SOCKET, force, &bytes)
            .or_else(|_| set_option(descriptor, libc::SOL_SOCKET, ask, &bytes));
        if let Err(error) = set {
            tracing::warn!(%error, bytes, "a socket's queue could not be enlarged");
        }
    }
}

/// Packets that the kernel dropped because the descriptor's receive queue was full; 0 where it does not tell.
pub(super) fn queue_drops(descriptor: &impl AsRawFd) -> u64 {
    const SO_MEMINFO: libc::c_int = 55;
    const FIELDS: usize = 9;
    let mut fields = [0u32; FIELDS];
    let mut length = size_of_val(&fields) as libc::socklen_t;
    let (value, fd) = (fields.as_mut_ptr().cast(), descriptor.as_raw_fd());
    // SAFETY: the kernel writes at most `length` bytes to an array of that length.
    let told = unsafe { libc::getsockopt(fd, libc::SOL_SOCKET, SO_MEMINFO, value, &mut length) } == 0;
    if told { u64::from(fields[libc::SK_MEMINFO_DROPS as usize]) } else { 0 }
}

/// The address without IPv6's mapping of IPv4.
pub(super) fn plain(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V6(v6) => match v6.ip().to_ipv4_mapped() {
            Some(v4) => SocketAddr::from((v4, v6.port())),
            None => address,
        },
        SocketAddr::V4(_) => address,
    }
}

/// The address in the form that a socket of IPv6 takes.
pub(super) fn mapped(ip: IpAddr) -> Ipv6Addr {
    match ip {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    }
}
