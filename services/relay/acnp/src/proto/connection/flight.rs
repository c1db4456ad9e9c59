//! What is under way on a path: loss detection, round trips, and how much more may leave.

use std::{collections::BTreeMap, time::Duration};

use super::sent::Content;
use crate::proto::{
    Time,
    close::{Code, Violation},
    frame::Ack,
    packet::number::NUMBER_MAX,
};

/// Packets whose fate has become known.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) acked: Vec<(u64, Content)>,
    pub(super) lost: Vec<(u64, Content)>,
}

/// Whether a packet may leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Allowance {
    Now,
    At(Time),
    Full,
}

#[derive(Debug)]
struct Sent {
    at: Time,
    wants_ack: bool,
    content: Content,
}

/// The sending half of a packet-number space.
#[derive(Debug)]
pub(super) struct Flight {
    next: u64,
    sent: BTreeMap<u64, Sent>,
    largest_acked: Option<u64>,
    smoothed: Duration,
    variation: Duration,
    latest: Duration,
    measured: bool,
    in_flight: u64,
    window: u64,
    threshold: u64,
    cut_before: u64,
    pto_count: u32,
    last_sent: Time,
    loss_at: Option<Time>,
    probes: u32,
}

impl Flight {
    pub(super) fn new(initial_rtt: Duration) -> Self {
        Self {
            next: 0,
            sent: BTreeMap::new(),
            largest_acked: None,
            smoothed: initial_rtt,
            variation: initial_rtt / 2,
            latest: initial_rtt,
            measured: false,
            in_flight: 0,
            window: 32 * 1200,
            threshold: u64::MAX,
            cut_before: 0,
            pto_count: 0,
            last_sent: Time::ZERO,
            loss_at: None,
            probes: 0,
        }
    }

    pub(super) const fn next_number(&self) -> u64 {
        self.next
    }

    pub(super) const fn is_exhausted(&self) -> bool {
        self.next > NUMBER_MAX
    }

    pub(super) const fn largest_acked(&self) -> Option<u64> {
        self.largest_acked
    }

    pub(super) const fn smoothed(&self) -> Duration {
        self.smoothed
    }

    pub(super) const fn latest(&self) -> Duration {
        self.latest
    }

    pub(super) const fn in_flight(&self) -> u64 {
        self.in_flight
    }

    pub(super) const fn window(&self) -> u64 {
        self.window
    }

    pub(super) const fn pacing(&self) -> Option<u64> {
        None
    }

    /// Probe time-out, without backing off.
    pub(super) fn pto(&self) -> Duration {
        self.smoothed + (self.variation * 4).max(Duration::from_millis(1)) + Duration::from_millis(10)
    }

    pub(super) fn on_sent(&mut self, now: Time, wants_ack: bool, content: Content) {
        if wants_ack {
            self.in_flight += content.len as u64;
            self.last_sent = now;
            self.probes = self.probes.saturating_sub(1);
            self.sent.insert(self.next, Sent { at: now, wants_ack, content });
        }
        self.next += 1;
    }

    pub(super) fn on_ack(&mut self, now: Time, ack: &Ack, out: &mut Outcome) -> Result<(), Violation> {
        if ack.largest >= self.next {
            return Err(Violation::new(Code::PROTOCOL, "a packet is acknowledged that was never sent"));
        }
        let mut newest = None;
        for range in ack.ranges.iter() {
            let numbers: Vec<u64> = self.sent.range(range).map(|(number, _)| *number).collect();
            for number in numbers {
                let sent = self.sent.remove(&number).expect("it was found");
                newest = newest.max(Some((number, sent.at)));
                self.take_out(&sent);
                if self.window < self.threshold {
                    self.window += sent.content.len as u64;
                } else {
                    self.window += 1200 * sent.content.len as u64 / self.window;
                }
                out.acked.push((number, sent.content));
            }
        }
        self.largest_acked = self.largest_acked.max(Some(ack.largest));
        if let Some((number, at)) = newest {
            self.pto_count = 0;
            if number == ack.largest {
                self.sample(now.since(at), ack.delay);
            }
        }
        self.detect(now, out);
        Ok(())
    }

    fn take_out(&mut self, sent: &Sent) {
        if sent.wants_ack {
            self.in_flight -= sent.content.len as u64;
        }
    }

    pub(super) fn sample(&mut self, rtt: Duration, delay: Duration) {
        let rtt = rtt.saturating_sub(delay).max(Duration::from_micros(1));
        self.latest = rtt;
        if self.measured {
            self.variation = (self.variation * 3 + self.smoothed.abs_diff(rtt)) / 4;
            self.smoothed = (self.smoothed * 7 + rtt) / 8;
        } else {
            (self.smoothed, self.variation, self.measured) = (rtt, rtt / 2, true);
        }
    }

    fn detect(&mut self, now: Time, out: &mut Outcome) {
        self.loss_at = None;
        let Some(largest) = self.largest_acked else { return };
        let delay = self.smoothed.max(self.latest) * 9 / 8;
        let mut lost = Vec::new();
        for (number, sent) in self.sent.range(..largest) {
            let at = sent.at + delay;
            if at <= now {
                lost.push(*number);
            } else {
                self.loss_at = Some(self.loss_at.map_or(at, |other| other.min(at)));
            }
        }
        for number in lost {
            let sent = self.sent.remove(&number).expect("it was found");
            self.take_out(&sent);
            if number >= self.cut_before && !sent.content.is_mtu_probe {
                self.cut_before = self.next;
                self.window = (self.window * 7 / 10).max(4 * 1200);
                self.threshold = self.window;
            }
            out.lost.push((number, sent.content));
        }
    }

    /// When [`Self::on_timeout`] has to be called.
    pub(super) fn timeout(&self) -> Option<Time> {
        if self.loss_at.is_some() {
            return self.loss_at;
        }
        (!self.sent.is_empty()).then(|| self.last_sent + self.pto() * (1 << self.pto_count.min(10)))
    }

    /// Finds packets lost, or owes a probe.
    pub(super) fn on_timeout(&mut self, now: Time, out: &mut Outcome) {
        if self.loss_at.is_some() {
            self.detect(now, out);
        } else if !self.sent.is_empty() {
            self.pto_count += 1;
            self.probes = 1;
        }
    }

    /// Whether a packet has to leave to find out what became of others.
    pub(super) const fn owes_probe(&self) -> bool {
        self.probes > 0
    }

    /// Probe time-outs in a row.
    pub(super) const fn backoff(&self) -> u32 {
        self.pto_count
    }

    /// What to send again as a probe when there is nothing new: what the oldest packet under way carried.
    pub(super) fn probe_content(&self) -> Option<&Content> {
        self.sent.values().map(|sent| &sent.content).find(|content| !content.frames.is_empty())
    }

    pub(super) fn allowance(&mut self, _now: Time, len: usize) -> Allowance {
        if self.in_flight + len as u64 > self.window { Allowance::Full } else { Allowance::Now }
    }

    /// The path leads elsewhere now.
    pub(super) fn restart(&mut self) {
        (self.window, self.threshold, self.measured) = (32 * 1200, u64::MAX, false);
    }

    /// Gives up everything that is under way, without a verdict on the path.
    pub(super) fn take_all(&mut self) -> Vec<Content> {
        self.in_flight = 0;
        std::mem::take(&mut self.sent).into_values().map(|sent| sent.content).collect()
    }
}
