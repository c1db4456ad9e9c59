//! What was written to a stream and is not acknowledged yet.

use std::{collections::VecDeque, ops::Range};

use bytes::{Buf, Bytes, BytesMut};

use super::spans::Spans;

/// Writes smaller than this are gathered into segments of about this size, bytes.
const GATHER: usize = 2048;

/// Data of a stream from its first unacknowledged byte on, and which of it was sent, lost, acknowledged.
#[derive(Debug, Default)]
pub(super) struct SendBuffer {
    /// Segments with their offsets, without gaps.
    segments: VecDeque<(u64, Bytes)>,
    /// Everything before is acknowledged.
    base: u64,
    /// Where the next new byte to send is.
    sent: u64,
    /// Where the written data ends.
    end: u64,
    acked: Spans,
    lost: Spans,
}

impl SendBuffer {
    /// Where the written data ends.
    pub(super) const fn end(&self) -> u64 {
        self.end
    }

    /// Where the data that was never sent begins.
    pub(super) const fn sent(&self) -> u64 {
        self.sent
    }

    /// Bytes that are kept.
    pub(super) const fn len(&self) -> u64 {
        self.end - self.base
    }

    /// Bytes that were never sent.
    pub(super) const fn unsent(&self) -> u64 {
        self.end - self.sent
    }

    pub(super) fn has_lost(&self) -> bool {
        !self.lost.is_empty()
    }

    /// Whether all that was written is acknowledged.
    pub(super) const fn is_acked(&self) -> bool {
        self.base == self.end
    }

    pub(super) fn write(&mut self, data: Bytes) {
        let len = data.len() as u64;
        if len == 0 {
            return;
        }
        match self.segments.back_mut() {
            Some((_, last)) if last.len() + data.len() <= GATHER => {
                let mut joined =
                    std::mem::take(last).try_into_mut().unwrap_or_else(|last| BytesMut::from(&last[..]));
                joined.extend_from_slice(&data);
                *last = joined.freeze();
            }
            _ => self.segments.push_back((self.end, data)),
        }
        self.end += len;
    }

    /// The next span to send, at most `max` bytes: lost data first, then new data up to `limit`.
    pub(super) fn next(&self, limit: u64, max: u64) -> Range<u64> {
        let span = self.lost.first().unwrap_or(self.sent..self.end.min(limit).max(self.sent));
        span.start..span.end.min(span.start + max)
    }

    /// Notes that a span that [`Self::next`] gave is under way.
    pub(super) fn on_sent(&mut self, span: Range<u64>) {
        self.sent = self.sent.max(span.end);
        self.lost.remove(span);
    }

    /// Appends the data of a span that is not acknowledged.
    pub(super) fn copy(&self, span: Range<u64>, out: &mut Vec<u8>) {
        let first = self.segments.partition_point(|(offset, data)| offset + data.len() as u64 <= span.start);
        let mut at = span.start;
        for (offset, data) in self.segments.iter().skip(first) {
            if at >= span.end {
                break;
            }
            let from = (at - offset) as usize;
            let to = ((span.end - offset) as usize).min(data.len());
            out.extend_from_slice(&data[from..to]);
            at = offset + to as u64;
        }
        debug_assert_eq!(at, span.end.max(span.start), "a span that is kept");
    }

    pub(super) fn on_acked(&mut self, span: Range<u64>) {
        self.lost.remove(span.clone());
        self.acked.insert(span.start.max(self.base)..span.end);
        if let Some(first) = self.acked.first()
            && first.start <= self.base
        {
            self.base = first.end;
            self.acked.remove(first);
            self.release();
        }
    }

    fn release(&mut self) {
        while let Some((offset, data)) = self.segments.front_mut() {
            let acked = self.base.saturating_sub(*offset);
            if acked < data.len() as u64 {
                data.advance(acked as usize);
                *offset += acked;
                break;
            }
            self.segments.pop_front();
        }
    }

    pub(super) fn on_lost(&mut self, span: Range<u64>) {
        let span = span.start.max(self.base)..span.end.max(self.base);
        let missing: Vec<_> = self.acked.gaps(span).collect();
        missing.into_iter().for_each(|gap| self.lost.insert(gap));
    }

    /// Drops all data: the stream was reset.
    pub(super) fn clear(&mut self) {
        self.segments.clear();
        (self.base, self.end) = (self.sent, self.sent);
        (self.acked, self.lost) = (Spans::default(), Spans::default());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Packets are sent, lost and acknowledged in any order; the receiver gets every byte.
        #[test]
        fn every_byte_arrives(writes in prop::collection::vec(1usize..3000, 1..8), fates in prop::collection::vec((1..1500_u64, 0..4_u8), 1..200)) {
            let (mut buffer, mut content) = (SendBuffer::default(), Vec::new());
            for len in writes {
                let data: Vec<u8> = (content.len()..content.len() + len).map(|at| (at % 253) as u8).collect();
                content.extend_from_slice(&data);
                buffer.write(data.into());
            }
            let mut received = vec![None; content.len()];
            let (mut flying, mut fates) = (VecDeque::new(), fates.iter().cycle());
            let mut patience = 20_000_u64;
            while !buffer.is_acked() {
                patience -= 1;
                prop_assert!(patience > 0, "no progress");
                let (max, fate) = *fates.next().unwrap();
                let span = buffer.next(u64::MAX, max);
                if !span.is_empty() {
                    let mut data = Vec::new();
                    buffer.copy(span.clone(), &mut data);
                    buffer.on_sent(span.clone());
                    flying.push_back((span, data));
                }
                if fate == 0 || span_is_idle(&buffer) {
                    let Some((span, data)) = flying.pop_front() else { continue };
                    if (max + patience).is_multiple_of(3) {
                        buffer.on_lost(span);
                    } else {
                        received[span.start as usize..span.end as usize].iter_mut().zip(&data).for_each(|(to, byte)| *to = Some(*byte));
                        buffer.on_acked(span.clone());
                        buffer.on_lost(span);
                    }
                }
            }
            prop_assert_eq!(buffer.len(), 0);
            prop_assert_eq!(received.into_iter().collect::<Option<Vec<u8>>>(), Some(content));
        }
    }

    fn span_is_idle(buffer: &SendBuffer) -> bool {
        buffer.next(u64::MAX, 1).is_empty()
    }
}
