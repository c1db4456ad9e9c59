//! What carries datagrams: raw packets through pnet, a UDP socket, or memory.
//!
//! A [`Wire`] is one local address. It receives batches into an [`Inbox`] and sends what an [`Outbox`] holds; both are reused, and both
//! know buffers of several equal datagrams (GSO and GRO), congestion marks, and the local address that a datagram came to or leaves
//! from. What a wire cannot carry it reports as a [`Failure`] or counts in [`Counts`]; it never drops in silence.
//!
//! One suite (`tests/wires.rs`) holds every wire to the same conversation.

mod counts;
mod datagram;
mod error;
mod inbox;
pub mod memory;
mod outbox;
#[cfg(target_os = "linux")]
pub mod raw;
pub mod socket;
mod system;

use std::{
    future::poll_fn,
    io,
    net::SocketAddr,
    str::FromStr,
    task::{Context, Poll, ready},
};

pub use crate::proto::Ecn;
pub use counts::Counts;
pub use datagram::{Received, Transmit};
pub use error::SendError;
pub use inbox::{INBOX_SLOTS, Inbox};
pub use outbox::{Failure, Outbox};

use counts::{Counters, add};

/// Which wire to take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Choice {
    /// The raw wire where the system allows it, else the socket.
    #[default]
    Auto,
    /// Only the raw wire.
    Raw,
    /// Only the raw wire, whose batches leave by the kernel's segmentation offload ([`raw::Batches::Offloaded`]).
    RawOffloaded,
    /// Only the socket.
    Socket,
}

impl FromStr for Choice {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "auto" => Ok(Choice::Auto),
            "raw" => Ok(Choice::Raw),
            "raw-offloaded" => Ok(Choice::RawOffloaded),
            "socket" => Ok(Choice::Socket),
            other => Err(format!("no wire is called {other:?}: take auto, raw, raw-offloaded or socket")),
        }
    }
}

/// A way for datagrams to and from one local address.
///
/// One task may receive and one may send at a time: each direction remembers the waker of the last caller.
pub struct Wire {
    carrier: Carrier,
    counters: Counters,
}

enum Carrier {
    #[cfg(target_os = "linux")]
    Raw(Box<raw::Raw>),
    Socket(socket::Socket),
    Memory(memory::Memory),
}

/// What one call of a carrier sent.
enum Step {
    /// So many datagrams.
    Sent(usize),
    /// None: the next `datagrams` of the outbox failed together.
    Failed { datagrams: usize, error: io::Error },
}

impl Wire {
    /// Makes the chosen wire at `local`; port 0 takes a free one, an unspecified address all of the machine's (with IPv6, of both
    /// families). To be called within a tokio runtime.
    pub fn bind(choice: Choice, local: SocketAddr) -> io::Result<Wire> {
        match choice {
            Choice::Auto => Self::auto(local),
            Choice::Raw => Self::raw(local),
            Choice::RawOffloaded => Self::raw_offloaded(local),
            Choice::Socket => Self::socket(local),
        }
    }

    /// The raw wire where the system allows it, else the socket; the log says which, and why.
    pub fn auto(local: SocketAddr) -> io::Result<Wire> {
        Self::raw(local)
            .inspect(|wire| tracing::info!(local = %wire.local_addr(), wire = "raw", "wire chosen"))
            .or_else(|why| {
                let wire = Self::socket(local)?;
                tracing::info!(local = %wire.local_addr(), wire = "socket", %why, "wire chosen");
                Ok(wire)
            })
    }

    /// Raw packets; see [`raw`](mod@raw).
    #[cfg(target_os = "linux")]
    pub fn raw(local: SocketAddr) -> io::Result<Wire> {
        Ok(Self::new(Carrier::Raw(Box::new(raw::Raw::bind(local, raw::Batches::Built)?))))
    }

    /// Raw packets, batches excepted; see [`raw::Batches::Offloaded`].
    #[cfg(target_os = "linux")]
    pub fn raw_offloaded(local: SocketAddr) -> io::Result<Wire> {
        Ok(Self::new(Carrier::Raw(Box::new(raw::Raw::bind(local, raw::Batches::Offloaded)?))))
    }

