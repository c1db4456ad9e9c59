//! The sender's half: a window of packets in flight, and linear combinations of it.

use super::{Header, PAYLOAD_BYTES_MAX, SPAN_MAX, add_source, header::HEADER_BYTES_MAX};
use bytes::Bytes;
use std::{collections::VecDeque, ops::RangeInclusive};

/// Which packets stay covered when those asked for do not fit into one repair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// The latest: for what was sent just now.
    Newest,
    /// The earliest: for what has waited longest.
    Oldest,
}

/// Packets sent and not yet acknowledged, from which repairs are made.
#[derive(Debug)]
pub struct Encoder {
    window: VecDeque<(u64, Bytes)>,
    bytes: usize,
    symbols_max: usize,
    bytes_max: usize,
}

impl Encoder {
    /// An empty window that holds at most so many packets and so many bytes of payload; the oldest leave first.
    #[must_use]
    pub const fn new(symbols_max: usize, bytes_max: usize) -> Self {
        Self { window: VecDeque::new(), bytes: 0, symbols_max, bytes_max }
    }

    /// A packet was sent. Packet numbers rise; one that does not, or a payload longer than [`PAYLOAD_BYTES_MAX`], is left out.
    pub fn push(&mut self, pn: u64, payload: Bytes) {
        if payload.len() > PAYLOAD_BYTES_MAX || self.window.back().is_some_and(|(last, _)| *last >= pn) {
            return;
        }
        self.bytes += payload.len();
        self.window.push_back((pn, payload));
        while self.window.len() > self.symbols_max || self.bytes > self.bytes_max {
            self.remove(0);
        }
    }

    /// A packet needs no repair any more: it has arrived, or its content was sent anew.
    pub fn acknowledged(&mut self, pn: u64) {
        if let Ok(at) = self.window.binary_search_by_key(&pn, |(pn, _)| *pn) {
            self.remove(at);
        }
    }

    fn remove(&mut self, at: usize) {
        if let Some((_, payload)) = self.window.remove(at) {
            self.bytes -= payload.len();
        }
    }

    /// Packets in the window.
    #[must_use]
    pub fn len(&self) -> usize {
        self.window.len()
    }

    /// Whether there is nothing to repair.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.window.is_empty()
    }

    /// A repair over the packets of the window within `pns`, or over as many of them as a header of [`HEADER_BYTES_MAX`] names; none if
    /// there are none. Repairs over overlapping packets need different seeds.
    #[must_use]
    pub fn repair(&self, seed: u16, pns: RangeInclusive<u64>, keep: Keep) -> Option<(Header, Vec<u8>)> {
        let from = self.window.partition_point(|(pn, _)| pn < pns.start());
        let to = self.window.partition_point(|(pn, _)| pn <= pns.end());
        let (header, from) = self.header(seed, from, to, keep)?;
        let mut symbol = Vec::new();
        for ((_, payload), (_, c)) in self.window.range(from..).zip(header.terms()) {
            add_source(&mut symbol, payload, c);
        }
        Some((header, symbol))
    }

    /// The header for the packets at `from..to`, fewer if they do not fit; and where its first stands.
    fn header(&self, seed: u16, mut from: usize, mut to: usize, keep: Keep) -> Option<(Header, usize)> {
        while from < to {
            let span = self.window[to - 1].0 - self.window[from].0;
            let header = if span < SPAN_MAX {
                Header::new(self.window.range(from..to).map(|(pn, _)| *pn), seed)
            } else {
                None
            };
            match header {
                Some(header) if header.encoded_len() <= HEADER_BYTES_MAX => return Some((header, from)),
                _ if keep == Keep::Newest => from += 1,
                _ => to -= 1,
            }
        }
        None
    }
}
