//! What was received on a path, and when to say so.

use std::{collections::BTreeSet, time::Duration};

use smallvec::SmallVec;

use super::received::Received;
use crate::proto::{
    Ecn, PathId, Time,
    frame::{ACK_RANGES_MAX, AckFrequency, EcnCounts, write_ack},
};

/// Packets after which an ACK is sent unless the peer asks for another number.
const PACKETS: u64 = 2;
/// How long an ACK is held back when packets come out of order: one ACK for those that arrive together.
const DELAY_OUT_OF_ORDER: Duration = Duration::from_millis(1);
/// Bytes that an ACK may take.
const ACK_LEN_MAX: usize = 600;
/// Share of a measured reordering by which an earlier, larger one is forgotten: a sixteenth.
const REORDERING_FORGET: u32 = 16;
/// Recovered packets that an ACK names.
const RECOVERED_MAX: usize = 64;

/// The receiving half of a packet-number space.
#[derive(Debug)]
pub(super) struct Acks {
    received: Received,
    /// Those that were recovered and have not come since.
    recovered: BTreeSet<u64>,
    largest_at: Time,
    /// When the packet came behind which the youngest gap opened.
    gap_at: Time,
    reordering: Duration,
    /// Packets that ask for an ACK and got none.
    waiting: u64,
    /// Packets of any kind since the last ACK.
    news: bool,
    deadline: Option<Time>,
    packets: u64,
    delay: Duration,
    reordering_limit: u64,
    frequency: Option<u64>,
    ecn: EcnCounts,
    pinged_at: Option<Time>,
}

impl Acks {
    pub(super) fn new(delay: Duration) -> Self {
        Self {
            received: Received::new(ACK_RANGES_MAX),
            recovered: BTreeSet::new(),
            largest_at: Time::ZERO,
            gap_at: Time::ZERO,
            reordering: Duration::ZERO,
            waiting: 0,
            news: false,
            deadline: None,
            packets: PACKETS,
            delay,
            reordering_limit: 1,
            frequency: None,
            ecn: EcnCounts::default(),
            pinged_at: None,
        }
    }

    /// The number that a truncated one is most likely near.
    pub(super) fn expected(&self) -> u64 {
        self.received.largest().map_or(0, |largest| largest + 1)
    }

    pub(super) fn largest(&self) -> Option<u64> {
        self.received.largest()
    }

    /// Whether a packet came before, or is too old to tell.
    pub(super) fn is_known(&self, number: u64) -> bool {
        self.received.contains(number)
    }

    /// A packet was opened and taken.
    pub(super) fn on_received(&mut self, now: Time, number: u64, wants_ack: bool, ecn: Option<Ecn>) {
        let expected = self.expected();
        let late = number < expected;
        if late {
            let by = now.since(self.gap_at);
            self.reordering = by.max(self.reordering - self.reordering / REORDERING_FORGET);
        }
        let gap = number > expected;
        if !late {
            self.largest_at = now;
        }
        if gap {
            self.gap_at = now;
        }
        self.received.insert(number);
        self.news = true;
        match ecn {
            Some(Ecn::Ect0) => self.ecn.ect0 += 1,
            Some(Ecn::Ect1) => self.ecn.ect1 += 1,
            Some(Ecn::Ce) => self.ecn.ce += 1,
            None => {}
        }
        if wants_ack {
            self.waiting += 1;
            let out_of_order = (gap || late) && self.reordering_limit > 0;
            let delay = if self.waiting >= self.packets || ecn == Some(Ecn::Ce) {
                Duration::ZERO
            } else if out_of_order {
                DELAY_OUT_OF_ORDER.min(self.delay)
            } else {
                self.delay
            };
            let at = now + delay;
            self.deadline = Some(self.deadline.map_or(at, |deadline| deadline.min(at)));
        }
    }

    /// A packet was recovered; the peer is to know soon, before it sends again what it carried.
    pub(super) fn on_recovered(&mut self, now: Time, number: u64) {
        if self.recovered.len() >= RECOVERED_MAX {
            self.recovered.pop_first();
        }
        self.recovered.insert(number);
        self.received.insert(number);
        self.news = true;
        let at = now + DELAY_OUT_OF_ORDER.min(self.delay);
        self.deadline = Some(self.deadline.map_or(at, |deadline| deadline.min(at)));
    }

    /// A packet came; says whether it had been recovered before.
    pub(super) fn on_came_after_all(&mut self, number: u64) -> bool {
        let recovered = self.recovered.remove(&number);
        self.news |= recovered;
        recovered
    }

    /// Whether a packet was recovered, and has not come itself.
    pub(super) fn is_recovered(&self, number: u64) -> bool {
        self.recovered.contains(&number)
    }

    /// The peer wants an ACK now.
    pub(super) fn hurry(&mut self, now: Time) {
        self.deadline = Some(now);
    }

    /// The peer says how often it wants ACKs.
    pub(super) fn on_frequency(&mut self, frequency: &AckFrequency) {
        if self.frequency.is_none_or(|sequence| frequency.sequence > sequence) {
            self.frequency = Some(frequency.sequence);
            self.packets = frequency.packets;
            self.delay = Duration::from_micros(frequency.delay_us).min(Duration::from_secs(1));
            self.reordering_limit = frequency.reordering;
        }
    }

