//! Reused memory into which a wire receives a batch.
//!
//! A slot takes whatever one system call may deliver for one message: the largest datagram, or as many merged ones, with all the
//! headers that the raw wire gets before it. The memory is touched only as far as datagrams fill it.

use std::net::{IpAddr, SocketAddr};

use super::{Ecn, Received};

/// Messages that one call receives at most.
pub const INBOX_SLOTS: usize = 32;

/// Bytes of a slot: 65,535 of an IP packet, and room for the headers of the link.
pub(super) const SLOT_BYTES: usize = 66 * 1024;

/// What a slot holds: where in it the datagrams lie, and the rest of [`Received`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Arrival {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) stride: usize,
    pub(super) remote: SocketAddr,
    pub(super) local: Option<IpAddr>,
    pub(super) ecn: Option<Ecn>,
}

/// A batch of received datagrams, and the memory that they lie in.
pub struct Inbox {
    memory: Box<[u8]>,
    arrivals: [Option<Arrival>; INBOX_SLOTS],
}

impl Default for Inbox {
    fn default() -> Self {
        Inbox { memory: vec![0; INBOX_SLOTS * SLOT_BYTES].into(), arrivals: [None; INBOX_SLOTS] }
    }
}

impl Inbox {
    /// Reserves the memory (2 MiB of addresses, used as datagrams need it).
    pub fn new() -> Self {
        Self::default()
    }

    /// Buffers that the last receive filled.
    pub fn len(&self) -> usize {
        self.arrivals.iter().flatten().count()
    }

    /// Whether the last receive brought nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What the last receive brought, in the order of arrival.
    pub fn received(&mut self) -> impl Iterator<Item = Received<'_>> {
        let slots = self.memory.chunks_exact_mut(SLOT_BYTES);
        slots.zip(&self.arrivals).filter_map(|(slot, arrival)| {
            let Arrival { start, end, stride, remote, local, ecn } = (*arrival)?;
            Some(Received { remote, local, ecn, stride, contents: slot.get_mut(start..end)? })
        })
    }

    /// Forgets what is in it.
    pub(super) fn clear(&mut self) {
        self.arrivals = [None; INBOX_SLOTS];
    }

    /// The slots' memory, each [`SLOT_BYTES`] long.
    pub(super) fn slots(&mut self) -> impl Iterator<Item = &mut [u8]> {
        self.memory.chunks_exact_mut(SLOT_BYTES)
    }

    /// One slot's memory.
    pub(super) fn slot(&mut self, slot: usize) -> &mut [u8] {
        &mut self.memory[slot * SLOT_BYTES..(slot + 1) * SLOT_BYTES]
    }

    /// Says what a slot holds.
    pub(super) fn fill(&mut self, slot: usize, arrival: Arrival) {
        self.arrivals[slot] = Some(arrival);
    }

    /// Datagrams in the batch.
    pub(super) fn datagrams(&self) -> u64 {
        let count = |arrival: &Arrival| (arrival.end - arrival.start).div_ceil(arrival.stride.max(1));
        self.arrivals.iter().flatten().map(|arrival| count(arrival) as u64).sum()
    }
}
