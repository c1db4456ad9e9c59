//! How much a stream takes.

use super::Streams;
use crate::proto::StreamId;

impl Streams {
    /// Bytes that [`Self::write`] would take; 0 also when it would fail.
    #[must_use]
    pub fn writable(&self, id: StreamId) -> usize {
        let in_all = self.config.send_buffer.saturating_sub(self.buffered());
        let room = self
            .sending
            .get(&id)
            .map_or(0, |stream| self.config.unsent.saturating_sub(stream.buffer.unsent()));
        usize::try_from(room.min(in_all)).unwrap_or(usize::MAX)
    }
}
