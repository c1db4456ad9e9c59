//! Opening streams: how many there are and may be (ACNP-60, ACNP-61).

use super::{Control, StreamEvent, Streams, receive::ReceiveStream, send::SendStream};
use crate::proto::{
    Direction, Side, StreamId,
    close::{Code, Violation},
};

/// Streams of one direction.
#[derive(Debug)]
pub(super) struct Counts {
    /// Opened by us.
    opened: u64,
    /// How many the peer allows us.
    limit: u64,
    /// An `open` was refused since the last time that the limit rose.
    wanted: bool,
    /// Opened by the peer.
    peer_opened: u64,
    /// Of these, taken by the application.
    accepted: u64,
    /// How many the peer was told it may open.
    pub(super) granted: u64,
    /// Opened by the peer and over.
    over: u64,
    /// How many it may have open at once.
    at_once: u64,
}

impl Counts {
    pub(super) const fn new(limit: u64, at_once: u64) -> Self {
        Self {
            opened: 0,
            limit,
            wanted: false,
            peer_opened: 0,
            accepted: 0,
            granted: at_once,
            over: 0,
            at_once,
        }
    }

    pub(super) const fn limit(&self) -> u64 {
        self.limit
    }
}

impl Streams {
    /// Opens a stream; `None` while the peer allows no more of this direction.
    pub fn open(&mut self, direction: Direction) -> Option<StreamId> {
        let counts = &mut self.counts[direction as usize];
        if counts.opened >= counts.limit {
            counts.wanted = true;
            self.control.insert(Control::StreamsBlocked(direction));
            return None;
        }
        let id = StreamId::new(self.side, direction, counts.opened);
        counts.opened += 1;
        self.sending.insert(id, SendStream::new(self.stream_limit));
        if direction == Direction::Bi {
            self.receiving.insert(id, ReceiveStream::new(self.config.stream_window));
        }
        Some(id)
    }

    /// The next stream that the peer opened.
    pub fn accept(&mut self, direction: Direction) -> Option<StreamId> {
        let counts = &mut self.counts[direction as usize];
        (counts.accepted < counts.peer_opened).then(|| {
            counts.accepted += 1;
            StreamId::new(self.side.peer(), direction, counts.accepted - 1)
        })
    }

    /// The peer allows more streams.
    pub fn on_max_streams(&mut self, direction: Direction, count: u64) {
        let counts = &mut self.counts[direction as usize];
        if count > counts.limit {
            counts.limit = count;
            self.control.remove(&Control::StreamsBlocked(direction));
            if std::mem::take(&mut counts.wanted) {
                self.event(StreamEvent::Available(direction));
            }
        }
    }

    /// Makes sure that a stream which the peer names exists or existed, opening it if it is the peer's to open.
    pub(super) fn check_exists(&mut self, id: StreamId) -> Result<(), Violation> {
        let counts = &mut self.counts[id.direction() as usize];
        if id.opener() == self.side {
            return if id.index() < counts.opened {
                Ok(())
            } else {
                Err(Violation::new(Code::STREAM_STATE, "a stream that was never opened"))
            };
        }
        if id.index() >= counts.granted {
            return Err(Violation::new(Code::STREAM_LIMIT, "more streams than allowed"));
        }
        let new = counts.peer_opened..id.index() + 1;
        counts.peer_opened = counts.peer_opened.max(new.end);
        new.for_each(|index| self.open_peers(id.opener(), id.direction(), index));
        Ok(())
    }

    fn open_peers(&mut self, opener: Side, direction: Direction, index: u64) {
        let id = StreamId::new(opener, direction, index);
        self.receiving.insert(id, ReceiveStream::new(self.config.stream_window));
        if direction == Direction::Bi {
            self.sending.insert(id, SendStream::new(self.stream_limit));
        }
        self.event(StreamEvent::Opened(direction));
    }

    /// One part of a stream is over. When both are and the peer opened it, the peer may open another.
    pub(super) fn on_part_over(&mut self, id: StreamId) {
        if id.opener() == self.side || self.receiving.contains_key(&id) || self.sending.contains_key(&id) {
            return;
        }
        let counts = &mut self.counts[id.direction() as usize];
        counts.over += 1;
        let next = counts.over + counts.at_once;
        if next - counts.granted >= (counts.at_once / 8).max(1) {
            counts.granted = next;
            self.control.insert(Control::MaxStreams(id.direction()));
        }
    }
}