    /// Raw packets, which need Linux.
    #[cfg(not(target_os = "linux"))]
    pub fn raw(_: SocketAddr) -> io::Result<Wire> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "the raw wire needs Linux: take the socket wire"))
    }

    /// Raw packets, which need Linux.
    #[cfg(not(target_os = "linux"))]
    pub fn raw_offloaded(local: SocketAddr) -> io::Result<Wire> {
        Self::raw(local)
    }

    /// A UDP socket; see [`socket`](mod@socket).
    pub fn socket(local: SocketAddr) -> io::Result<Wire> {
        Ok(Self::new(Carrier::Socket(socket::Socket::bind(local)?)))
    }

    fn new(carrier: Carrier) -> Wire {
        Wire { carrier, counters: Counters::default() }
    }

    /// `raw`, `raw-offloaded`, `socket` or `memory`.
    pub fn name(&self) -> &'static str {
        match &self.carrier {
            #[cfg(target_os = "linux")]
            Carrier::Raw(raw) => raw.name(),
            Carrier::Socket(_) => "socket",
            Carrier::Memory(_) => "memory",
        }
    }

    /// The address that the wire is bound to.
    pub fn local_addr(&self) -> SocketAddr {
        match &self.carrier {
            #[cfg(target_os = "linux")]
            Carrier::Raw(raw) => raw.local_addr(),
            Carrier::Socket(socket) => socket.local_addr(),
            Carrier::Memory(memory) => memory.local_addr(),
        }
    }

    /// Datagrams that a transmit had best hold at most: more still go, by several calls. It may fall while the wire is used, for a
    /// device may turn out not to segment. Probes of the path's MTU are to be transmits of their own.
    pub fn segments_max(&self) -> usize {
        match &self.carrier {
            #[cfg(target_os = "linux")]
            Carrier::Raw(raw) => raw.segments_max(),
            Carrier::Socket(socket) => socket.segments_max(),
            Carrier::Memory(memory) => memory.segments_max(),
        }
    }

    /// What went through so far.
    pub fn counts(&self) -> Counts {
        self.counters.read(match &self.carrier {
            #[cfg(target_os = "linux")]
            Carrier::Raw(raw) => raw.overflowed(),
            Carrier::Socket(socket) => socket.overflowed(),
            Carrier::Memory(memory) => memory.overflowed(),
        })
    }

    /// Waits until datagrams are there and replaces what the inbox holds by them. An error means that the wire is broken.
    pub fn poll_recv(&self, cx: &mut Context<'_>, inbox: &mut Inbox) -> Poll<io::Result<()>> {
        loop {
            inbox.clear();
            let refused = ready!(match &self.carrier {
                #[cfg(target_os = "linux")]
                Carrier::Raw(raw) => raw.poll_recv(cx, inbox),
                Carrier::Socket(socket) => socket.poll_recv(cx, inbox),
                Carrier::Memory(memory) => memory.poll_recv(cx, inbox),
            });
            match refused {
                Ok(refused) => add(&self.counters.refused, refused as u64),
                Err(error) if error::passes(&error) => tracing::debug!(%error, "a receive failed in passing"),
                Err(error) => return Poll::Ready(Err(error)),
            }
            if !inbox.is_empty() {
                add(&self.counters.received, inbox.datagrams());
                return Poll::Ready(Ok(()));
            }
        }
    }

    /// [`poll_recv`](Self::poll_recv) as a future. It may be dropped at any time; nothing is lost by that.
    pub async fn recv(&self, inbox: &mut Inbox) -> io::Result<()> {
        poll_fn(|cx| self.poll_recv(cx, inbox)).await
    }

    /// Sends what the outbox holds, until each datagram is handed on or stands among its failures. While the kernel's queue is full
    /// it is `Pending`, and the outbox remembers how far it got. An error means that the wire is broken.
    pub fn poll_send(&self, cx: &mut Context<'_>, outbox: &mut Outbox) -> Poll<io::Result<()>> {
        while !outbox.is_empty() {
            let step = match &self.carrier {
                #[cfg(target_os = "linux")]
                Carrier::Raw(raw) => raw.poll_send(cx, outbox),
                Carrier::Socket(socket) => socket.poll_send(cx, outbox),
                Carrier::Memory(memory) => memory.send(outbox),
            };
            let Poll::Ready(step) = step else {
                add(&self.counters.send_waits, 1);
                return Poll::Pending;
            };
            self.note(step?, outbox)?;
        }
        Poll::Ready(Ok(()))
    }

    /// [`poll_send`](Self::poll_send) as a future. When it is dropped, what was not yet sent stays in the outbox.
    pub async fn send(&self, outbox: &mut Outbox) -> io::Result<()> {
        poll_fn(|cx| self.poll_send(cx, outbox)).await
    }

    fn note(&self, step: Step, outbox: &mut Outbox) -> io::Result<()> {
        match step {
            Step::Sent(datagrams) => {
                add(&self.counters.sent, datagrams as u64);
                outbox.advance(datagrams);
            }
            Step::Failed { datagrams, error } => {
                let error = error::classify(error)?;
                let counter = match error {
                    SendError::TooBig => &self.counters.too_big,
                    _ => &self.counters.send_refused,
                };
                add(counter, datagrams as u64);
                outbox.fail(datagrams, error);
            }
        }
        Ok(())
    }
}
