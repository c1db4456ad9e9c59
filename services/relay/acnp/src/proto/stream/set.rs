//! All streams of a connection: frames about them come in here, and the application's calls.

use std::collections::{BTreeSet, HashMap, VecDeque};

use bytes::Bytes;

use super::{
    Control, Priority, ReadError, WriteError,
    flow::Window,
    open::Counts,
    receive::{Change, ReceiveStream},
    schedule::{Class, Schedule},
    send::{End, SendStream},
};
use crate::proto::{
    Direction, Side, StreamId,
    close::{Code, Violation},
    frame::StreamFrame,
    handshake::{EARLY_LIMITS, Parameters},
};

/// Pieces that wait for what is missing before them, in all streams of a connection together (ACNP-64).
pub(super) const PIECES_MAX: usize = 65_536;

/// How much streams may hold.
#[derive(Debug, Clone)]
pub struct StreamConfig {
    /// Bytes that the peer may send ahead of what the application reads, a stream.
    pub stream_window: u64,
    /// The same for all streams together.
    pub window: u64,
    /// Streams that the peer may have open at once, each direction.
    pub streams: u64,
    /// Bytes written that are kept until they are acknowledged, all streams together.
    pub send_buffer: u64,
    /// Bytes written that were never sent, a stream: beyond it, a writer waits.
    pub unsent: u64,
}

impl Default for StreamConfig {
    fn default() -> Self {
        Self {
            stream_window: 16 << 20,
            window: 32 << 20,
            streams: 4096,
            send_buffer: 48 << 20,
            unsent: 1 << 20,
        }
    }
}

/// What happened to streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamEvent {
    /// The peer opened one; `accept` gives it.
    Opened(Direction),
    /// There is data, an end or a reset to read.
    Readable(StreamId),
    /// There is room again after a write that was refused.
    Writable(StreamId),
    /// All that was written has arrived, the end included.
    Finished(StreamId),
    /// The peer wants no more of it, for this reason.
    Stopped(StreamId, u64),
    /// The peer allows more streams after an `open` that was refused.
    Available(Direction),
}

/// The streams of a connection.
#[derive(Debug)]
pub struct Streams {
    pub(super) side: Side,
    pub(super) config: StreamConfig,
    pub(super) sending: HashMap<StreamId, SendStream>,
    pub(super) receiving: HashMap<StreamId, ReceiveStream>,
    pub(super) counts: [Counts; 2],
    pub(super) schedule: Schedule,
    pub(super) control: BTreeSet<Control>,
    events: VecDeque<StreamEvent>,
    /// What the peer allows: bytes in all, and of a new stream.
    pub(super) limit: u64,
    pub(super) stream_limit: u64,
    /// New bytes sent, which count against `limit`.
    pub(super) sent: u64,
    window: Window,
    /// Bytes received, which count against the window.
    received: u64,
    pieces: usize,
    buffered: u64,
    /// Whether the handshake is over, so that streams need not be repeatable.
    pub(super) established: bool,
}

impl Streams {
    /// None yet. Until [`Self::establish`] the peer's limits are those of ACNP-27.
    #[must_use]
    pub fn new(side: Side, config: StreamConfig) -> Self {
        let counts = |direction| Counts::new(EARLY_LIMITS.streams(direction), config.streams);
        Self {
            side,
            sending: HashMap::new(),
            receiving: HashMap::new(),
            counts: [counts(Direction::Bi), counts(Direction::Uni)],
            schedule: Schedule::default(),
            control: BTreeSet::new(),
            events: VecDeque::new(),
            limit: EARLY_LIMITS.data,
            stream_limit: EARLY_LIMITS.stream_data,
            sent: 0,
            window: Window::new(config.window),
            received: 0,
            pieces: 0,
            buffered: 0,
            established: false,
            config,
        }
    }

    /// Takes the peer's limits from its hello: streams that are not repeatable may go.
    pub fn establish(&mut self, parameters: &Parameters) {
        self.established = true;
        self.limit = self.limit.max(parameters.data);
        self.stream_limit = parameters.stream_data;
        for direction in [Direction::Bi, Direction::Uni] {
            self.on_max_streams(direction, parameters.streams(direction));
        }
        let ids: Vec<_> = self.sending.keys().copied().collect();
        for id in ids {
            if let Some(stream) = self.sending.get_mut(&id) {
                stream.limit = stream.limit.max(parameters.stream_data);
            }
            self.queue(id);
        }
    }

    /// The next thing that happened.
    pub fn poll_event(&mut self) -> Option<StreamEvent> {
        self.events.pop_front()
    }

    pub(super) fn event(&mut self, event: StreamEvent) {
        self.events.push_back(event);
    }

