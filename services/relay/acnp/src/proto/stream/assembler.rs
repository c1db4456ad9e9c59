//! Puts the pieces of a stream in order.

use std::collections::{BTreeMap, VecDeque};

use bytes::{Buf, Bytes};

/// Pieces smaller than this are copied, so that they don't hold the block that their packet lies in, bytes.
const COPY_BELOW: usize = 600;

/// Data of a stream: what is ready to be read, and pieces that wait for what is missing before them.
#[derive(Debug, Default)]
pub(super) struct Assembler {
    ready: VecDeque<Bytes>,
    /// Bytes that were read, and where `ready` begins.
    read: u64,
    /// Where `ready` ends.
    end: u64,
    /// Pieces beyond `end`, which neither overlap nor touch it, by their offsets.
    waiting: BTreeMap<u64, Bytes>,
}

impl Assembler {
    /// Bytes that were read.
    pub(super) const fn read_offset(&self) -> u64 {
        self.read
    }

    /// Where the data that can be read without a gap ends.
    pub(super) const fn ready_end(&self) -> u64 {
        self.end
    }

    /// Pieces that wait.
    pub(super) fn pieces(&self) -> usize {
        self.waiting.len()
    }

    /// Adds data; what is there already is skipped.
    pub(super) fn insert(&mut self, offset: u64, mut data: Bytes) {
        if offset > self.end {
            return self.keep(offset, data);
        }
        let known = self.end - offset;
        if known >= data.len() as u64 {
            return;
        }
        data.advance(known as usize);
        self.push(data);
        self.join();
    }

    fn push(&mut self, data: Bytes) {
        self.end += data.len() as u64;
        self.ready.push_back(if data.len() < COPY_BELOW { Bytes::copy_from_slice(&data) } else { data });
    }

    /// Moves what has become contiguous.
    fn join(&mut self) {
        while let Some(piece) = self.waiting.first_entry()
            && *piece.key() <= self.end
        {
            let (offset, mut data) = piece.remove_entry();
            let known = self.end - offset;
            if known < data.len() as u64 {
                data.advance(known as usize);
                self.push(data);
            }
        }
    }

    /// Adds the parts of a piece that no other covers.
    fn keep(&mut self, mut offset: u64, mut data: Bytes) {
        if let Some((before, piece)) = self.waiting.range(..=offset).next_back() {
            let known = (before + piece.len() as u64).saturating_sub(offset).min(data.len() as u64);
            data.advance(known as usize);
            offset += known;
        }
        while !data.is_empty() {
            let after = self.waiting.range(offset..).next().map(|(after, piece)| (*after, piece.len()));
            let room =
                after.map_or(usize::MAX, |(after, _)| (after - offset).min(usize::MAX as u64) as usize);
            let part = data.split_to(room.min(data.len()));
            if !part.is_empty() {
                let part = if part.len() < COPY_BELOW { Bytes::copy_from_slice(&part) } else { part };
                offset += part.len() as u64;
                self.waiting.insert(offset - part.len() as u64, part);
            }
            let covered = after.map_or(0, |(_, len)| len).min(data.len());
            data.advance(covered);
            offset += covered as u64;
        }
    }

    /// The next data in order, at most `max` bytes.
    pub(super) fn read(&mut self, max: usize) -> Option<Bytes> {
        let front = self.ready.front_mut()?;
        let data = if front.len() <= max { self.ready.pop_front()? } else { front.split_to(max) };
        self.read += data.len() as u64;
        Some(data)
    }

    /// Drops all data.
    pub(super) fn clear(&mut self) {
        self.ready.clear();
        self.waiting.clear();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn content(offset: u64, len: u64) -> Bytes {
        (offset..offset + len).map(|at| (at % 251) as u8).collect::<Vec<_>>().into()
    }

    proptest! {
        #[test]
        fn pieces_in_any_order_give_the_stream(
            pieces in prop::collection::vec((0..3000_u64, 0..900_u64), 0..40), max in 1usize..2000, order: prop::sample::Index
        ) {
            let mut assembler = Assembler::default();
            // What covers everything, in an order that depends on the pieces.
            let all: Vec<_> = (0..20_u64).map(|i| (i * 200, 200)).collect();
            let split = order.index(20);
            let rest = all[split..].iter().chain(&pieces).chain(&all[..split]);
            let mut read = Vec::new();
            let mut top = 0;
            for (offset, len) in pieces.iter().chain(rest) {
                assembler.insert(*offset, content(*offset, *len));
                top = top.max(offset + len);
                prop_assert!(assembler.pieces() <= 60);
                if len % 3 == 0 && let Some(data) = assembler.read(max) {
                    prop_assert!(data.len() <= max);
                    read.extend_from_slice(&data);
                }
            }
            while let Some(data) = assembler.read(max) {
                read.extend_from_slice(&data);
            }
            prop_assert_eq!(assembler.pieces(), 0);
            prop_assert_eq!(assembler.read_offset(), top.max(4000));
            prop_assert_eq!(assembler.ready_end(), top.max(4000));
            prop_assert_eq!(read, content(0, top.max(4000)).to_vec());
        }
    }
}
