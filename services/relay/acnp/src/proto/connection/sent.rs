//! What a packet carried, to be told what became of it.

use smallvec::SmallVec;

use crate::proto::{
    PathId,
    fec::planner::Class,
    stream::{Control, SentStream},
};

/// A frame of the connection's own that is due. As with [`Control`], what exactly it says is looked up when it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Own {
    /// NEW_CID.
    NewCid(PathId, u64),
    /// RETIRE_CID.
    RetireCid(PathId, u64),
    /// NEW_TOKEN.
    NewToken,
    /// ACK_FREQUENCY with this sequence number; an older one is not worth sending.
    AckFrequency(u64),
    /// PING.
    Ping,
}

/// A frame that was sent, as far as its fate matters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SentFrame {
    /// Data of a stream.
    Stream(SentStream),
    /// A frame about streams.
    Control(Control),
    /// A frame of the connection's own.
    Own(Own),
    /// An ACK of this path's packets up to this one.
    Ack(PathId, u64),
    /// A datagram, which is not sent again.
    Datagram,
    /// A repair, which is not either.
    Repair,
}

impl SentFrame {
    pub(super) const fn is_ack(&self) -> bool {
        matches!(self, Self::Ack(..))
    }
}

/// Everything that a packet carried.
#[derive(Debug, Clone, Default)]
pub(super) struct Content {
    pub(super) frames: SmallVec<[SentFrame; 2]>,
    /// Bytes of the datagram.
    pub(super) len: usize,
    /// It was sent to find out whether datagrams may be larger.
    pub(super) is_mtu_probe: bool,
    /// It was sealed with early keys.
    pub(super) early: bool,
    /// Some of its data was sent before.
    pub(super) again: bool,
    /// The key phase it was sealed in.
    pub(super) phase: bool,
}

impl Content {
    /// Whether it may be covered by repair (ACNP-52).
    pub(super) fn is_source(&self) -> bool {
        let is_data = |frame: &SentFrame| matches!(frame, SentFrame::Stream(_) | SentFrame::Datagram);
        !self.early && self.frames.iter().any(is_data)
    }

    /// What it is to those who plan repairs.
    pub(super) fn class(&self) -> Class {
        match self.frames.last() {
            Some(SentFrame::Repair) => Class::Repair,
            _ if !self.is_source() => Class::Other,
            _ if self.again => Class::Retransmission,
            _ => Class::First,
        }
    }
}
