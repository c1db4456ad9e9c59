//! Spreads packets over time.

use std::time::Duration;

use super::{DATAGRAM, bytes_in};
use crate::proto::Time;

/// Bytes that may leave at once, at least.
const BURST_MIN: u64 = 10 * DATAGRAM;
/// What a rate yields in this time may leave at once.
const BURST_TIME: Duration = Duration::from_millis(2);

/// A bucket of bytes that fills at a rate.
#[derive(Debug, Clone)]
pub struct Pacer {
    rate: Option<u64>,
    /// May fall below zero: a packet leaves when anything is there.
    tokens: i64,
    at: Time,
}

impl Default for Pacer {
    fn default() -> Self {
        Self { rate: None, tokens: BURST_MIN as i64, at: Time::ZERO }
    }
}

impl Pacer {
    /// Sets the rate in bytes a second; none lets everything leave at once.
    pub fn set_rate(&mut self, now: Time, rate: Option<u64>) {
        if rate != self.rate {
            self.fill(now);
            self.rate = rate;
        }
    }

    /// Bytes that may leave at once.
    #[must_use]
    pub fn burst(&self) -> u64 {
        self.rate.map_or(BURST_MIN, |rate| bytes_in(rate, BURST_TIME).max(BURST_MIN))
    }

    fn fill(&mut self, now: Time) {
        let Some(rate) = self.rate else { return };
        let new = bytes_in(rate, now.since(self.at)).min(1 << 40) as i64;
        if new > 0 {
            self.tokens = (self.tokens + new).min(self.burst() as i64);
            // What is less than a byte stays to be had.
            self.at = now;
        }
    }

    /// How long a packet of `size` bytes has to wait; zero if it may leave now.
    pub fn until_next(&mut self, now: Time, size: u64) -> Duration {
        self.fill(now);
        let Some(rate) = self.rate else { return Duration::ZERO };
        let missing = (size as i64).min(self.burst() as i64) - self.tokens;
        if missing <= 0 {
            return Duration::ZERO;
        }
        let nanos = (missing as u128 * 1_000_000_000).div_ceil(u128::from(rate.max(1)));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// A packet left.
    pub fn on_sent(&mut self, now: Time, size: u64) {
        self.fill(now);
        if self.rate.is_some() {
            self.tokens -= size as i64;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_leaves_at_once_and_the_rest_at_the_rate() {
        let mut pacer = Pacer::default();
        pacer.set_rate(Time::ZERO, Some(1_200_000));
        let mut now = Time::ZERO;
        let mut at_once = 0;
        for n in 0..1010 {
            let wait = pacer.until_next(now, DATAGRAM);
            at_once += u64::from(wait.is_zero() && n < 20);
            now += wait;
            assert!(pacer.until_next(now, DATAGRAM).is_zero(), "the wait was long enough");
            pacer.on_sent(now, DATAGRAM);
        }
        assert_eq!(at_once, 10);
        let took = now.since(Time::ZERO);
        assert!(took.abs_diff(Duration::from_secs(1)) < Duration::from_millis(5), "{took:?}");
    }
}
