//! Datagrams: sent once, in no order, lost when they are lost.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::proto::frame::{Frame, datagram_overhead};

/// Why a datagram was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DatagramError {
    /// The peer takes none.
    #[error("the peer takes no datagrams")]
    Refused,
    /// It does not fit a packet, or is more than the peer takes.
    #[error("the datagram is too large")]
    TooLarge,
}

/// A queue of bounded bytes, the oldest dropped when it is full.
#[derive(Debug, Default)]
struct Queue {
    items: VecDeque<Bytes>,
    bytes: usize,
    dropped: u64,
}

impl Queue {
    fn push(&mut self, data: Bytes, limit: usize) {
        self.bytes += data.len();
        self.items.push_back(data);
        while self.bytes > limit && self.items.len() > 1 {
            self.pop();
            self.dropped += 1;
        }
    }

    fn pop(&mut self) -> Option<Bytes> {
        let data = self.items.pop_front()?;
        self.bytes -= data.len();
        Some(data)
    }
}

/// Datagrams that wait, in both directions.
#[derive(Debug, Default)]
pub(super) struct Datagrams {
    outgoing: Queue,
    incoming: Queue,
}

impl Datagrams {
    pub(super) fn send(&mut self, data: Bytes, limit: usize) {
        self.outgoing.push(data, limit);
    }

    pub(super) fn has_data(&self) -> bool {
        !self.outgoing.items.is_empty()
    }

    /// Appends the next one, if it fits; says so.
    pub(super) fn write(&mut self, space: usize, out: &mut Vec<u8>) -> bool {
        let fits = |data: &Bytes| data.len() + datagram_overhead(data.len()) <= space;
        if !self.outgoing.items.front().is_some_and(fits) {
            return false;
        }
        let data = self.outgoing.pop().expect("it was looked at");
        Frame::Datagram(data).write(out);
        true
    }

    /// Drops those that will never fit a packet with `space` bytes, because the path carries less than it did.
    pub(super) fn drop_oversized(&mut self, space: usize) {
        while let Some(data) = self.outgoing.items.front()
            && data.len() + datagram_overhead(data.len()) > space
        {
            self.outgoing.pop();
            self.outgoing.dropped += 1;
        }
    }

    pub(super) fn receive(&mut self, data: Bytes, limit: usize) {
        self.incoming.push(data, limit);
    }

    pub(super) fn read(&mut self) -> Option<Bytes> {
        self.incoming.pop()
    }

    /// How many were dropped for want of room: of those to send, of those received.
    pub(super) const fn dropped(&self) -> (u64, u64) {
        (self.outgoing.dropped, self.incoming.dropped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_go_when_there_is_no_room() {
        let mut datagrams = Datagrams::default();
        for i in 0..5_u8 {
            datagrams.receive(Bytes::from(vec![i; 10]), 30);
        }
        assert_eq!(datagrams.dropped(), (0, 2));
        assert_eq!(datagrams.read(), Some(Bytes::from(vec![2; 10])));
        datagrams.send(Bytes::from(vec![1; 100]), 30);
        assert!(datagrams.has_data(), "one is always kept");
        let mut out = Vec::new();
        assert!(!datagrams.write(102, &mut out));
        assert!(datagrams.write(103, &mut out));
        assert_eq!(out.len(), 103);
        datagrams.send(Bytes::from(vec![1; 100]), 300);
        datagrams.drop_oversized(50);
        assert!(!datagrams.has_data());
    }
}