    /// When an ACK has to go out.
    pub(super) const fn deadline(&self) -> Option<Time> {
        self.deadline
    }

    pub(super) fn is_due(&self, now: Time) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= now)
    }

    /// Whether an ACK would say anything new.
    pub(super) const fn has_news(&self) -> bool {
        self.news
    }

    /// Ranges that an ACK has to repeat until the peer is known to have heard of them.
    pub(super) fn ranges(&self) -> usize {
        self.received.len() + self.recovered.len()
    }

    /// Whether an ACK may bear a PING, once a round trip; if so it is noted.
    pub(super) fn may_ping(&mut self, now: Time, rtt: Duration) -> bool {
        let may = self.pinged_at.is_none_or(|at| now.since(at) >= rtt);
        if may {
            self.pinged_at = Some(now);
        }
        may
    }

    /// Appends an ACK of at most `space` bytes; gives the largest number in it.
    pub(super) fn write(&mut self, now: Time, path: PathId, space: usize, out: &mut Vec<u8>) -> Option<u64> {
        let largest = self.received.largest()?;
        let ecn = (self.ecn != EcnCounts::default()).then_some(self.ecn);
        let recovered: SmallVec<[u64; 8]> = self.recovered.iter().rev().copied().collect();
        let more = (!self.reordering.is_zero() || !recovered.is_empty())
            .then_some((self.reordering, &recovered[..]));
        let ranges = self.received.iter_down();
        write_ack(path, now.since(self.largest_at), ranges, ecn, more, space.min(ACK_LEN_MAX), out);
        (self.waiting, self.news, self.deadline) = (0, false, None);
        Some(largest)
    }

    /// The peer has heard of everything up to `largest`: no need to repeat it. Packets from before that come even later are taken for
    /// known.
    pub(super) fn on_ack_acked(&mut self, largest: u64) {
        self.received.forget_below(largest);
        self.recovered = self.recovered.split_off(&largest);
    }

    /// The ranges as they would be acknowledged.
    #[cfg(test)]
    fn all(&self) -> Vec<std::ops::RangeInclusive<u64>> {
        self.received.iter_down().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DELAY: Duration = Duration::from_millis(5);

    fn at(ms: u64) -> Time {
        Time::ZERO + Duration::from_millis(ms)
    }

    #[test]
    fn an_ack_is_due_after_two_packets_or_the_delay_or_soon_after_disorder() {
        let mut acks = Acks::new(DELAY);
        acks.on_received(at(0), 0, true, None);
        assert_eq!(acks.deadline(), Some(at(5)));
        acks.on_received(at(1), 1, true, None);
        assert!(acks.is_due(at(1)));
        assert_eq!(acks.write(at(1), PathId(0), 100, &mut Vec::new()), Some(1));
        assert_eq!(acks.deadline(), None);
        acks.on_received(at(2), 2, false, None);
        assert_eq!(acks.deadline(), None, "nothing that asks for one");
        assert!(acks.has_news());
        acks.on_received(at(3), 4, true, None);
        assert_eq!(acks.deadline(), Some(at(4)));
        acks.write(at(4), PathId(0), 100, &mut Vec::new());
        acks.on_received(at(9), 5, true, Some(Ecn::Ce));
        assert!(acks.is_due(at(9)));
    }

    #[test]
    fn the_peer_may_ask_for_fewer() {
        let mut acks = Acks::new(DELAY);
        let wish = AckFrequency { sequence: 3, packets: 10, delay_us: 20_000, reordering: 0 };
        acks.on_frequency(&wish);
        acks.on_frequency(&AckFrequency { sequence: 2, packets: 1, ..wish });
        for number in 0..9 {
            acks.on_received(at(0), number * 2, true, None);
        }
        assert_eq!(acks.deadline(), Some(at(20)));
        acks.on_received(at(0), 30, true, None);
        assert!(acks.is_due(at(0)));
    }

    #[test]
    fn reordering_is_measured_in_time_and_forgotten_slowly() {
        let mut acks = Acks::new(DELAY);
        acks.on_received(at(0), 0, true, None);
        acks.on_received(at(10), 2, true, None);
        acks.on_received(at(18), 1, true, None);
        assert_eq!(acks.reordering, Duration::from_millis(8));
        acks.on_received(at(20), 5, true, None);
        acks.on_received(at(21), 4, true, None);
        assert_eq!(acks.reordering, Duration::from_micros(7500));
    }

    #[test]
    fn what_the_peer_has_heard_of_is_not_said_again() {
        let mut acks = Acks::new(DELAY);
        [0, 1, 3, 5, 6, 9].into_iter().for_each(|number| acks.on_received(at(0), number, true, None));
        acks.on_ack_acked(5);
        assert_eq!(acks.all(), [9..=9, 5..=6]);
        assert!(acks.is_known(2) && acks.is_known(5) && !acks.is_known(7));
    }
}
