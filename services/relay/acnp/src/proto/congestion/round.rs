//! Round trips one after another, and what each was like.

use std::time::Duration;

use super::AckSample;
use crate::proto::Time;

/// What a round was like.
#[derive(Debug, Clone, Copy)]
pub(super) struct Report {
    /// Bytes a second that were delivered.
    pub(super) rate: u64,
    /// Bytes delivered.
    pub(super) delivered: u64,
    /// Bytes lost.
    pub(super) lost: u64,
    /// The smallest round trip: what exceeds the path's own stood in a queue all the while.
    pub(super) min_rtt: Option<Duration>,
    /// The application had too little to send.
    pub(super) app_limited: bool,
}

impl Report {
    /// Share of bytes that were lost.
    pub(super) fn loss(&self) -> f64 {
        self.lost as f64 / (self.lost + self.delivered).max(1) as f64
    }
}

/// Counts rounds: one ends when a packet is acknowledged that left after it began.
#[derive(Debug, Clone, Default)]
pub(super) struct Rounds {
    number: u64,
    end: u64,
    start: Option<(Time, u64, u64)>,
    min_rtt: Option<Duration>,
    app_limited: bool,
}

impl Rounds {
    pub(super) const fn number(&self) -> u64 {
        self.number
    }

    pub(super) fn on_ack(&mut self, ack: &AckSample) -> Option<Report> {
        self.min_rtt = match (self.min_rtt, ack.rtt) {
            (Some(min), Some(rtt)) => Some(min.min(rtt)),
            (min, rtt) => min.or(rtt),
        };
        let sample = ack.rate?;
        self.app_limited |= sample.app_limited;
        if sample.prior_delivered < self.end {
            return None;
        }
        self.number += 1;
        self.end = ack.delivered;
        let start = self.start.replace((ack.now, ack.delivered, ack.lost));
        let (min_rtt, app_limited) = (self.min_rtt.take(), std::mem::take(&mut self.app_limited));
        let (at, delivered, lost) = start?;
        let (delivered, lost) = (ack.delivered - delivered, ack.lost.saturating_sub(lost));
        let nanos = ack.now.since(at).as_nanos().max(1);
        let rate = (u128::from(delivered) * 1_000_000_000 / nanos) as u64;
        Some(Report { rate, delivered, lost, min_rtt, app_limited })
    }
}