    /// Puts a stream where it belongs in the schedule, after anything that may have changed that.
    pub(super) fn queue(&mut self, id: StreamId) {
        let Some(stream) = self.sending.get_mut(&id) else { return };
        if let Some(place) = stream.place.take() {
            self.schedule.remove(place, id);
        }
        if stream.is_ready() && (self.established || stream.repeatable) {
            let class = Class::of(stream.priority, stream.has_lost());
            stream.place = Some(self.schedule.insert(class, stream.served, id));
        }
    }

    // What the application asks for.

    /// Takes data to send: as much of `data` as there is room for, which is said.
    ///
    /// # Errors
    /// Nothing was taken.
    pub fn write(&mut self, id: StreamId, mut data: Bytes) -> Result<usize, WriteError> {
        let room_in_all = self.config.send_buffer.saturating_sub(self.buffered);
        let stream = self.sending.get_mut(&id).ok_or(WriteError::Closed)?;
        if let Some(code) = stream.stopped {
            return Err(WriteError::Stopped(code));
        }
        if stream.end != End::Open {
            return Err(WriteError::Closed);
        }
        let room = room_in_all.min(self.config.unsent.saturating_sub(stream.buffer.unsent()));
        if room == 0 && !data.is_empty() {
            stream.wants_room = true;
            return Err(WriteError::Blocked);
        }
        data.truncate(usize::try_from(room).unwrap_or(usize::MAX));
        let len = data.len();
        stream.buffer.write(data);
        self.buffered += len as u64;
        self.queue(id);
        Ok(len)
    }

    /// Ends a stream behind what was written.
    ///
    /// # Errors
    /// It is closed already.
    pub fn finish(&mut self, id: StreamId) -> Result<(), WriteError> {
        let stream = self.sending.get_mut(&id).ok_or(WriteError::Closed)?;
        if let Some(code) = stream.stopped {
            return Err(WriteError::Stopped(code));
        }
        if stream.end != End::Open {
            return Err(WriteError::Closed);
        }
        stream.end = End::Ended { sent: false };
        self.queue(id);
        Ok(())
    }

    /// Gives up the sending part of a stream.
    ///
    /// # Errors
    /// There is nothing to give up.
    pub fn reset(&mut self, id: StreamId, code: u64) -> Result<(), WriteError> {
        let stream = self.sending.get_mut(&id).ok_or(WriteError::Closed)?;
        if matches!(stream.end, End::Reset { .. } | End::Acked) {
            return Err(WriteError::Closed);
        }
        self.buffered -= stream.buffer.len();
        stream.buffer.clear();
        stream.end = End::Reset { code, acked: false };
        self.control.insert(Control::Reset(id));
        self.queue(id);
        self.offer_room();
        Ok(())
    }

    /// Sets what a stream's data is worth among the others.
    pub fn set_priority(&mut self, id: StreamId, priority: Priority) {
        if let Some(stream) = self.sending.get_mut(&id) {
            stream.priority = priority;
            self.queue(id);
        }
    }

    /// Allows a stream into Early packets, which an attacker could repeat to the server within limits (ACNP-23).
    pub fn set_repeatable(&mut self, id: StreamId) {
        if let Some(stream) = self.sending.get_mut(&id) {
            stream.repeatable = true;
            self.queue(id);
        }
    }

    /// Reads the next data of a stream, at most `max` bytes; `None` at its end.
    ///
    /// # Errors
    /// There is none, now or ever.
    pub fn read(&mut self, id: StreamId, max: usize) -> Result<Option<Bytes>, ReadError> {
        let stream = self.receiving.get_mut(&id).ok_or(ReadError::Closed)?;
        let read = stream.read(max);
        match &read {
            Ok(Some(data)) => {
                let bytes = data.len() as u64;
                if stream.window.on_consumed(bytes) && !stream.final_size_known() {
                    self.control.insert(Control::MaxStreamData(id));
                }
                self.consume(bytes);
            }
            Ok(None) | Err(ReadError::Reset(_)) => self.forget_receiving(id),
            Err(_) => {}
        }
        read
    }

    /// Asks the peer to send no more of a stream.
    ///
    /// # Errors
    /// There is nothing more to come.
    pub fn stop(&mut self, id: StreamId, code: u64) -> Result<(), ReadError> {
        let stream = self.receiving.get_mut(&id).ok_or(ReadError::Closed)?;
        if stream.stopped.is_some() {
            return Err(ReadError::Closed);
        }
        let pieces = stream.pieces();
        let dropped = stream.stop(code);
        let over = stream.final_size_known();
        self.pieces -= pieces;
        self.consume(dropped);
        if over {
            self.forget_receiving(id);
        } else {
            self.control.insert(Control::Stop(id));
        }
        Ok(())
    }

    fn consume(&mut self, bytes: u64) {
        if self.window.on_consumed(bytes) {
            self.control.insert(Control::MaxData);
        }
    }

    pub(super) const fn granted(&self) -> u64 {
        self.window.granted()
    }

    // What the peer says.

    /// Whether a packet with new pieces can be taken; if not, it is to be treated as lost (ACNP-64).
    #[must_use]
    pub const fn has_room(&self) -> bool {
        self.pieces < PIECES_MAX
    }

