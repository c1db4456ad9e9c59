//! Streams into packets, and what becomes of those packets.

use super::{Control, StreamEvent, Streams, send::End};
use crate::proto::{
    StreamId,
    frame::{Frame, stream_overhead, write_stream_header},
};

/// Least data for which a STREAM frame is begun at the end of a packet, bytes; less goes only if it is all there is.
const SLIVER: usize = 32;

/// Data of a stream that a packet carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SentStream {
    /// The stream.
    pub stream: StreamId,
    /// Where the data begins, bytes.
    pub offset: u64,
    /// How much it is.
    pub len: u32,
    /// Whether the stream ends behind it.
    pub end: bool,
}

impl SentStream {
    const fn span(&self) -> std::ops::Range<u64> {
        self.offset..self.offset + self.len as u64
    }
}

impl Streams {
    /// Whether there is data to send, apart from what the peer's limit holds back.
    #[must_use]
    pub fn has_data(&self) -> bool {
        self.schedule.first(self.sent < self.limit).is_some()
    }

    /// Whether there is data of the urgent class to send.
    #[must_use]
    pub fn has_urgent(&self) -> bool {
        self.schedule.has_urgent()
    }

    /// Bytes of all streams that were sent, each counted once.
    #[must_use]
    pub const fn sent(&self) -> u64 {
        self.sent
    }

    /// Whether there are frames other than data to send.
    #[must_use]
    pub fn has_control(&self) -> bool {
        !self.control.is_empty()
    }

    /// Appends a STREAM frame with data of the stream whose turn it is, of at most `space` bytes; says what it holds.
    pub fn write_data(&mut self, space: usize, out: &mut Vec<u8>) -> Option<SentStream> {
        let credit = self.limit.saturating_sub(self.sent);
        let (place, id) = self.schedule.first(credit > 0)?;
        let stream = self.sending.get_mut(&id)?;
        let span = {
            let next = stream.buffer.next(stream.limit, u64::MAX >> 1);
            let room = space.checked_sub(stream_overhead(id, next.start, space))?;
            let credit = if stream.has_lost() { u64::MAX } else { credit };
            let wanted = next.end - next.start;
            if room == 0 && wanted > 0 || room < SLIVER && wanted > room as u64 {
                return None;
            }
            next.start..next.start + wanted.min(room as u64).min(credit)
        };
        let len = (span.end - span.start) as u32;
        let ends = matches!(stream.end, End::Ended { .. }) && span.end == stream.buffer.end();
        write_stream_header(id, span.start, Some(len as usize), ends, out);
        stream.buffer.copy(span.clone(), out);
        self.sent += span.end.saturating_sub(stream.buffer.sent());
        stream.buffer.on_sent(span.clone());
        if ends {
            stream.end = End::Ended { sent: true };
        }
        stream.served = place.1 + stream.priority.cost(u64::from(len));
        if stream.is_blocked() {
            self.control.insert(Control::StreamDataBlocked(id));
        }
        let room = stream.wants_room;
        self.schedule.on_served(place);
        self.queue(id);
        if room {
            self.offer_room();
        }
        Some(SentStream { stream: id, offset: span.start, len, end: ends })
    }

    /// Notes that the peer's limit is what keeps data from going, so that the peer hears of it.
    pub fn note_blocked(&mut self) {
        if self.sent >= self.limit && self.schedule.first(true).is_some() {
            self.control.insert(Control::DataBlocked);
        }
    }

    /// The next frame that is not data, and what it is to be remembered by. Nothing before the handshake is over: the peer has no use for it.
    pub fn poll_control(&mut self) -> Option<(Control, Frame)> {
        while let Some(control) = self.control.pop_first() {
            if let Some(frame) = self.frame(control) {
                return Some((control, frame));
            }
        }
        None
    }

    fn frame(&self, control: Control) -> Option<Frame> {
        Some(match control {
            Control::MaxData => Frame::MaxData(self.granted()),
            Control::MaxStreams(direction) => {
                Frame::MaxStreams { direction, count: self.counts[direction as usize].granted }
            }
            Control::Reset(stream) => {
                let sending = self.sending.get(&stream)?;
                let End::Reset { code, acked: false } = sending.end else { return None };
                Frame::Reset { stream, code, final_size: sending.buffer.sent() }
            }
            Control::Stop(stream) => Frame::Stop { stream, code: self.receiving.get(&stream)?.stopped? },
            Control::MaxStreamData(stream) => {
                let receiving =
                    self.receiving.get(&stream).filter(|receiving| !receiving.final_size_known())?;
                Frame::MaxStreamData { stream, limit: receiving.window.granted() }
            }
            Control::DataBlocked => Frame::DataBlocked(self.limit),
            Control::StreamDataBlocked(stream) => {
                let sending = self.sending.get(&stream).filter(|sending| sending.is_blocked())?;
                Frame::StreamDataBlocked { stream, limit: sending.limit }
            }
            Control::StreamsBlocked(direction) => {
                Frame::StreamsBlocked { direction, count: self.counts[direction as usize].limit() }
            }
        })
    }

    /// A packet with this data arrived.
    pub fn on_data_acked(&mut self, sent: SentStream) {
        let Some(stream) = self.sending.get_mut(&sent.stream) else { return };
        if matches!(stream.end, End::Reset { .. }) {
            return;
        }
        let before = stream.buffer.len();
        stream.buffer.on_acked(sent.span());
        let released = before - stream.buffer.len();
        if sent.end {
            stream.end = End::Acked;
        }
        let done = stream.is_done();
        self.on_released(released);
        if done {
            self.event(StreamEvent::Finished(sent.stream));
            self.forget_sending(sent.stream);
        } else {
            self.queue(sent.stream);
        }
    }

    /// A packet with this data was lost.
    pub fn on_data_lost(&mut self, sent: SentStream) {
        let Some(stream) = self.sending.get_mut(&sent.stream) else { return };
        if matches!(stream.end, End::Reset { .. }) {
            return;
        }
        stream.buffer.on_lost(sent.span());
        if sent.end && stream.end == (End::Ended { sent: true }) {
            stream.end = End::Ended { sent: false };
        }
        self.queue(sent.stream);
    }

    /// A packet with this frame arrived.
    pub fn on_control_acked(&mut self, control: Control) {
        if let Control::Reset(id) = control
            && let Some(stream) = self.sending.get_mut(&id)
            && let End::Reset { code, .. } = stream.end
        {
            stream.end = End::Reset { code, acked: true };
            self.forget_sending(id);
        }
    }

    /// A packet with this frame was lost: its subject is told again, as it is then.
    pub fn on_control_lost(&mut self, control: Control) {
        self.control.insert(control);
    }
}
