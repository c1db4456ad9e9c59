//! How a path loses: how many packets, and how many at a stretch, in packets and in time.
//!
//! Learned from the outcomes of packets in the order of their numbers. What grows is believed soon and what shrinks late: a repair too
//! many costs bytes, one too few a round trip. The model behind is Gilbert's (Bell System Technical Journal, 1960): a good state in which
//! packets arrive, a bad one in which they are lost.

use crate::proto::Time;
use std::time::Duration;

/// Loss that is assumed of a path before anything is known.
const PRIOR_RATE: f64 = 0.01;
/// Packets for which the prior counts.
const PRIOR_PACKETS: f64 = 100.0;
/// Packets over which the rate is averaged, long and short.
const LONG_PACKETS: f64 = 2000.0;
const SHORT_PACKETS: f64 = 100.0;
/// Standard errors that the short average must lie above the long one to be believed.
const SIGNIFICANT: f64 = 2.5;
/// Bursts that are remembered.
const BURSTS_MAX: usize = 64;
/// Of so many bursts, all but one are shorter than the high quantile.
const QUANTILE_ONE_IN: usize = 20;
/// Single losses assumed before the first.
const PRIOR_BURSTS: usize = 8;

/// A path's losses.
#[derive(Debug, Clone)]
pub struct Loss {
    outcomes: f64,
    long: f64,
    short: f64,
    burst: Option<Burst>,
    /// The latest bursts: a ring that `next` goes round.
    bursts: Vec<(u32, Duration)>,
    next: usize,
    summary: Bursts,
}

/// Losses without an arrival between them.
#[derive(Debug, Clone, Copy)]
struct Burst {
    packets: u32,
    first: Time,
    last: Time,
}

/// How long bursts are. A burst's time is that from its first packet's sending to its last's: zero for a single loss.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bursts {
    /// Packets, in the mean; at least 1.
    pub packets_mean: f64,
    /// Packets that 19 of 20 bursts do not exceed.
    pub packets_high: u32,
    /// Time in the mean.
    pub time_mean: Duration,
    /// Time that 19 of 20 bursts do not exceed.
    pub time_high: Duration,
}

impl Default for Loss {
    fn default() -> Self {
        let summary = Bursts {
            packets_mean: 1.0,
            packets_high: 1,
            time_mean: Duration::ZERO,
            time_high: Duration::ZERO,
        };
        let bursts = vec![(1, Duration::ZERO); PRIOR_BURSTS];
        Self {
            outcomes: PRIOR_PACKETS,
            long: PRIOR_RATE,
            short: PRIOR_RATE,
            burst: None,
            bursts,
            next: 0,
            summary,
        }
    }
}

impl Loss {
    /// What became of the next packet in the order of packet numbers, sent at `sent`.
    pub fn on_outcome(&mut self, sent: Time, lost: bool) {
        let sample = f64::from(u8::from(lost));
        self.outcomes = (self.outcomes + 1.0).min(LONG_PACKETS);
        self.long += (sample - self.long) / self.outcomes;
        self.short += (sample - self.short) / SHORT_PACKETS;
        match (&mut self.burst, lost) {
            (Some(burst), true) => (burst.packets, burst.last) = (burst.packets.saturating_add(1), sent),
            (None, true) => self.burst = Some(Burst { packets: 1, first: sent, last: sent }),
            (Some(burst), false) => {
                let done = (burst.packets, burst.last.since(burst.first));
                self.burst = None;
                self.on_burst(done);
            }
            (None, false) => {}
        }
    }

    fn on_burst(&mut self, burst: (u32, Duration)) {
        if self.bursts.len() < BURSTS_MAX {
            self.bursts.push(burst);
        } else {
            self.bursts[self.next] = burst;
            self.next = (self.next + 1) % BURSTS_MAX;
        }
        self.summary = summarise(&self.bursts, self.summary);
    }

    /// The share of packets that are lost: the long average, or the short one where it is higher by more than chance allows.
    #[must_use]
    pub fn rate(&self) -> f64 {
        let error = (self.long * (1.0 - self.long) / (2.0 * SHORT_PACKETS)).sqrt();
        if self.short > self.long + SIGNIFICANT * error { self.short } else { self.long }
    }

    /// How long bursts are.
    #[must_use]
    pub const fn bursts(&self) -> Bursts {
        self.summary
    }
}

/// Means fall by at most one part in sixteen a burst, and rise at once.
fn summarise(bursts: &[(u32, Duration)], before: Bursts) -> Bursts {
    let count = bursts.len() as u32;
    let packets: u64 = bursts.iter().map(|(packets, _)| u64::from(*packets)).sum();
    let time: Duration = bursts.iter().map(|(_, time)| *time).sum();
    let high = bursts.len() - 1 - bursts.len() / QUANTILE_ONE_IN;
    let mut lengths: Vec<u32> = bursts.iter().map(|(packets, _)| *packets).collect();
    let mut times: Vec<Duration> = bursts.iter().map(|(_, time)| *time).collect();
    Bursts {
        packets_mean: (packets as f64 / f64::from(count)).max(before.packets_mean * 15.0 / 16.0),
        packets_high: *lengths.select_nth_unstable(high).1,
        time_mean: (time / count).max(before.time_mean * 15 / 16),
        time_high: *times.select_nth_unstable(high).1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(loss: &mut Loss, packets: u64, lost: impl Fn(u64) -> bool) {
        (0..packets).for_each(|pn| loss.on_outcome(Time::ZERO + Duration::from_millis(pn), lost(pn)));
    }

    #[test]
    fn priors_are_one_in_a_hundred_and_single() {
        let loss = Loss::default();
        assert_eq!((loss.rate(), loss.bursts().packets_high, loss.bursts().packets_mean), (0.01, 1, 1.0));
    }

    #[test]
    fn a_steady_rate_is_learned() {
        let mut loss = Loss::default();
        feed(&mut loss, 10_000, |pn| pn % 20 == 0);
        assert!((0.045..0.055).contains(&loss.rate()), "{}", loss.rate());
        assert_eq!(loss.bursts().packets_high, 1);
        assert_eq!(loss.bursts().time_high, Duration::ZERO);
    }

    #[test]
    fn more_is_believed_sooner_than_less() {
        let mut loss = Loss::default();
        feed(&mut loss, 10_000, |_| false);
        feed(&mut loss, 100, |pn| pn % 10 == 0);
        let up = loss.rate();
        assert!(up > 0.05, "{up}");
        feed(&mut loss, 10_000, |pn| pn % 10 == 0);
        feed(&mut loss, 100, |_| false);
        assert!(loss.rate() > 0.08, "{}", loss.rate());
    }

    #[test]
    fn bursts_are_measured_in_packets_and_in_time() {
        let mut loss = Loss::default();
        feed(&mut loss, 20_000, |pn| pn % 200 < 10);
        let bursts = loss.bursts();
        assert_eq!((bursts.packets_high, bursts.time_high), (10, Duration::from_millis(9)));
        assert!((9.9..10.1).contains(&bursts.packets_mean), "{bursts:?}");
    }
}
