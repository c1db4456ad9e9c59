//! Bulk over long and lossy paths: as much as the path carries.

use std::time::Duration;

use super::{WINDOW_INITIAL, model::Model, style::Style};

/// Loss over a round at which the rate is halved unless set otherwise.
pub const LOSS_CEILING: f64 = 0.25;

/// Bytes that may be under way at first: paced over a round trip, they are no burst.
const INITIAL: u64 = 4 * WINDOW_INITIAL;

impl Model {
    /// As much as the path carries: probes by a fifth and takes its share of queues that others fill. For a path whose round trip is guessed; `loss_ceiling` is the share of a round's bytes whose loss halves the rate whatever else was
    /// learnt ([`LOSS_CEILING`] does for most).
    #[must_use]
    pub fn high_bandwidth(rtt: Duration, loss_ceiling: f64) -> Self {
        let style = Style {
            probe_gain: 1.2,
            window_gain: 2.0,
            queue_min: Duration::from_millis(2),
            queue_divisor: 8,
            competes: true,
            loss_ceiling,
        };
        let rate = super::rate_of(INITIAL, rtt);
        Self::new(style, INITIAL, rate, rtt)
    }
}
