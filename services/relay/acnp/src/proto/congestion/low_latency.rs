//! Messages that must not wait in queues, their own least of all.

use std::time::Duration;

use super::{WINDOW_INITIAL, model::Model, style::Style};

/// Bytes that may be under way at first, however much was under way before.
const INITIAL_MAX: u64 = 1 << 20;

/// What an earlier connection knew of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Estimate {
    /// Bytes a second that got through.
    pub rate: u64,
    /// The round trip.
    pub rtt: Duration,
}

impl Model {
    /// Little queueing, a start from what was known of the path, and no heed of random loss. For a path whose round trip is guessed.
    #[must_use]
    pub fn low_latency(rtt: Duration, known: Option<Estimate>) -> Self {
        let style = Style {
            probe_gain: 1.125,
            window_gain: 1.5,
            queue_min: Duration::from_millis(5),
            queue_divisor: 8,
            competes: false,
            loss_ceiling: super::high_bandwidth::LOSS_CEILING,
        };
        let Some(known) = known else {
            return Self::new(style, WINDOW_INITIAL, super::rate_of(2 * WINDOW_INITIAL, rtt), rtt);
        };
        let window = super::bytes_in(known.rate, known.rtt).clamp(WINDOW_INITIAL, INITIAL_MAX);
        Self::new(style, window, known.rate, known.rtt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::{
        Time,
        congestion::{Controller, DATAGRAM, Pacer},
    };

    #[test]
    fn the_first_flight_leaves_paced_within_what_was_known() {
        let rtt = Duration::from_millis(100);
        let controller = Model::low_latency(rtt, Some(Estimate { rate: 5_000_000, rtt }));
        assert_eq!(controller.window(), 500_000);
        let mut pacer = Pacer::default();
        pacer.set_rate(Time::ZERO, controller.pacing_rate());
        let mut now = Time::ZERO;
        for _ in 0..100 {
            now += pacer.until_next(now, DATAGRAM);
            pacer.on_sent(now, DATAGRAM);
        }
        // All but the burst take their time.
        assert_eq!(now.since(Time::ZERO).as_micros() / 100, (100 * 1200 - 12_000) / 5 / 100);
        assert_eq!(Model::low_latency(rtt, None).window(), WINDOW_INITIAL);
    }
}
