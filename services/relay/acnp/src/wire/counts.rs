//! What went through a wire and what did not: nothing is dropped without being counted.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A wire's counts since it was made, in datagrams unless another unit is named.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Received and handed on.
    pub received: u64,
    /// Received, and not handed on because they are no datagrams for us: fragments, malformed or empty ones. In packets.
    pub refused: u64,
    /// Lost between the kernel and us because the receive queue was full. In packets; merged datagrams count as one.
    pub overflowed: u64,
    /// Handed to the kernel. What its own device queues drop afterwards counts as lost on the path.
    pub sent: u64,
    /// Not sent because they were too large.
    pub too_big: u64,
    /// Not sent because the system refused them.
    pub send_refused: u64,
    /// Times that sending had to wait for room in the kernel's queue.
    pub send_waits: u64,
}

/// The counters behind [`Counts`].
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) received: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) sent: AtomicU64,
    pub(super) too_big: AtomicU64,
    pub(super) send_refused: AtomicU64,
    pub(super) send_waits: AtomicU64,
}

impl Counters {
    /// The values now, `overflowed` as the kernel tells it.
    pub(super) fn read(&self, overflowed: u64) -> Counts {
        Counts {
            received: self.received.load(Relaxed),
            refused: self.refused.load(Relaxed),
            overflowed,
            sent: self.sent.load(Relaxed),
            too_big: self.too_big.load(Relaxed),
            send_refused: self.send_refused.load(Relaxed),
            send_waits: self.send_waits.load(Relaxed),
        }
    }
}

/// Adds to a counter.
pub(super) fn add(counter: &AtomicU64, number: u64) {
    counter.fetch_add(number, Relaxed);
}
