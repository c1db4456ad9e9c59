//! How often this side would like to have ACKs: some sixteen a window, so that a fast path is not filled with them and a slow one not left
//! in doubt.

use std::time::Duration;

use super::{Connection, sent::Own};

/// ACKs a window that are enough.
const ACKS_A_WINDOW: u64 = 16;
/// Most packets for one ACK.
const PACKETS_MAX: u64 = 32;
/// Share of the round trip for which an ACK may be held back: an eighth; and the bounds of that.
const DELAY_SHARE: u32 = 8;
const DELAY_MIN: Duration = Duration::from_millis(1);
const DELAY_MAX: Duration = Duration::from_millis(20);

/// What the peer was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct AckWish {
    sequence: u64,
    pub(super) packets: u64,
    pub(super) delay: Duration,
}

impl AckWish {
    pub(super) const fn sequence(&self) -> u64 {
        self.sequence
    }

    /// What a peer does that was asked for nothing.
    pub(super) const fn unasked() -> Self {
        Self { sequence: 0, packets: 2, delay: Duration::ZERO }
    }
}

impl Connection {
    /// Asks for another frequency when the one that fits the path has changed by half.
    pub(super) fn wish_acks(&mut self, at: usize) {
        let flight = &self.paths[at].flight;
        let window = flight.window().min(flight.in_flight().max(1) * 2) / self.paths[at].mtu.current() as u64;
        let packets = (window / ACKS_A_WINDOW).clamp(2, PACKETS_MAX);
        let delay = (flight.smoothed() / DELAY_SHARE).clamp(DELAY_MIN, DELAY_MAX);
        let wish = self.ack_wish;
        let differs = |new: u64, old: u64| new * 2 >= old * 3 || new * 3 <= old * 2;
        let fits = !differs(packets, wish.packets)
            && !differs(delay.as_micros() as u64, wish.delay.as_micros() as u64);
        if fits {
            return;
        }
        self.own.remove(&Own::AckFrequency(wish.sequence));
        self.ack_wish = AckWish { sequence: wish.sequence + 1, packets, delay };
        self.own.insert(Own::AckFrequency(self.ack_wish.sequence));
    }
}
