//! The wire that builds and reads UDP itself, by pnet. It needs Linux and the capability CAP_NET_RAW.
//!
//! Packets leave through raw sockets (`inject`) with headers built here (`headers`), and come in through descriptors of AF_PACKET
//! (`capture`) behind a filter in the kernel (`filter`), to be read by a pure function (`frame`). That works on Ethernet, veth and
//! loopback, and on devices without a link header such as TUN and WireGuard, for the kernel keeps routes, neighbours and MTUs.
//!
//! What to know before use:
//! - A UDP socket holds the port all the while (`hold`), so that nobody else takes it and the kernel answers no peer with "port
//!   unreachable". It rejects every packet, which shows as `InErrors` in the system's UDP counters.
//! - AF_PACKET sees packets **before the firewall's input rules**: a rule that drops packets to this port does not keep them from this
//!   wire. Rules of the ingress hook (nftables `netdev`, tc) do. On the way out all rules hold.
//! - With an unspecified address every interface of the network namespace is heard, those too that appear later; with a specific one,
//!   every packet to that address, on whatever interface it arrives.
//! - Fragments and IPv6 packets with extension headers are refused, as are broadcast and multicast.
//! - Each packet costs its own way through the kernel when sent, for there is no segmentation offload for raw sockets: at 1452 bytes
//!   over loopback some fifteen times the processor time of the socket wire's largest batches, and as much as its single datagrams.
//!   [`Batches::Offloaded`] gives transmits of several datagrams to the held socket instead, which may offload; then the kernel
//!   builds the headers of those.

mod capture;
mod checksum;
mod filter;
mod frame;
mod headers;
mod hold;
mod inject;
mod source;

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    task::{Context, Poll},
};

use pnet_packet::ethernet::{EtherType, EtherTypes};

use super::{Inbox, Outbox, Step, socket::Socket};
use capture::Receiver;
use inject::Sender;

/// The two families of addresses, each with sockets of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    V4,
    V6,
}

impl Family {
    fn ethertype(self) -> u16 {
        let EtherType(number) = match self {
            Family::V4 => EtherTypes::Ipv4,
            Family::V6 => EtherTypes::Ipv6,
        };
        number
    }
}

/// By which way transmits of several datagrams leave; single datagrams always leave as packets that are built here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Batches {
    /// As packets that are built here, one by one.
    #[default]
    Built,
    /// Through the socket that holds the port, by segmentation offload: much less processor time, by headers of the kernel's.
    Offloaded,
}

/// What one family needs.
struct Half {
    receiver: Receiver,
    sender: Sender,
}

impl Half {
    fn open(local: SocketAddr) -> io::Result<Self> {
        let family = if local.is_ipv4() { Family::V4 } else { Family::V6 };
        let address = (!local.ip().is_unspecified()).then_some(local.ip());
        let receiver = Receiver::open(family, address, local.port())?;
        Ok(Half { receiver, sender: Sender::open(family, local)? })
    }
}

/// The raw wire.
pub(super) struct Raw {
    /// Keeps the port to its end.
    hold: Socket,
    batches: Batches,
    local: SocketAddr,
    v4: Option<Half>,
    v6: Option<Half>,
    /// Which family is asked first by the next receive, so that neither starves.
    v6_first: AtomicBool,
}

impl Raw {
    /// Takes the port and opens the descriptors. Without CAP_NET_RAW the error says what to do.
    pub(super) fn bind(local: SocketAddr, batches: Batches) -> io::Result<Self> {
        let hold = hold::take(local)?;
        let local = hold.local_addr();
        let both = local.is_ipv6() && local.ip().is_unspecified();
        let v4 = if both { SocketAddr::from((Ipv4Addr::UNSPECIFIED, local.port())) } else { local };
        let open = |address: SocketAddr, wanted: bool| {
            wanted.then(|| Half::open(address)).transpose().map_err(explain)
        };
        let (v4, v6) = (open(v4, v4.is_ipv4())?, open(local, local.is_ipv6())?);
        Ok(Raw { hold, batches, local, v4, v6, v6_first: AtomicBool::new(false) })
    }

    pub(super) fn name(&self) -> &'static str {
        match self.batches {
            Batches::Built => "raw",
            Batches::Offloaded => "raw-offloaded",
        }
    }

    pub(super) fn local_addr(&self) -> SocketAddr {
        self.local
    }

    pub(super) fn segments_max(&self) -> usize {
        match self.batches {
            Batches::Built => inject::CALL_PACKETS,
            Batches::Offloaded => self.hold.segments_max(),
        }
    }

    pub(super) fn overflowed(&self) -> u64 {
        [&self.v4, &self.v6].into_iter().flatten().map(|half| half.receiver.overflowed()).sum()
    }

    /// Fills the inbox from one family, and returns how many frames it refused.
    pub(super) fn poll_recv(&self, cx: &mut Context<'_>, inbox: &mut Inbox) -> Poll<io::Result<usize>> {
        let v6_first = self.v6.is_some() && self.v6_first.load(Relaxed);
        let order = if v6_first { [&self.v6, &self.v4] } else { [&self.v4, &self.v6] };
        for half in order.into_iter().flatten() {
            let polled = half.receiver.poll_recv(cx, inbox);
            if polled.is_ready() {
                self.v6_first.store(!v6_first, Relaxed);
                return polled;
            }
        }
        Poll::Pending
    }

    /// Sends datagrams from the outbox's head on.
    pub(super) fn poll_send(&self, cx: &mut Context<'_>, outbox: &Outbox) -> Poll<io::Result<Step>> {
        let several = |(_, datagrams)| datagrams > 1;
        if self.batches == Batches::Offloaded && outbox.head(self.hold.segments_max()).is_some_and(several) {
            return self.hold.poll_send(cx, outbox);
        }
        let half = match outbox.waiting().next().map(|transmit| transmit.destination.ip()) {
            Some(IpAddr::V4(_)) => &self.v4,
            Some(IpAddr::V6(_)) => &self.v6,
            None => return Poll::Ready(Ok(Step::Sent(0))),
        };
        match half {
            Some(half) => half.sender.poll_send(cx, outbox),
            None => Poll::Ready(Ok(Step::Failed {
                datagrams: 1,
                error: io::Error::from_raw_os_error(libc::EAFNOSUPPORT),
            })),
        }
    }
}

/// Says what to do about a missing capability.
fn explain(error: io::Error) -> io::Error {
    let missing = matches!(error.raw_os_error(), Some(libc::EPERM | libc::EACCES));
    let help = "the raw wire needs the capability CAP_NET_RAW: run as root, give it to the program (setcap cap_net_raw+ep PROGRAM) \
                or to the container (cap_add: NET_RAW), or take the socket wire";
    if missing { io::Error::new(io::ErrorKind::PermissionDenied, help) } else { error }
}
