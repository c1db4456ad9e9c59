//! Why a datagram was not sent, told apart by who has to act.

use std::io;

/// Why a datagram was not sent. Other datagrams of the batch go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The datagram is larger than the device, or the path as far as the kernel knows it, takes: path MTU discovery hears of it.
    #[error("the datagram is larger than the path takes")]
    TooBig,
    /// The system refused this one: no route, a firewall's rule, no such source address, no memory. It counts as lost; later ones
    /// may get through.
    #[error("the datagram was refused: {0}")]
    Refused(#[source] io::Error),
}

/// What an error of a send means: `Ok` is about one datagram, `Err` about the wire itself, which is broken.
pub(super) fn classify(error: io::Error) -> io::Result<SendError> {
    match error.raw_os_error() {
        Some(libc::EMSGSIZE) => Ok(SendError::TooBig),
        Some(libc::EBADF | libc::ENOTSOCK | libc::EFAULT | libc::EPIPE) => Err(error),
        _ => Ok(SendError::Refused(error)),
    }
}

/// Whether an error of a receive passes: it tells of one peer or one device, and the next call may succeed.
pub(super) fn passes(error: &io::Error) -> bool {
    let passing = [
        libc::ECONNREFUSED,
        libc::ECONNRESET,
        libc::EHOSTUNREACH,
        libc::ENETUNREACH,
        libc::ENETDOWN,
        libc::ENOBUFS,
        libc::ENOMEM,
        libc::EMSGSIZE,
        libc::EINTR,
    ];
    error.raw_os_error().is_some_and(|code| passing.contains(&code))
}
