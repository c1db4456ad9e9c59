//! Sends packets: a raw socket for each family, to which whole IP packets are given.
//!
//! The kernel finds the route and the neighbour, fills what is the link's, and refuses what the device does not take. IPv4's socket is
//! pnet's; pnet has none that takes whole packets of IPv6, so that one is made here. A call takes many packets (sendmmsg).

use std::{
    io,
    net::{IpAddr, SocketAddr},
    os::fd::{AsRawFd, BorrowedFd, OwnedFd},
    task::{Context, Poll, ready},
};

use pnet_packet::ip::IpNextHeaderProtocol;
use pnet_transport::TransportChannelType::Layer3;
use socket2::{Domain, Protocol, SockAddr, Type};
use tokio::io::{Interest, unix::AsyncFd};

use super::{
    Family, filter,
    headers::{self, HEADERS_BYTES},
    source::Sources,
};
use crate::wire::{
    Outbox, Step, Transmit,
    system::{self, set_option},
};

/// Packets that one call sends at most.
pub(super) const CALL_PACKETS: usize = 64;

/// The protocol by which a raw socket takes whole packets and receives none.
const IPPROTO_RAW: u8 = 255;

/// A socket that sends one family.
pub(super) struct Sender {
    descriptor: AsyncFd<OwnedFd>,
    local: SocketAddr,
    sources: Sources,
}

impl Sender {
    /// Opens the socket. `local` has the port to send from, and the address if it is not to be found by the routes.
    pub(super) fn open(family: Family, local: SocketAddr) -> io::Result<Self> {
        let descriptor = match family {
            Family::V4 => ipv4()?,
            Family::V6 => ipv6()?,
        };
        filter::attach(&descriptor, &filter::nothing())?;
        system::enlarge_queues(&descriptor);
        let descriptor = system::watch(descriptor, Interest::WRITABLE)?;
        Ok(Sender { descriptor, local, sources: Sources::new(family)? })
    }

    /// Sends datagrams from the outbox's head on, as long as they are of this family.
    pub(super) fn poll_send(&self, cx: &mut Context<'_>, outbox: &Outbox) -> Poll<io::Result<Step>> {
        loop {
            let mut guard = ready!(self.descriptor.poll_write_ready(cx))?;
            if let Ok(sent) = guard.try_io(|descriptor| self.send(descriptor, outbox)) {
                return Poll::Ready(Ok(
                    sent.map_or_else(|error| Step::Failed { datagrams: 1, error }, Step::Sent)
                ));
            }
        }
    }

    /// Sends one batch; an error is about its first datagram.
    fn send(&self, descriptor: &impl AsRawFd, outbox: &Outbox) -> io::Result<usize> {
        let mut packets = Packets::default();
        for datagram in outbox.waiting_datagrams().take(CALL_PACKETS) {
            if datagram.destination.is_ipv4() != self.local.is_ipv4() {
                break;
            }
            match self.source(&datagram).and_then(|source| packets.push(source, &datagram)) {
                Ok(()) => (),
                Err(error) if packets.count == 0 => return Err(error),
                Err(_) => break,
            }
        }
        packets.send(descriptor)
    }

    fn source(&self, datagram: &Transmit<'_>) -> io::Result<SocketAddr> {
        let chosen = datagram.source.map(|ip| ip.to_canonical()).or_else(|| specified(self.local.ip()));
        let ip = chosen.map_or_else(|| self.sources.towards(datagram.destination), Ok)?;
        Ok(SocketAddr::new(ip, self.local.port()))
    }
}

fn specified(ip: IpAddr) -> Option<IpAddr> {
    (!ip.is_unspecified()).then_some(ip)
}

fn ipv4() -> io::Result<OwnedFd> {
    let (sender, _) = pnet_transport::transport_channel(0, Layer3(IpNextHeaderProtocol(IPPROTO_RAW)))?;
    // SAFETY: the descriptor is open as long as `sender` lives, which is to the end of this function.
    let descriptor = unsafe { BorrowedFd::borrow_raw(sender.socket.fd) }.try_clone_to_owned()?;
    socket2::SockRef::from(&descriptor).set_nonblocking(true)?;
    set_option(&descriptor, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, &libc::IP_PMTUDISC_PROBE)?;
    Ok(descriptor)
}

