//! A bulk transfer: what leaves, what arrives, what is acknowledged.

use std::{ops::RangeInclusive, time::Duration};

use lowland_acnp::proto::{
    Time,
    congestion::{Controller, Pacer, tell},
    recovery::{Outcome, Recovery},
};

use crate::link::Link;

/// Bytes of a packet.
pub(crate) const SIZE: u64 = 1200;
/// Ranges that an ACK names.
const RANGES_MAX: usize = 256;
const ACK_DELAY: Duration = Duration::from_millis(5);

/// The receiving end.
#[derive(Default)]
pub(crate) struct Receiver {
    ranges: Vec<(u64, u64)>,
    pub(crate) chunks: Vec<bool>,
    pub(crate) unique: u64,
    waiting: u64,
    pub(crate) ack_at: Option<Time>,
    largest_at: Time,
}

/// An ACK: ranges from the largest down, and how long it was held back.
pub(crate) type Ack = (Vec<RangeInclusive<u64>>, Duration);

impl Receiver {
    pub(crate) fn on_packet(&mut self, now: Time, number: u64, chunk: usize) {
        if self.chunks.len() <= chunk {
            self.chunks.resize(chunk + 1, false);
        }
        self.unique += u64::from(!std::mem::replace(&mut self.chunks[chunk], true));
        let expected = self.ranges.last().map_or(0, |(_, last)| last + 1);
        if number >= expected {
            self.largest_at = now;
        }
        self.insert(number);
        self.waiting += 1;
        let delay = match (self.waiting >= 2, number == expected) {
            (true, _) => Duration::ZERO,
            (false, false) => Duration::from_millis(1),
            (false, true) => ACK_DELAY,
        };
        self.ack_at = Some(self.ack_at.map_or(now + delay, |at| at.min(now + delay)));
    }

    fn insert(&mut self, number: u64) {
        let at = self.ranges.partition_point(|(first, _)| *first <= number);
        if at > 0 && self.ranges[at - 1].1 + 1 >= number {
            let last = &mut self.ranges[at - 1].1;
            *last = number.max(*last);
        } else {
            self.ranges.insert(at, (number, number));
        }
        for at in [at, at.wrapping_sub(1)] {
            if at < self.ranges.len()
                && at + 1 < self.ranges.len()
                && self.ranges[at].1 + 1 == self.ranges[at + 1].0
            {
                self.ranges[at].1 = self.ranges.remove(at + 1).1;
            }
        }
        if self.ranges.len() > RANGES_MAX {
            self.ranges.remove(0);
        }
    }

    pub(crate) fn ack(&mut self, now: Time) -> Ack {
        (self.waiting, self.ack_at) = (0, None);
        let ranges = self.ranges.iter().rev().map(|(first, last)| *first..=*last).collect();
        (ranges, now.since(self.largest_at))
    }
}

/// A flow's two ends.
pub(crate) struct Flow {
    pub(crate) recovery: Recovery<usize>,
    pub(crate) controller: Box<dyn Controller>,
    pacer: Pacer,
    outcome: Outcome<usize>,
    again: Vec<usize>,
    next_chunk: usize,
    chunks: usize,
    pub(crate) start: Time,
    pub(crate) receiver: Receiver,
    pub(crate) timer: Option<Time>,
    pub(crate) sent: u64,
    pub(crate) lost: u64,
    pub(crate) spurious: u64,
}

impl Flow {
    pub(crate) fn new(controller: Box<dyn Controller>, bytes: u64, start: Time) -> Self {
        Self {
            recovery: Recovery::new(Duration::from_millis(100), ACK_DELAY),
            controller,
            pacer: Pacer::default(),
            outcome: Outcome::default(),
            again: Vec::new(),
            next_chunk: 0,
            chunks: usize::try_from(bytes / SIZE).expect("it is small"),
            start,
            receiver: Receiver::default(),
            timer: None,
            sent: 0,
            lost: 0,
            spurious: 0,
        }
    }

    pub(crate) fn is_done(&self) -> bool {
        self.receiver.unique >= self.chunks as u64
    }

    pub(crate) fn on_ack(&mut self, now: Time, (ranges, delay): Ack) {
        let Self { recovery, outcome, .. } = self;
        recovery.on_ack(now, ranges, [], delay, None, outcome).expect("what is acknowledged was sent");
        self.on_outcome(now);
    }

    pub(crate) fn on_timeout(&mut self, now: Time) {
        if self.recovery.next_timeout().is_some_and(|at| at <= now) {
            self.recovery.on_timeout(now, &mut self.outcome);
            self.on_outcome(now);
        }
    }

    fn on_outcome(&mut self, now: Time) {
        tell(&mut *self.controller, now, &self.recovery, &self.outcome);
        self.lost += self.outcome.lost.len() as u64;
        self.spurious += self.outcome.spurious.len() as u64;
        self.again.extend(self.outcome.lost.iter().map(|(_, chunk)| *chunk));
        self.outcome.clear();
    }

    fn next(&mut self) -> Option<usize> {
        if let Some(chunk) = self.again.pop() {
            return Some(chunk);
        }
        let new = self.next_chunk;
        (new < self.chunks).then(|| self.next_chunk += 1)?;
        Some(new)
    }

    /// Sends what may leave: gives what arrives when, and when to come again.
    pub(crate) fn pump(&mut self, now: Time, link: &mut Link) -> (Vec<(Time, u64, usize)>, Option<Time>) {
        let mut arrivals = Vec::new();
        let mut wake = None;
        if now < self.start {
            return (arrivals, Some(self.start));
        }
        loop {
            let probe = self.recovery.owes_probe();
            self.pacer.set_rate(now, self.controller.pacing_rate());
            if !probe {
                if self.recovery.in_flight() + SIZE > self.controller.window() {
                    break;
                }
                let wait = self.pacer.until_next(now, SIZE);
                if !wait.is_zero() {
                    wake = Some(now + wait);
                    break;
                }
            }
            let oldest = || self.recovery.iter().next().map(|(_, sent)| sent.payload);
            let Some(chunk) = (if probe { oldest() } else { None }).or_else(|| self.next()) else {
                self.recovery.on_app_limited();
                break;
            };
            let number = self.recovery.on_sent(now, Some((SIZE as u32, false, chunk)));
            self.pacer.on_sent(now, SIZE);
            self.controller.on_sent(now, SIZE, self.recovery.in_flight());
            self.sent += SIZE;
            arrivals.extend(link.send(now, SIZE).map(|at| (at, number, chunk)));
        }
        let timeout = self.recovery.next_timeout().map(|at| at.max(now));
        (arrivals, [wake, timeout].into_iter().flatten().min())
    }
}
