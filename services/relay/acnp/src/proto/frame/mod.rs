//! Frames: what packets carry.

mod ack;
mod read;
mod repair;
mod write;

pub use ack::{ACK_RANGES_MAX, Ack, AckRanges, EcnCounts, RECOVERED_MAX, Recovered, write_ack};
pub use read::Frames;
pub use repair::Repair;
pub use write::{datagram_overhead, stream_overhead, write_stream_header};

use bytes::Bytes;

use super::{ConnectionId, Direction, PathId, StreamId, cid::ResetToken, close::Close};

/// A frame, as `docs/acnp.md` lists them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// Fills a packet; so many bytes of it in a row.
    Padding(usize),
    /// Asks for an ACK.
    Ping,
    /// Ends the connection.
    Close(Close),
    /// The sender gives up its part of a stream.
    Reset {
        /// The stream.
        stream: StreamId,
        /// The application's code.
        code: u64,
        /// Bytes of the stream that flow control has counted, or would have.
        final_size: u64,
    },
    /// The receiver wants no more of a stream.
    Stop {
        /// The stream.
        stream: StreamId,
        /// The application's code.
        code: u64,
    },
    /// Bytes of all streams together that may be sent.
    MaxData(u64),
    /// Bytes of a stream that may be sent.
    MaxStreamData {
        /// The stream.
        stream: StreamId,
        /// The limit.
        limit: u64,
    },
    /// Streams that may be opened, counted from the beginning.
    MaxStreams {
        /// Of which kind.
        direction: Direction,
        /// The limit.
        count: u64,
    },
    /// The connection's limit holds the sender back.
    DataBlocked(u64),
    /// A stream's limit holds the sender back.
    StreamDataBlocked {
        /// The stream.
        stream: StreamId,
        /// The limit.
        limit: u64,
    },
    /// The limit of streams holds the sender back.
    StreamsBlocked {
        /// Of which kind.
        direction: Direction,
        /// The limit.
        count: u64,
    },
    /// Send this back, to show that you receive here.
    PathChallenge([u8; 8]),
    /// A challenge sent back.
    PathResponse([u8; 8]),
    /// A further connection id of the sender's.
    NewCid(NewCid),
    /// Packets that were received.
    Ack(Ack),
    /// The sender will not use that id of the receiver's again.
    RetireCid {
        /// The path that the id belongs to.
        path: PathId,
        /// Its sequence number.
        sequence: u64,
    },
    /// A token for a later connection.
    NewToken(Bytes),
    /// How often the sender would like to have ACKs.
    AckFrequency(AckFrequency),
    /// Repair for packets that may be lost.
    Repair(Repair),
    /// Asks for an ACK without delay.
    ImmediateAck,
    /// What a path may be used for.
    PathStatus {
        /// The path.
        path: PathId,
        /// Larger than that of any earlier such frame for the path.
        sequence: u64,
        /// What for.
        status: PathStatus,
    },
    /// Data of a stream.
    Stream(StreamFrame),
    /// A datagram.
    Datagram(Bytes),
}

/// A further connection id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewCid {
    /// The path that it is for.
    pub path: PathId,
    /// Counts the ids of that path, from 0.
    pub sequence: u64,
    /// Ids with smaller sequence numbers are to be given back.
    pub retire_before: u64,
    /// The id.
    pub id: ConnectionId,
    /// Its stateless reset token.
    pub reset_token: ResetToken,
}

/// How often to acknowledge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AckFrequency {
    /// Larger than that of any earlier such frame.
    pub sequence: u64,
    /// Packets that ask for an ACK after which one is sent, at least 1.
    pub packets: u64,
    /// Longest delay, microseconds.
    pub delay_us: u64,
    /// Missing packets after which one is sent at once; 0: never for that reason.
    pub reordering: u64,
}

/// What a path may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathStatus {
    /// For nothing: it is given up.
    Abandoned,
    /// Only when no better one works.
    Standby,
    /// For anything.
    InUse,
}

/// Data of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamFrame {
    /// The stream.
    pub stream: StreamId,
    /// Where in the stream the data begins, bytes.
    pub offset: u64,
    /// Whether the stream ends behind it.
    pub end: bool,
    /// The data.
    pub data: Bytes,
}

impl Frame {
    /// Whether a packet with it has to be acknowledged (ACNP-43).
    #[must_use]
    pub const fn wants_ack(&self) -> bool {
        !matches!(self, Self::Ack(_) | Self::Padding(_) | Self::Close(_))
    }

    /// Whether it may stand in an Early packet (ACNP-44).
    #[must_use]
    pub const fn fits_early(&self) -> bool {
        !matches!(
            self,
            Self::Ack(_)
                | Self::Close(_)
                | Self::RetireCid { .. }
                | Self::NewToken(_)
                | Self::NewCid(_)
                | Self::AckFrequency(_)
                | Self::PathChallenge(_)
                | Self::PathResponse(_)
                | Self::PathStatus { .. }
                | Self::Repair(_)
        )
    }
}

/// Type bytes.
mod kind {
    pub(super) const PADDING: u8 = 0x00;
    pub(super) const PING: u8 = 0x01;
    pub(super) const CLOSE: u8 = 0x02;
    pub(super) const RESET: u8 = 0x03;
    pub(super) const STOP: u8 = 0x04;
    pub(super) const MAX_DATA: u8 = 0x05;
    pub(super) const MAX_STREAM_DATA: u8 = 0x06;
    pub(super) const MAX_STREAMS_BI: u8 = 0x07;
    pub(super) const MAX_STREAMS_UNI: u8 = 0x08;
    pub(super) const DATA_BLOCKED: u8 = 0x09;
    pub(super) const STREAM_DATA_BLOCKED: u8 = 0x0a;
    pub(super) const STREAMS_BLOCKED_BI: u8 = 0x0b;
    pub(super) const STREAMS_BLOCKED_UNI: u8 = 0x0c;
    pub(super) const PATH_CHALLENGE: u8 = 0x0d;
    pub(super) const PATH_RESPONSE: u8 = 0x0e;
    pub(super) const NEW_CID: u8 = 0x0f;
    pub(super) const ACK: u8 = 0x10;
    pub(super) const ACK_LAST: u8 = 0x17;
    pub(super) const ACK_ECN: u8 = 0x01;
    pub(super) const ACK_PATH: u8 = 0x02;
    pub(super) const ACK_MORE: u8 = 0x04;
    pub(super) const RETIRE_CID: u8 = 0x18;
    pub(super) const NEW_TOKEN: u8 = 0x19;
    pub(super) const ACK_FREQUENCY: u8 = 0x1a;
    pub(super) const FEC_REPAIR: u8 = 0x1b;
    pub(super) const IMMEDIATE_ACK: u8 = 0x1c;
    pub(super) const PATH_STATUS: u8 = 0x1d;
    pub(super) const STREAM: u8 = 0x20;
    pub(super) const STREAM_LAST: u8 = 0x27;
    pub(super) const STREAM_END: u8 = 0x01;
    pub(super) const STREAM_LENGTH: u8 = 0x02;
    pub(super) const STREAM_OFFSET: u8 = 0x04;
    pub(super) const DATAGRAM: u8 = 0x30;
    pub(super) const DATAGRAM_LENGTH: u8 = 0x31;
}

#[cfg(test)]
mod tests;
