//! What a way has done: packets, bytes, and where the missing ones went.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Counts of one way since the path was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Tally {
    /// Packets that entered.
    pub packets: u64,
    /// Their bytes, IP headers included.
    pub bytes: u64,
    /// Packets that found the queue full.
    pub dropped_queue: u64,
    /// Packets lost each alone.
    pub dropped_random: u64,
    /// Packets lost in a burst.
    pub dropped_burst: u64,
    /// Packets lost in a dark time.
    pub dropped_blackout: u64,
    /// Packets that arrived twice.
    pub duplicated: u64,
    /// Packets with a bit turned over.
    pub corrupted: u64,
    /// Packets marked as having met congestion.
    pub marked: u64,
    /// Milliseconds of queueing and serialisation, summed over all packets that got through the queue.
    pub queued_ms_sum: f64,
    /// The longest of them.
    pub queued_ms_max: f64,
}

impl Tally {
    pub(super) fn queued(&mut self, waited: Duration) {
        let ms = waited.as_secs_f64() * 1e3;
        self.queued_ms_sum += ms;
        self.queued_ms_max = self.queued_ms_max.max(ms);
    }

    /// Packets that did not come out, whatever the cause.
    pub fn dropped(&self) -> u64 {
        self.dropped_queue + self.dropped_random + self.dropped_burst + self.dropped_blackout
    }

    /// Mean milliseconds in the queue.
    pub fn queued_ms_mean(&self) -> f64 {
        self.queued_ms_sum / (self.packets - self.dropped_queue).max(1) as f64
    }

    /// Both together.
    pub fn plus(&self, other: &Self) -> Self {
        Self {
            packets: self.packets + other.packets,
            bytes: self.bytes + other.bytes,
            dropped_queue: self.dropped_queue + other.dropped_queue,
            dropped_random: self.dropped_random + other.dropped_random,
            dropped_burst: self.dropped_burst + other.dropped_burst,
            dropped_blackout: self.dropped_blackout + other.dropped_blackout,
            duplicated: self.duplicated + other.duplicated,
            corrupted: self.corrupted + other.corrupted,
            marked: self.marked + other.marked,
            queued_ms_sum: self.queued_ms_sum + other.queued_ms_sum,
            queued_ms_max: self.queued_ms_max.max(other.queued_ms_max),
        }
    }
}
