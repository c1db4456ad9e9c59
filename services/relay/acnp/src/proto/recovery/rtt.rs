//! The round trip (RFC 9002 section 5).

use std::{cmp::Reverse, time::Duration};

use super::windowed::Windowed;
use crate::proto::Time;

/// How long the smallest round trip is believed.
pub const MIN_WINDOW: Duration = Duration::from_secs(10);
/// The finest time that timers tell apart (RFC 9002 kGranularity).
pub const GRANULARITY: Duration = Duration::from_millis(1);

/// Estimates of a path's round trip.
#[derive(Debug, Clone)]
pub struct Rtt {
    smoothed: Duration,
    variation: Duration,
    latest: Duration,
    min: Windowed<Reverse<Duration>>,
    measured: bool,
    ack_delay_max: Duration,
}

impl Rtt {
    /// An estimate before anything was measured; `ack_delay_max` is what the peer may sit on an ACK.
    #[must_use]
    pub fn new(initial: Duration, ack_delay_max: Duration) -> Self {
        let window = MIN_WINDOW.as_nanos() as u64;
        let min = Windowed::new(window);
        Self {
            smoothed: initial,
            variation: initial / 2,
            latest: initial,
            min,
            measured: false,
            ack_delay_max,
        }
    }

    /// What the peer may sit on an ACK, once it has said so.
    pub const fn set_ack_delay(&mut self, max: Duration) {
        self.ack_delay_max = max;
    }

    /// Takes a measurement that includes the `delay` for which the peer says it sat on the ACK.
    pub fn sample(&mut self, now: Time, rtt: Duration, delay: Duration) {
        let rtt = rtt.max(Duration::from_micros(1));
        let Reverse(min) = self.min.update(now.as_nanos(), Reverse(rtt));
        let delay = delay.min(self.ack_delay_max);
        // A delay that would take the sample below the minimum cannot be true.
        let rtt = if rtt >= min + delay { rtt - delay } else { rtt };
        self.latest = rtt;
        if self.measured {
            self.variation = (self.variation * 3 + self.smoothed.abs_diff(rtt)) / 4;
            self.smoothed = (self.smoothed * 7 + rtt) / 8;
        } else {
            (self.smoothed, self.variation, self.measured) = (rtt, rtt / 2, true);
        }
    }

    /// Smoothed round trip.
    #[must_use]
    pub const fn smoothed(&self) -> Duration {
        self.smoothed
    }

    /// Mean deviation from it.
    #[must_use]
    pub const fn variation(&self) -> Duration {
        self.variation
    }

    /// The last measurement.
    #[must_use]
    pub const fn latest(&self) -> Duration {
        self.latest
    }

    /// The smallest measurement within [`MIN_WINDOW`]; the initial estimate before there is one.
    #[must_use]
    pub fn min(&self) -> Duration {
        self.min.current().map_or(self.smoothed, |Reverse(min)| min)
    }

    /// Whether anything was measured.
    #[must_use]
    pub const fn is_measured(&self) -> bool {
        self.measured
    }

    /// Probe time-out without back-off (RFC 9002 section 6.2.1).
    #[must_use]
    pub fn pto(&self) -> Duration {
        self.smoothed + (self.variation * 4).max(GRANULARITY) + self.ack_delay_max
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn the_peers_delay_is_taken_off_unless_it_cannot_be_true() {
        let mut rtt = Rtt::new(MS * 100, MS * 10);
        rtt.sample(Time::ZERO, MS * 50, Duration::ZERO);
        assert_eq!((rtt.smoothed(), rtt.variation(), rtt.min()), (MS * 50, MS * 25, MS * 50));
        rtt.sample(Time::ZERO, MS * 58, MS * 8);
        assert_eq!(rtt.latest(), MS * 50);
        rtt.sample(Time::ZERO, MS * 58, MS * 9);
        assert_eq!(rtt.latest(), MS * 58);
    }

    #[test]
    fn the_minimum_is_forgotten_in_time() {
        let mut rtt = Rtt::new(MS * 100, MS * 10);
        rtt.sample(Time::ZERO, MS * 20, Duration::ZERO);
        for second in 1..=11 {
            rtt.sample(Time::ZERO + MS * 1000 * second, MS * 60, Duration::ZERO);
        }
        assert_eq!(rtt.min(), MS * 60);
    }
}
