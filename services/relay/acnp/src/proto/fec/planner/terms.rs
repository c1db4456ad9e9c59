//! What the planner is told, and what it says.

use crate::proto::fec::Keep;
use std::ops::RangeInclusive;

/// What is paid for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Every flight is covered.
    LowLatency,
    /// First transmissions go bare; retransmissions and tails are covered.
    Bandwidth,
}

/// What a packet carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Content for the first time.
    First,
    /// Content anew.
    Retransmission,
    /// A repair.
    Repair,
    /// Nothing that would be sent again.
    Other,
}

/// What became of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It arrived.
    Arrived,
    /// It was lost, and recovered from repairs.
    Recovered,
    /// It was lost.
    Lost,
}

/// How much may be spent for what.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Config {
    /// What is covered.
    pub mode: Mode,
    /// Probability with which a flight may stay incomplete.
    pub target: f64,
    /// Bytes of repairs for each byte of content, at most.
    pub share_max: f64,
}

impl Default for Config {
    fn default() -> Self {
        Self { mode: Mode::LowLatency, target: 1e-3, share_max: 0.8 }
    }
}

/// A repair to be sent now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Packets that it is to cover, so far as the encoder has them.
    pub pns: RangeInclusive<u64>,
    /// Which to leave out last.
    pub keep: Keep,
    /// Seed of its coefficients.
    pub seed: u16,
}

/// What was spent, and for what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Bytes of content sent for the first time.
    pub content_bytes: u64,
    /// Repairs sent, and their bytes.
    pub sent: u64,
    /// Bytes of repairs sent.
    pub sent_bytes: u64,
    /// Packets that the peer recovered: each took one repair.
    pub used: u64,
    /// Repairs planned and not sent in time for want of room or credit, and flights for which none were worth it or affordable.
    pub forgone: u64,
}

impl Counters {
    /// Repairs sent that recovered nothing, or of which that is not known yet.
    #[must_use]
    pub const fn wasted(&self) -> u64 {
        self.sent.saturating_sub(self.used)
    }
}
