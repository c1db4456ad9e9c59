//! Messages that must not wait in queues, their own least of all.

use std::time::Duration;

use super::{AckSample, Controller, LossSample, WINDOW_INITIAL, model::Model, style::Style};
use crate::proto::{Time, recovery::Spurious};

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

/// Model-based control that bears little queueing, starts from what was known of the path, and is not impressed by random loss.
#[derive(Debug, Clone)]
pub struct LowLatency(Model);

impl LowLatency {
    /// A path whose round trip is guessed, and what was known of it.
    #[must_use]
    pub fn new(rtt: Duration, known: Option<Estimate>) -> Self {
        let style = Style {
            probe_gain: 1.125,
            window_gain: 1.5,
            queue_min: Duration::from_millis(5),
            queue_divisor: 8,
            competes: false,
            loss_ceiling: super::high_bandwidth::LOSS_CEILING,
        };
        let Some(known) = known else {
            return Self(Model::new(style, WINDOW_INITIAL, super::rate_of(2 * WINDOW_INITIAL, rtt), rtt));
        };
        let window = super::bytes_in(known.rate, known.rtt).clamp(WINDOW_INITIAL, INITIAL_MAX);
        Self(Model::new(style, window, known.rate, known.rtt))
    }
}

impl Controller for LowLatency {
    fn on_sent(&mut self, now: Time, bytes: u64, _in_flight: u64) {
        self.0.on_sent(now, bytes);
    }

    fn on_ack(&mut self, ack: &AckSample) {
        self.0.on_ack(ack);
    }

    fn on_loss(&mut self, loss: &LossSample) {
        self.0.on_loss(loss);
    }

    fn on_spurious(&mut self, _now: Time, spurious: &Spurious) {
        self.0.on_spurious(spurious);
    }

    fn on_persistent(&mut self, now: Time) {
        self.0.on_persistent(now);
    }

    fn window(&self) -> u64 {
        self.0.window()
    }

    fn pacing_rate(&self) -> Option<u64> {
        Some(self.0.pacing_rate())
    }

    fn estimate(&self) -> Option<Estimate> {
        self.0.estimate()
    }

    fn state(&self) -> &'static str {
        self.0.state()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::congestion::{DATAGRAM, Pacer};

    #[test]
    fn the_first_flight_leaves_paced_within_what_was_known() {
        let rtt = Duration::from_millis(100);
        let controller = LowLatency::new(rtt, Some(Estimate { rate: 5_000_000, rtt }));
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
        assert_eq!(LowLatency::new(rtt, None).window(), WINDOW_INITIAL);
    }
}
