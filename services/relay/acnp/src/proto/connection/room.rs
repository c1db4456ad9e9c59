//! What a caller can know before it asks, so that it need not ask in vain.

use super::Connection;
use crate::proto::StreamId;

impl Connection {
    /// Whether there is anything to send but data that waits for its turn: what was read or asked for changes what the peer is told.
    #[must_use]
    pub fn wants_to_send(&self) -> bool {
        self.streams.has_control() || !self.own.is_empty()
    }

    /// Bytes that [`Self::write`] would take of a stream; 0 also when it would fail.
    #[must_use]
    pub fn writable(&self, stream: StreamId) -> usize {
        self.streams.writable(stream)
    }
}
