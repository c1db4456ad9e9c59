//! A bottleneck: packets leave one after the other at a rate that may step, and wait in a queue of so many bytes.

use std::{collections::VecDeque, time::Duration};

use super::At;
use crate::path::Rate;

/// A drop-tail queue before a rate.
#[derive(Debug)]
pub(super) struct Queue {
    rates: Vec<Rate>,
    bytes_max: u64,
    /// Departure and size of what has not left yet.
    waiting: VecDeque<(At, u64)>,
    waiting_bytes: u64,
    free_at: At,
}

/// Where a packet ended up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// It did not fit.
    Full,
    /// Its last bit leaves then.
    Departs(At),
}

impl Queue {
    pub(super) fn new(rates: Vec<Rate>, bytes_max: u64) -> Self {
        Self { rates, bytes_max, waiting: VecDeque::new(), waiting_bytes: 0, free_at: At::ZERO }
    }

    pub(super) fn enter(&mut self, now: At, bytes: u64) -> Place {
        if self.rates.is_empty() {
            return Place::Departs(now);
        }
        while let Some((departs, left)) = self.waiting.front().copied()
            && departs <= now
        {
            self.waiting.pop_front();
            self.waiting_bytes -= left;
        }
        if self.waiting_bytes + bytes > self.bytes_max {
            return Place::Full;
        }
        let departs = self.finish(self.free_at.max(now), bytes * 8);
        self.free_at = departs;
        self.waiting.push_back((departs, bytes));
        self.waiting_bytes += bytes;
        Place::Departs(departs)
    }

    /// When `bits` that begin to leave at `start` have left.
    fn finish(&self, start: At, bits: u64) -> At {
        let (mut at, mut left) = (start, bits as f64);
        let first = self.rates.partition_point(|rate| rate.from <= start).saturating_sub(1);
        for (index, rate) in self.rates.iter().enumerate().skip(first) {
            let takes = left / rate.bits_per_s as f64;
            let room = self.rates.get(index + 1).map_or(f64::INFINITY, |next| (next.from - at).as_secs_f64());
            if takes <= room {
                return at + Duration::from_nanos((takes * 1e9).round() as u64);
            }
            left -= room * rate.bits_per_s as f64;
            at = self.rates[index + 1].from;
        }
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(from_ms: u64, bits_per_s: u64) -> Rate {
        Rate { from: Duration::from_millis(from_ms), bits_per_s }
    }

    fn ms(ms: u64) -> At {
        Duration::from_millis(ms)
    }

    #[test]
    fn packets_leave_one_after_the_other() {
        let mut queue = Queue::new(vec![rate(0, 8_000)], 10_000);
        assert_eq!(queue.enter(ms(0), 1000), Place::Departs(ms(1000)));
        assert_eq!(queue.enter(ms(0), 1000), Place::Departs(ms(2000)));
        assert_eq!(queue.enter(ms(5000), 1000), Place::Departs(ms(6000)));
    }

    #[test]
    fn what_does_not_fit_is_dropped_and_room_comes_back() {
        let mut queue = Queue::new(vec![rate(0, 8_000)], 2_000);
        queue.enter(ms(0), 1000);
        queue.enter(ms(0), 1000);
        assert_eq!(queue.enter(ms(999), 1000), Place::Full);
        assert_eq!(queue.enter(ms(1000), 1000), Place::Departs(ms(3000)));
    }

    #[test]
    fn a_step_takes_effect_in_the_middle_of_a_packet() {
        let mut queue = Queue::new(vec![rate(0, 8_000), rate(500, 4_000)], 10_000);
        assert_eq!(queue.enter(ms(0), 1000), Place::Departs(ms(1500)));
        assert_eq!(queue.enter(ms(0), 500), Place::Departs(ms(2500)));
    }

    #[test]
    fn no_rate_holds_nothing_up() {
        assert_eq!(Queue::new(Vec::new(), 0).enter(ms(7), 1500), Place::Departs(ms(7)));
    }
}
