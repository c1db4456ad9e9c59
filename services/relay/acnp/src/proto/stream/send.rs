//! The sending part of a stream.

use super::{Priority, schedule::Place, send_buffer::SendBuffer};

/// Why nothing was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// The buffer is full; an event tells when there is room.
    #[error("the buffer is full")]
    Blocked,
    /// The peer wants no more, for this reason of its application's.
    #[error("the peer stopped the stream with code {0}")]
    Stopped(u64),
    /// The stream was ended or reset, or does not exist.
    #[error("the stream is closed")]
    Closed,
}

/// How far the end of a sending part has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// It is written to.
    Open,
    /// It was ended; `sent`: its end is under way or arrived.
    Ended { sent: bool },
    /// Its end was acknowledged.
    Acked,
    /// It was reset with this code.
    Reset { code: u64, acked: bool },
}

/// A stream that this side sends on.
#[derive(Debug)]
pub(super) struct SendStream {
    pub(super) buffer: SendBuffer,
    pub(super) end: End,
    /// How far the peer allows to send.
    pub(super) limit: u64,
    pub(super) priority: Priority,
    /// Whether it may go into Early packets.
    pub(super) repeatable: bool,
    pub(super) stopped: Option<u64>,
    /// Virtual time up to which it was served.
    pub(super) served: u64,
    pub(super) place: Option<Place>,
    /// A write was refused since the last time that there was room.
    pub(super) wants_room: bool,
}

impl SendStream {
    pub(super) fn new(limit: u64) -> Self {
        Self {
            buffer: SendBuffer::default(),
            end: End::Open,
            limit,
            priority: Priority::default(),
            repeatable: false,
            stopped: None,
            served: 0,
            place: None,
            wants_room: false,
        }
    }

    /// Whether there is lost data to send, or an end that is all that is lost.
    pub(super) fn has_lost(&self) -> bool {
        self.buffer.has_lost()
    }

    /// Whether its end still has to be sent.
    pub(super) const fn owes_end(&self) -> bool {
        matches!(self.end, End::Ended { sent: false })
    }

    /// Whether a frame could be sent now, the connection's limit apart.
    pub(super) fn is_ready(&self) -> bool {
        if matches!(self.end, End::Reset { .. }) {
            return false;
        }
        self.has_lost()
            || (self.buffer.unsent() > 0 && self.buffer.sent() < self.limit)
            || (self.owes_end() && self.buffer.unsent() == 0)
    }

    /// Whether the peer's limit for this stream is what holds it.
    pub(super) const fn is_blocked(&self) -> bool {
        self.buffer.unsent() > 0 && self.buffer.sent() >= self.limit && !matches!(self.end, End::Reset { .. })
    }

    /// Whether nothing more will happen to it.
    pub(super) const fn is_done(&self) -> bool {
        match self.end {
            End::Acked => self.buffer.is_acked(),
            End::Reset { acked, .. } => acked,
            _ => false,
        }
    }
}