    /// Takes data.
    ///
    /// # Errors
    /// The peer may not send it.
    pub fn on_stream(&mut self, frame: StreamFrame) -> Result<(), Violation> {
        let id = frame.stream;
        self.check_receives(id)?;
        let Some(stream) = self.receiving.get_mut(&id) else { return Ok(()) };
        let pieces = stream.pieces();
        let growth = stream.growth(frame.offset + frame.data.len() as u64);
        self.window.check(self.received + growth)?;
        let change = stream.on_data(frame.offset, frame.end, frame.data)?;
        self.pieces = self.pieces + stream.pieces() - pieces;
        self.on_change(id, &change);
        Ok(())
    }

    /// Takes a reset.
    ///
    /// # Errors
    /// The peer may not send it.
    pub fn on_reset(&mut self, id: StreamId, code: u64, final_size: u64) -> Result<(), Violation> {
        self.check_receives(id)?;
        let Some(stream) = self.receiving.get_mut(&id) else { return Ok(()) };
        let pieces = stream.pieces();
        self.window.check(self.received + stream.growth(final_size))?;
        let change = stream.on_reset(code, final_size)?;
        self.pieces = self.pieces + stream.pieces() - pieces;
        self.on_change(id, &change);
        Ok(())
    }

    fn on_change(&mut self, id: StreamId, change: &Change) {
        self.received += change.counted;
        if change.dropped > 0 {
            self.consume(change.dropped);
        }
        if change.readable {
            self.event(StreamEvent::Readable(id));
        }
        let over = |stream: &ReceiveStream| stream.stopped.is_some() && stream.final_size_known();
        if self.receiving.get(&id).is_some_and(over) {
            self.forget_receiving(id);
        }
    }

    /// The peer wants no more.
    ///
    /// # Errors
    /// It may not say so of this stream.
    pub fn on_stop(&mut self, id: StreamId, code: u64) -> Result<(), Violation> {
        self.check_sends(id)?;
        let Some(stream) = self.sending.get_mut(&id) else { return Ok(()) };
        if stream.stopped.is_none() && !matches!(stream.end, End::Reset { .. } | End::Acked) {
            stream.stopped = Some(code);
            self.event(StreamEvent::Stopped(id, code));
            // ACNP-63
            let _ = self.reset(id, code);
        }
        Ok(())
    }

    /// The peer allows more bytes in all.
    pub fn on_max_data(&mut self, limit: u64) {
        self.limit = self.limit.max(limit);
    }

    /// The peer allows more bytes of a stream.
    ///
    /// # Errors
    /// It may not say so of this stream.
    pub fn on_max_stream_data(&mut self, id: StreamId, limit: u64) -> Result<(), Violation> {
        self.check_sends(id)?;
        if let Some(stream) = self.sending.get_mut(&id) {
            stream.limit = stream.limit.max(limit);
            self.queue(id);
        }
        Ok(())
    }

    fn check_receives(&mut self, id: StreamId) -> Result<(), Violation> {
        if id.opener() == self.side && id.direction() == Direction::Uni {
            return Err(Violation::new(Code::STREAM_STATE, "data on a stream that only sends"));
        }
        self.check_exists(id)
    }

    fn check_sends(&mut self, id: StreamId) -> Result<(), Violation> {
        if id.opener() != self.side && id.direction() == Direction::Uni {
            return Err(Violation::new(
                Code::STREAM_STATE,
                "a word on sending for a stream that only receives",
            ));
        }
        self.check_exists(id)
    }

    // What ends.

    pub(super) fn forget_receiving(&mut self, id: StreamId) {
        if let Some(stream) = self.receiving.remove(&id) {
            self.pieces -= stream.pieces();
            self.on_part_over(id);
        }
    }

    pub(super) fn forget_sending(&mut self, id: StreamId) {
        if let Some(stream) = self.sending.remove(&id) {
            if let Some(place) = stream.place {
                self.schedule.remove(place, id);
            }
            self.on_part_over(id);
        }
    }

    /// Counts down what is acknowledged, and says so to those who wait for room.
    pub(super) fn on_released(&mut self, bytes: u64) {
        self.buffered -= bytes;
        if bytes > 0 {
            self.offer_room();
        }
    }

    /// Tells the writers that were refused that there is room, if there is.
    pub(super) fn offer_room(&mut self) {
        if self.buffered >= self.config.send_buffer {
            return;
        }
        let unsent = self.config.unsent;
        let events = self.sending.iter_mut().filter_map(|(id, stream)| {
            let room = stream.wants_room && stream.buffer.unsent() <= unsent / 2;
            room.then(|| {
                stream.wants_room = false;
                StreamEvent::Writable(*id)
            })
        });
        self.events.extend(events);
    }

    /// Bytes written and not acknowledged.
    #[must_use]
    pub const fn buffered(&self) -> u64 {
        self.buffered
    }
}
