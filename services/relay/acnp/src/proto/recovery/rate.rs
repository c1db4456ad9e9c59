//! Delivery rate, measured at each ACK (draft-cheng-iccrg-delivery-rate-estimation).

use std::time::Duration;

use crate::proto::Time;

/// What was known when a packet left.
#[derive(Debug, Clone, Copy)]
pub struct Stamp {
    /// When it left.
    pub sent_at: Time,
    /// Bytes delivered until then.
    pub delivered: u64,
    /// When the last of those were.
    delivered_at: Time,
    /// When the first packet left of the flight that it belongs to.
    first_sent: Time,
    /// Whether the application had too little to send.
    app_limited: bool,
}

/// A measured delivery rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateSample {
    /// Bytes a second.
    pub rate: u64,
    /// Over which time.
    pub interval: Duration,
    /// The application had too little to send: the path may carry more.
    pub app_limited: bool,
    /// Bytes that had been delivered when the newest acknowledged packet left; tells rounds apart.
    pub prior_delivered: u64,
}

/// The measurement's state.
#[derive(Debug, Clone, Default)]
pub struct RateSampler {
    delivered: u64,
    delivered_at: Time,
    first_sent: Time,
    app_limited_until: u64,
    newest: Option<Stamp>,
}

impl RateSampler {
    /// Bytes delivered so far.
    #[must_use]
    pub const fn delivered(&self) -> u64 {
        self.delivered
    }

    /// A packet leaves while `in_flight` bytes are under way.
    pub fn on_sent(&mut self, now: Time, in_flight: u64) -> Stamp {
        if in_flight == 0 {
            (self.first_sent, self.delivered_at) = (now, now);
        }
        Stamp {
            sent_at: now,
            delivered: self.delivered,
            delivered_at: self.delivered_at,
            first_sent: self.first_sent,
            app_limited: self.app_limited_until > self.delivered,
        }
    }

    /// The application has nothing more to send while `in_flight` bytes are under way and there is room for more.
    pub fn on_app_limited(&mut self, in_flight: u64) {
        self.app_limited_until = (self.delivered + in_flight).max(1);
    }

    /// A packet arrived.
    pub fn on_acked(&mut self, now: Time, size: u64, stamp: &Stamp) {
        self.delivered += size;
        self.delivered_at = now;
        if self.newest.is_none_or(|newest| stamp.sent_at >= newest.sent_at) {
            self.newest = Some(*stamp);
            self.first_sent = stamp.sent_at;
        }
    }

    /// The sample of all packets that an ACK was for; none when it was for nothing new, or for what left in less than `min_rtt`.
    pub fn take(&mut self, min_rtt: Duration) -> Option<RateSample> {
        let stamp = self.newest.take()?;
        let sent = stamp.sent_at.since(stamp.first_sent);
        let acked = self.delivered_at.since(stamp.delivered_at);
        let interval = sent.max(acked);
        // Faster than a round trip is an artefact of ACKs that came together.
        if interval < min_rtt || interval.is_zero() {
            return None;
        }
        let bytes = self.delivered - stamp.delivered;
        let rate = (u128::from(bytes) * 1_000_000_000 / interval.as_nanos()) as u64;
        let (app_limited, prior_delivered) = (stamp.app_limited, stamp.delivered);
        Some(RateSample { rate, interval, app_limited, prior_delivered })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_that_of_the_slower_of_sending_and_arriving() {
        let ms = Duration::from_millis;
        let mut sampler = RateSampler::default();
        // Ten packets leave in 9 ms and arrive in 90 ms after a round trip of 100.
        let stamps: Vec<Stamp> = (0..10).map(|n| sampler.on_sent(Time::ZERO + ms(n), n * 1000)).collect();
        let mut last = None;
        for (n, stamp) in stamps.iter().enumerate() {
            sampler.on_acked(Time::ZERO + ms(100 + 10 * n as u64), 1000, stamp);
            last = sampler.take(ms(100));
        }
        let last = last.expect("there is a sample");
        assert_eq!((last.interval, last.app_limited, last.prior_delivered), (ms(190), false, 0));
        assert_eq!(last.rate, 10_000 * 1000 / 190);
    }
}
