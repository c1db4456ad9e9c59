//! What has to be told the peer about streams, apart from their data. What exactly is told is looked up when it is written, so that
//! an entry is the same however often its subject changes, and putting it back after a loss never tells anything stale.

use crate::proto::{Direction, StreamId};

/// A frame that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Control {
    /// MAX_DATA.
    MaxData,
    /// MAX_STREAMS.
    MaxStreams(Direction),
    /// RESET.
    Reset(StreamId),
    /// STOP.
    Stop(StreamId),
    /// MAX_STREAM_DATA.
    MaxStreamData(StreamId),
    /// DATA_BLOCKED.
    DataBlocked,
    /// STREAM_DATA_BLOCKED.
    StreamDataBlocked(StreamId),
    /// STREAMS_BLOCKED.
    StreamsBlocked(Direction),
}