fn ipv6() -> io::Result<OwnedFd> {
    let protocol = Protocol::from(libc::c_int::from(IPPROTO_RAW));
    let socket = socket2::Socket::new(Domain::IPV6, Type::RAW, Some(protocol))?;
    socket.set_nonblocking(true)?;
    set_option(&socket, libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, &libc::IPV6_PMTUDISC_PROBE)?;
    Ok(socket.into())
}

/// The headers of one call's packets, and what the kernel is told about each; the payloads stay where they are.
struct Packets {
    headers: [[u8; HEADERS_BYTES]; CALL_PACKETS],
    buffers: [[libc::iovec; 2]; CALL_PACKETS],
    destinations: [libc::sockaddr_in6; CALL_PACKETS],
    messages: [libc::mmsghdr; CALL_PACKETS],
    count: usize,
}

impl Default for Packets {
    fn default() -> Self {
        // SAFETY: these structures are plain integers and pointers, for which zero bytes are values.
        let (buffers, destinations, messages) = unsafe { std::mem::zeroed() };
        Packets { headers: [[0; HEADERS_BYTES]; CALL_PACKETS], buffers, destinations, messages, count: 0 }
    }
}

impl Packets {
    /// Builds the headers of a datagram whose bytes stay where they are until [`send`](Self::send).
    fn push(&mut self, source: SocketAddr, datagram: &Transmit<'_>) -> io::Result<()> {
        let at = self.count;
        let header = &mut self.headers[at];
        let length = headers::build(header, source, datagram.destination, datagram.ecn, datagram.contents)
            .ok_or_else(|| refusal(source, datagram))?;
        let payload = datagram.contents.as_ptr().cast_mut().cast();
        self.buffers[at] = [
            libc::iovec { iov_base: header.as_mut_ptr().cast(), iov_len: length },
            libc::iovec { iov_base: payload, iov_len: datagram.contents.len() },
        ];
        self.messages[at].msg_hdr.msg_namelen = write(&mut self.destinations[at], datagram.destination);
        self.count += 1;
        Ok(())
    }

    fn send(&mut self, descriptor: &impl AsRawFd) -> io::Result<usize> {
        for at in 0..self.count {
            let header = &mut self.messages[at].msg_hdr;
            header.msg_name = std::ptr::from_mut(&mut self.destinations[at]).cast();
            header.msg_iov = self.buffers[at].as_mut_ptr();
            header.msg_iovlen = 2;
        }
        let (messages, count) = (self.messages.as_mut_ptr(), self.count as u32);
        // SAFETY: every pointer in the messages is to memory that outlives the call, of the length that is stated beside it, and the
        // kernel only reads it.
        let sent = unsafe { libc::sendmmsg(descriptor.as_raw_fd(), messages, count, 0) };
        usize::try_from(sent).map_err(|_| io::Error::last_os_error())
    }
}

/// Why headers could not be built: the families differ, or the datagram is too long.
fn refusal(source: SocketAddr, datagram: &Transmit<'_>) -> io::Error {
    let mixed = source.is_ipv4() != datagram.destination.is_ipv4();
    io::Error::from_raw_os_error(if mixed { libc::EAFNOSUPPORT } else { libc::EMSGSIZE })
}

/// Writes a destination as raw sockets want it, without a port (raw(7), ipv6(7)), and returns its length.
fn write(name: &mut libc::sockaddr_in6, mut destination: SocketAddr) -> libc::socklen_t {
    destination.set_port(0);
    let address = SockAddr::from(destination);
    // SAFETY: an address of either family is at most as long as `sockaddr_in6`, and the two do not overlap.
    unsafe {
        let bytes = std::ptr::from_mut(name).cast::<u8>();
        std::ptr::copy_nonoverlapping(address.as_ptr().cast(), bytes, address.len() as usize);
    }
    address.len()
}
