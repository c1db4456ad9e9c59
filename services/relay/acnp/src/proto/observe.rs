//! What a connection lets an observer see, so that logs can be written (qlog among them) without the protocol knowing of any.

use std::{net::SocketAddr, time::Duration};

use super::{PathId, Time, close::Code};

/// Why a packet or datagram was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dropped {
    /// It cannot be read.
    Malformed,
    /// It does not open.
    DoesNotOpen,
    /// It came before.
    Duplicate,
    /// There are no keys for it, or none any more.
    NoKeys,
    /// Too much is waiting already.
    NoRoom,
    /// It has no business here.
    Unexpected,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Observed {
    /// A handshake message was sent.
    HandshakeSent {
        /// `initial` or `response`.
        kind: &'static str,
        /// How often before.
        attempt: u32,
    },
    /// A sealed packet was sent.
    PacketSent {
        /// On which path.
        path: PathId,
        /// Its number.
        number: u64,
        /// Bytes of it.
        len: usize,
        /// Whether it has to be acknowledged.
        wants_ack: bool,
    },
    /// A sealed packet was opened.
    PacketReceived {
        /// On which path.
        path: PathId,
        /// Its number.
        number: u64,
        /// Bytes of it.
        len: usize,
    },
    /// A packet or datagram was dropped.
    PacketDropped {
        /// Why.
        reason: Dropped,
        /// Bytes of it.
        len: usize,
    },
    /// A packet did not come, and was recovered by repairs.
    PacketRecovered {
        /// Its path.
        path: PathId,
        /// Its number.
        number: u64,
    },
    /// A packet was found lost.
    PacketLost {
        /// On which path.
        path: PathId,
        /// Its number.
        number: u64,
    },
    /// An acknowledgement changed what is known of a path.
    Metrics {
        /// Which.
        path: PathId,
        /// Smoothed round trip.
        smoothed: Duration,
        /// The last sample.
        latest: Duration,
        /// Bytes that may be under way.
        window: u64,
        /// Bytes that are.
        in_flight: u64,
        /// Bytes a second at which they leave, if paced.
        pacing: Option<u64>,
    },
    /// The keys changed.
    KeysUpdated {
        /// The new phase.
        phase: bool,
    },
    /// A path has another address now.
    PathMoved {
        /// Which.
        path: PathId,
        /// To where.
        remote: SocketAddr,
    },
    /// A path carries datagrams of another size.
    MtuChanged {
        /// Which.
        path: PathId,
        /// Bytes of UDP payload.
        len: usize,
    },
    /// The handshake is over.
    Established,
    /// The connection has ended, or is about to.
    Closed {
        /// The code, if there was one.
        code: Option<Code>,
    },
}

/// Somebody who watches a connection.
pub trait Observer: Send {
    /// Something happened at `now`.
    fn observe(&mut self, now: Time, event: &Observed);
}
