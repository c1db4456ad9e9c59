//! What tells the model's two controllers apart.

use std::time::Duration;

/// How a controller built on the model behaves.
#[derive(Debug, Clone, Copy)]
pub(super) struct Style {
    /// Rate while it probes, to the rate measured.
    pub(super) probe_gain: f64,
    /// Most bytes under way, in products of rate and round trip.
    pub(super) window_gain: f64,
    /// Queueing that is borne, at least.
    pub(super) queue_min: Duration,
    /// Queueing that is borne, as a fraction of the round trip.
    pub(super) queue_divisor: u32,
    /// Whether it takes its share from those who fill queues.
    pub(super) competes: bool,
    /// Loss over a round at which the rate is halved whatever else was learnt.
    pub(super) loss_ceiling: f64,
}

impl Style {
    /// Queueing that is borne on a path.
    pub(super) fn queue(&self, base: Duration) -> Duration {
        (base / self.queue_divisor).max(self.queue_min)
    }
}
