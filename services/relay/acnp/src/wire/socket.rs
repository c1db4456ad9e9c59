//! The wire over a UDP socket, by quinn-udp: segmentation offload both ways, batches in, congestion marks, no fragmentation.
//!
//! An address of IPv6 that is unspecified serves both families; IPv4 peers show in their plain form.

use std::{
    io::{self, IoSliceMut},
    net::{IpAddr, SocketAddr},
    os::fd::{AsRawFd, RawFd},
    task::{Context, Poll, ready},
};

use quinn_udp::{BATCH_SIZE, EcnCodepoint, RecvMeta, UdpSockRef, UdpSocketState};
use socket2::{Domain, Protocol, Type};
use tokio::{io::Interest, net::UdpSocket};

use super::{
    Ecn, Inbox, Outbox, Step, Transmit,
    inbox::{Arrival, INBOX_SLOTS},
    system,
};

/// Messages of one receive: as many as both sides of the call can hold.
const MESSAGES: usize = if BATCH_SIZE < INBOX_SLOTS { BATCH_SIZE } else { INBOX_SLOTS };

/// A UDP socket and what the system lets it do.
pub(super) struct Socket {
    socket: UdpSocket,
    state: UdpSocketState,
    local: SocketAddr,
}

impl Socket {
    /// Binds the socket, with large queues and without fragmentation.
    pub(super) fn bind(local: SocketAddr) -> io::Result<Self> {
        let socket = bind(local)?;
        system::enlarge_queues(&socket);
        let state = UdpSocketState::new(UdpSockRef::from(&socket))?;
        // quinn-udp 0.6.3 asks for time stamps, which leave no room for the mark of merged datagrams in its control messages.
        system::set_option(&socket, libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, &0)?;
        if state.may_fragment() {
            tracing::warn!(%local, "the system may fragment datagrams: path MTU discovery finds too much");
        }
        let local = socket.local_addr()?;
        Ok(Socket { socket: UdpSocket::from_std(socket)?, state, local })
    }

    pub(super) fn local_addr(&self) -> SocketAddr {
        self.local
    }

    pub(super) fn segments_max(&self) -> usize {
        self.state.max_gso_segments()
    }

    pub(super) fn overflowed(&self) -> u64 {
        system::queue_drops(&self.socket)
    }

    /// Fills the inbox, and returns how many messages it refused (empty ones).
    pub(super) fn poll_recv(&self, cx: &mut Context<'_>, inbox: &mut Inbox) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.socket.poll_recv_ready(cx))?;
            match self.socket.try_io(Interest::READABLE, || self.recv(inbox)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => (),
                received => return Poll::Ready(received),
            }
        }
    }

    fn recv(&self, inbox: &mut Inbox) -> io::Result<usize> {
        let mut metas = [RecvMeta::default(); MESSAGES];
        let count = {
            let mut slots = inbox.slots();
            let mut buffers: [IoSliceMut<'_>; MESSAGES] =
                std::array::from_fn(|_| IoSliceMut::new(slots.next().unwrap_or_default()));
            self.state.recv(UdpSockRef::from(&self.socket), &mut buffers, &mut metas)?
        };
        let full = metas[..count].iter().enumerate().filter(|(_, meta)| meta.len > 0);
        let filled = full.map(|(slot, meta)| inbox.fill(slot, arrival(meta))).count();
        Ok(count - filled)
    }

    /// Sends the head of the outbox.
    pub(super) fn poll_send(&self, cx: &mut Context<'_>, outbox: &Outbox) -> Poll<io::Result<Step>> {
        let Some((transmit, datagrams)) = outbox.head(self.segments_max()) else {
            return Poll::Ready(Ok(Step::Sent(0)));
        };
        loop {
            ready!(self.socket.poll_send_ready(cx))?;
            let sent = self.socket.try_io(Interest::WRITABLE, || self.send(&transmit));
            return Poll::Ready(Ok(match sent {
                Ok(()) => Step::Sent(datagrams),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                // The device does not segment, which quinn-udp has just learnt: once more, one by one.
                Err(_) if datagrams > self.segments_max() => Step::Sent(0),
                Err(error) => Step::Failed { datagrams, error },
            }));
        }
    }

    fn send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        let transmit = quinn_udp::Transmit {
            destination: self.as_sent(transmit.destination),
            ecn: transmit.ecn.and_then(|mark| EcnCodepoint::from_bits(mark as u8)),
            contents: transmit.contents,
            segment_size: transmit.segment_size,
            src_ip: transmit.source.map(|ip| ip.to_canonical()),
        };
        self.state.try_send(UdpSockRef::from(&self.socket), &transmit)
    }

    /// The destination in the socket's family. The source stays plain, for the kernel takes it by the packet's family.
    fn as_sent(&self, destination: SocketAddr) -> SocketAddr {
        match (self.local, destination) {
            (SocketAddr::V6(_), SocketAddr::V4(v4)) => {
                (system::mapped(IpAddr::V4(*v4.ip())), v4.port()).into()
            }
            _ => destination,
        }
    }
}

impl AsRawFd for Socket {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

/// A bound socket of the address's family, of both families where it is IPv6's unspecified one.
fn bind(local: SocketAddr) -> io::Result<std::net::UdpSocket> {
    let socket = socket2::Socket::new(Domain::for_address(local), Type::DGRAM, Some(Protocol::UDP))?;
    if local.is_ipv6() {
        socket.set_only_v6(!local.ip().is_unspecified())?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&local.into())?;
    Ok(socket.into())
}

fn arrival(meta: &RecvMeta) -> Arrival {
    Arrival {
        start: 0,
        end: meta.len,
        stride: meta.stride,
        remote: system::plain(meta.addr),
        local: meta.dst_ip.map(|ip| ip.to_canonical()),
        ecn: meta.ecn.and_then(|mark| Ecn::from_bits(mark as u8)),
    }
}
