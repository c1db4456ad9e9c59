//! How far a connection has come.

use std::time::Duration;

use bytes::Bytes;

use crate::proto::{ConnectionId, Meta, Time, close::Close, handshake::ClientHandshake};

/// Packets that a client keeps until it can open them (ACNP-26).
pub(super) const UNOPENED_MAX: usize = 64;

/// The life of a connection.
#[derive(Debug)]
pub(super) enum State {
    /// A client waits for the Response.
    Connecting(Box<Connecting>),
    /// A server has answered, and has heard nothing that only the client could say.
    Accepting(Accepting),
    /// The handshake is over.
    Established,
    /// CLOSE was sent, or is to be.
    Closing(Closing),
    /// Nothing is sent any more; what still comes is expected.
    Draining {
        /// Until when.
        until: Time,
    },
    /// Nothing is left.
    Drained,
}

/// When to send a handshake message, the first time or again (ACNP-22).
#[derive(Debug)]
pub(super) struct Repeat {
    pub(super) at: Option<Time>,
    interval: Duration,
    pub(super) attempts: u32,
}

/// Longest time between two attempts.
const INTERVAL_MAX: Duration = Duration::from_secs(2);

impl Repeat {
    pub(super) fn new(now: Time, rtt: Duration) -> Self {
        Self { at: Some(now), interval: rtt * 3, attempts: 0 }
    }

    pub(super) fn is_due(&self, now: Time) -> bool {
        self.at.is_some_and(|at| at <= now)
    }

    /// It goes out now.
    pub(super) fn on_sent(&mut self, now: Time) {
        self.attempts += 1;
        self.at = Some(now + self.interval);
        self.interval = (self.interval * 3 / 2).min(INTERVAL_MAX);
    }

    pub(super) fn now(&mut self, now: Time) {
        self.at = Some(now);
    }
}

/// A client's handshake.
#[derive(Debug)]
pub(super) struct Connecting {
    pub(super) handshake: ClientHandshake,
    pub(super) token: Bytes,
    pub(super) repeat: Repeat,
    pub(super) first_sent: Option<Time>,
    /// The destination of the first Initial.
    pub(super) first_destination: ConnectionId,
    /// The source of the Retry, if there was one.
    pub(super) retry_source: Option<ConnectionId>,
    /// Packets that came before the Response.
    pub(super) unopened: Vec<(Meta, Vec<u8>)>,
}

/// Most bytes of a Response's header: flags, version, two ids with their lengths, the message's length.
const RESPONSE_HEADER_MAX: usize = 64;

/// A server's handshake.
#[derive(Debug)]
pub(super) struct Accepting {
    pub(super) response: Vec<u8>,
    pub(super) repeat: Repeat,
}

impl Accepting {
    /// Bytes that a datagram with the Response has at most, if nothing else goes with it.
    pub(super) const fn datagram_len(&self) -> usize {
        self.response.len() + RESPONSE_HEADER_MAX
    }
}

/// A connection that was closed by this side (ACNP-74).
#[derive(Debug)]
pub(super) struct Closing {
    pub(super) close: Close,
    pub(super) until: Time,
    pub(super) due: bool,
    /// Packets that came, and how many more have to before CLOSE is sent again.
    pub(super) heard: u32,
    pub(super) again_after: u32,
}

impl Closing {
    /// A packet came: the peer has not heard of the end. Each answer takes twice as many packets as the one before.
    pub(super) fn on_packet(&mut self) {
        self.heard += 1;
        if self.heard >= self.again_after {
            (self.heard, self.again_after, self.due) = (0, self.again_after.saturating_mul(2), true);
        }
    }
}
