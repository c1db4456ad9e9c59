//! What an ACK or a time-out told.

use std::time::Duration;

use super::rate::{RateSample, Stamp};
use crate::proto::Time;

/// Packets that the peer received by the mark that they bore.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EcnCounts {
    /// ECT(0).
    pub ect0: u64,
    /// ECT(1).
    pub ect1: u64,
    /// Congestion experienced.
    pub ce: u64,
}

/// A packet that was given up and came after all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spurious {
    /// Its number.
    pub number: u64,
    /// Its bytes.
    pub size: u32,
    /// When it left.
    pub sent_at: Time,
    /// By how much it was late.
    pub lateness: Duration,
}

/// What was lost at once, recovered or not, MTU probes left out.
#[derive(Debug, Clone, Copy, Default)]
pub struct Losses {
    /// Packets.
    pub packets: u64,
    /// Bytes.
    pub bytes: u64,
    /// When the last of them left.
    pub newest_sent: Time,
    /// How long nothing came through at all was longer than three probe time-outs (RFC 9002 section 7.6).
    pub persistent: bool,
    run: Option<(u64, Time)>,
    longest: Duration,
}

impl Losses {
    pub(super) fn add(&mut self, number: u64, size: u32, stamp: Stamp) {
        self.packets += 1;
        self.bytes += u64::from(size);
        self.newest_sent = self.newest_sent.max(stamp.sent_at);
        let start = match self.run {
            Some((last, start)) if last + 1 == number => start,
            _ => stamp.sent_at,
        };
        self.run = Some((number, start));
        self.longest = self.longest.max(stamp.sent_at.since(start));
    }

    /// Over which time packets in a row were lost.
    pub(super) const fn longest(&self) -> Duration {
        self.longest
    }
}

/// Packets whose fate has become known. Kept and cleared by the caller, so that its vectors are used again.
#[derive(Debug)]
pub struct Outcome<T> {
    /// Delivered: number and what it carried.
    pub acked: Vec<(u64, T)>,
    /// Bytes of these.
    pub acked_bytes: u64,
    /// Lost; what they carried has to be sent again.
    pub lost: Vec<(u64, T)>,
    /// Lost and recovered by FEC; counted among the losses, not to be sent again.
    pub recovered: Vec<(u64, T)>,
    /// Given up before, and come after all.
    pub spurious: Vec<Spurious>,
    /// All losses at once.
    pub losses: Losses,
    /// Congestion marks that are new.
    pub ce: u64,
    /// The round trip, if it was measured.
    pub rtt: Option<Duration>,
    /// The delivery rate, if it was.
    pub rate: Option<RateSample>,
}

impl<T> Default for Outcome<T> {
    fn default() -> Self {
        Self {
            acked: Vec::new(),
            acked_bytes: 0,
            lost: Vec::new(),
            recovered: Vec::new(),
            spurious: Vec::new(),
            losses: Losses::default(),
            ce: 0,
            rtt: None,
            rate: None,
        }
    }
}

impl<T> Outcome<T> {
    /// Forgets everything but the vectors' room.
    pub fn clear(&mut self) {
        self.acked.clear();
        self.lost.clear();
        self.recovered.clear();
        self.spurious.clear();
        (self.acked_bytes, self.losses, self.ce) = (0, Losses::default(), 0);
        (self.rtt, self.rate) = (None, None);
    }
}
