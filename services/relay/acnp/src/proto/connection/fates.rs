//! What became of a path's packets, brought into the order of their numbers: the loss model learns from runs.

use std::collections::VecDeque;

use crate::proto::{Time, fec::planner::Fate};

/// Packets whose fate is waited for at most; the oldest are taken for lost when there are more.
const PACKETS_MAX: usize = 8192;

#[derive(Debug)]
struct Packet {
    number: u64,
    sent: Time,
    fate: Option<Fate>,
    /// Until when the fate may turn out to be another.
    open_until: Time,
}

/// Packets that ask for an ACK, from the oldest of unknown fate on.
#[derive(Debug, Default)]
pub(super) struct Fates(VecDeque<Packet>);

impl Fates {
    /// A packet left. Numbers rise.
    pub(super) fn on_sent(&mut self, now: Time, number: u64) {
        if self.0.len() >= PACKETS_MAX {
            self.0.pop_front();
        }
        self.0.push_back(Packet { number, sent: now, fate: None, open_until: Time::ZERO });
    }

    /// A packet's fate has become known, and may change until `open_until`.
    pub(super) fn on_fate(&mut self, number: u64, fate: Fate, open_until: Time) {
        if let Ok(at) = self.0.binary_search_by_key(&number, |packet| packet.number) {
            (self.0[at].fate, self.0[at].open_until) = (Some(fate), open_until);
        }
    }

    /// The next packet, in the order of numbers, whose fate is certain: number, when it was sent, fate.
    pub(super) fn next(&mut self, now: Time) -> Option<(u64, Time, Fate)> {
        let packet = self.0.front().filter(|packet| packet.open_until <= now)?;
        let known = (packet.number, packet.sent, packet.fate?);
        self.0.pop_front();
        Some(known)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn fates_come_in_order_and_when_they_are_certain() {
        let at = |ms| Time::ZERO + Duration::from_millis(ms);
        let mut fates = Fates::default();
        (1..4).for_each(|number| fates.on_sent(at(number), number));
        fates.on_fate(2, Fate::Arrived, Time::ZERO);
        assert_eq!(fates.next(at(10)), None, "the first is not known yet");
        fates.on_fate(1, Fate::Recovered, at(20));
        assert_eq!(fates.next(at(19)), None, "it may still come");
        fates.on_fate(1, Fate::Arrived, Time::ZERO);
        assert_eq!(fates.next(at(19)), Some((1, at(1), Fate::Arrived)));
        assert_eq!(fates.next(at(19)), Some((2, at(2), Fate::Arrived)));
        assert_eq!(fates.next(at(19)), None);
    }
}
