//! What is to be sent, how far a wire has come with it, and what failed.
//!
//! The outbox owns the bytes, so that a wire whose queue is full can leave off in the middle of a transmit and go on later.

use std::{
    net::{IpAddr, SocketAddr},
    ops::Range,
};

use super::{Ecn, SendError, Transmit};

/// Bytes that one call hands to the kernel at most: what fits one IPv4 packet beside its headers.
pub(super) const CALL_BYTES_MAX: usize = 65_507;

struct Queued {
    destination: SocketAddr,
    source: Option<IpAddr>,
    ecn: Option<Ecn>,
    segment: usize,
    bytes: Range<usize>,
}

/// Datagrams that could not be sent.
#[derive(Debug)]
pub struct Failure {
    /// Which transmit, counted from 0 in the order of pushes since the outbox was last sent whole.
    pub transmit: usize,
    /// Where to.
    pub destination: SocketAddr,
    /// Bytes of each datagram.
    pub segment_size: usize,
    /// How many datagrams.
    pub datagrams: usize,
    /// Why.
    pub error: SendError,
}

/// Transmits on their way out.
#[derive(Default)]
pub struct Outbox {
    bytes: Vec<u8>,
    queue: Vec<Queued>,
    /// The transmit that is next.
    next: usize,
    failures: Vec<Failure>,
}

impl Outbox {
    /// An empty outbox.
    pub fn new() -> Self {
        Self::default()
    }

    /// Copies a transmit to the end of the queue. An empty one is left out.
    pub fn push(&mut self, transmit: &Transmit<'_>) {
        let Transmit { destination, source, ecn, contents, segment_size } = *transmit;
        self.write(destination, source, ecn, segment_size, |bytes| bytes.extend_from_slice(contents));
    }

    /// Queues a transmit whose bytes are in `contents`, not in the transmit: where nothing else waits they are exchanged for an empty buffer
    /// instead of being copied.
    pub fn give(&mut self, transmit: &Transmit<'_>, contents: &mut Vec<u8>) {
        if !self.is_empty() || contents.is_empty() {
            return self.push(&Transmit { contents, ..*transmit });
        }
        self.reset();
        std::mem::swap(&mut self.bytes, contents);
        let Transmit { destination, source, ecn, segment_size, .. } = *transmit;
        let bytes = 0..self.bytes.len();
        self.queue.push(Queued {
            destination,
            source,
            ecn,
            segment: segment_size.unwrap_or(bytes.len()).max(1),
            bytes,
        });
    }

    /// Queues what `write` appends to the bytes, which saves the copy of [`push`](Self::push). `write` must not shorten them.
    pub fn write(
        &mut self,
        destination: SocketAddr,
        source: Option<IpAddr>,
        ecn: Option<Ecn>,
        segment_size: Option<usize>,
        write: impl FnOnce(&mut Vec<u8>),
    ) {
        let start = self.bytes.len();
        write(&mut self.bytes);
        let bytes = start..self.bytes.len();
        let segment = segment_size.unwrap_or(bytes.len()).max(1);
        if !bytes.is_empty() {
            self.queue.push(Queued { destination, source, ecn, segment, bytes });
        }
    }

    /// Whether nothing waits to be sent.
    pub fn is_empty(&self) -> bool {
        self.next == self.queue.len()
    }

    /// Bytes that wait to be sent.
    pub fn waiting_bytes(&self) -> usize {
        self.queue[self.next..].iter().map(|queued| queued.bytes.len()).sum()
    }

    /// Takes what failed since the last call.
    pub fn failures(&mut self) -> impl Iterator<Item = Failure> {
        self.failures.drain(..)
    }

