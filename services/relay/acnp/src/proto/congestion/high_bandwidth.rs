//! Bulk over long and lossy paths: as much as the path carries.

use std::time::Duration;

use super::{AckSample, Controller, Estimate, LossSample, WINDOW_INITIAL, model::Model, style::Style};
use crate::proto::{Time, recovery::Spurious};

/// Loss over a round at which the rate is halved unless set otherwise.
pub const LOSS_CEILING: f64 = 0.25;

/// Bytes that may be under way at first: paced over a round trip, they are no burst.
const INITIAL: u64 = 4 * WINDOW_INITIAL;

/// Model-based control that probes by a fifth and takes its share of queues that others fill.
#[derive(Debug, Clone)]
pub struct HighBandwidth(Model);

impl HighBandwidth {
    /// A path whose round trip is guessed; `loss_ceiling` is the share of a round's bytes whose loss halves the rate whatever else was
    /// learnt ([`LOSS_CEILING`] does for most).
    #[must_use]
    pub fn new(rtt: Duration, loss_ceiling: f64) -> Self {
        let style = Style {
            probe_gain: 1.2,
            window_gain: 2.0,
            queue_min: Duration::from_millis(2),
            queue_divisor: 8,
            competes: true,
            loss_ceiling,
        };
        let rate = super::rate_of(INITIAL, rtt);
        Self(Model::new(style, INITIAL, rate, rtt))
    }
}

impl Controller for HighBandwidth {
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