    /// What waits, as transmits.
    pub(super) fn waiting(&self) -> impl Iterator<Item = Transmit<'_>> {
        self.queue[self.next..].iter().map(|queued| Transmit {
            destination: queued.destination,
            source: queued.source,
            ecn: queued.ecn,
            contents: &self.bytes[queued.bytes.clone()],
            segment_size: Some(queued.segment),
        })
    }

    /// What waits, as single datagrams.
    pub(super) fn waiting_datagrams(&self) -> impl Iterator<Item = Transmit<'_>> {
        self.waiting().flat_map(|transmit| {
            let segment = transmit.segment_size.unwrap_or(transmit.contents.len()).max(1);
            transmit.contents.chunks(segment).map(move |contents| Transmit {
                contents,
                segment_size: None,
                ..transmit
            })
        })
    }

    /// What one call may send when it may hold `segments` datagrams: the head of the transmit that is next, and how many those are.
    pub(super) fn head(&self, segments: usize) -> Option<(Transmit<'_>, usize)> {
        let mut transmit = self.waiting().next()?;
        let segment = transmit.segment_size?;
        let segments = segments.min(CALL_BYTES_MAX / segment).max(1);
        transmit.contents = &transmit.contents[..transmit.contents.len().min(segments * segment)];
        let segments = transmit.contents.len().div_ceil(segment);
        transmit.segment_size = (segments > 1).then_some(segment);
        Some((transmit, segments))
    }

    /// Notes that the next `segments` datagrams are sent.
    pub(super) fn advance(&mut self, mut segments: usize) {
        while segments > 0 && self.next < self.queue.len() {
            let queued = &mut self.queue[self.next];
            let step = segments.min(queued.bytes.len().div_ceil(queued.segment));
            queued.bytes.start = queued.bytes.end.min(queued.bytes.start + step * queued.segment);
            segments -= step;
            if queued.bytes.is_empty() {
                self.next += 1;
            }
        }
        if self.is_empty() {
            self.reset();
        }
    }

    /// Notes that the next `segments` datagrams, all of one transmit, failed.
    pub(super) fn fail(&mut self, segments: usize, error: SendError) {
        let Some(queued) = self.queue.get(self.next) else { return };
        self.failures.push(Failure {
            transmit: self.next,
            destination: queued.destination,
            segment_size: queued.segment.min(queued.bytes.len()),
            datagrams: segments,
            error,
        });
        self.advance(segments);
    }

    fn reset(&mut self) {
        self.bytes.clear();
        self.queue.clear();
        self.next = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outbox(sizes: &[(usize, Option<usize>)]) -> Outbox {
        let mut outbox = Outbox::new();
        for (transmit, (size, segment_size)) in sizes.iter().enumerate() {
            let contents = vec![transmit as u8; *size];
            let destination = "127.0.0.1:1".parse().unwrap();
            outbox.push(&Transmit {
                destination,
                source: None,
                ecn: None,
                contents: &contents,
                segment_size: *segment_size,
            });
        }
        outbox
    }

    #[test]
    fn a_wire_may_leave_off_within_a_transmit() {
        let mut outbox = outbox(&[(250, Some(100)), (0, None), (40, None)]);
        let sizes =
            |outbox: &Outbox| outbox.waiting_datagrams().map(|one| one.contents.len()).collect::<Vec<_>>();
        assert_eq!(sizes(&outbox), [100, 100, 50, 40]);
        outbox.advance(2);
        assert_eq!(sizes(&outbox), [50, 40]);
        assert_eq!(outbox.waiting_bytes(), 90);
        outbox.advance(2);
        assert!(outbox.is_empty() && outbox.bytes.is_empty());
    }

    #[test]
    fn a_head_holds_what_one_call_may_send() {
        let outbox = outbox(&[(100_000, Some(1000))]);
        let head =
            |segments| outbox.head(segments).map(|(head, count)| (head.contents.len(), count)).unwrap();
        assert_eq!(head(1), (1000, 1));
        assert_eq!(head(10), (10_000, 10));
        assert_eq!(head(1000), (65_000, 65));
        assert_eq!(outbox.head(1).unwrap().0.segment_size, None);
    }

    #[test]
    fn a_failure_tells_which_transmit_and_how_much() {
        let mut outbox = outbox(&[(10, None), (250, Some(100)), (20, None)]);
        outbox.advance(2);
        outbox.fail(2, SendError::TooBig);
        assert_eq!(outbox.waiting_bytes(), 20);
        let failure = outbox.failures().next().unwrap();
        assert_eq!((failure.transmit, failure.segment_size, failure.datagrams), (1, 100, 2));
    }
}
