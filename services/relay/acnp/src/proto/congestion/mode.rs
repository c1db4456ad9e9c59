//! Which controller a connection takes: what it is for.

use std::time::Duration;

use super::{Controller, Cubic, Estimate, LOSS_CEILING, Model};

/// What a connection is for.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub enum Mode {
    /// Small messages that must not wait.
    #[default]
    LowLatency,
    /// As much as the path carries.
    HighBandwidth {
        /// Part of the packets that may be lost over a round before the rate is halved, 0 to 1.
        loss_ceiling: f64,
    },
    /// The baseline.
    Cubic,
}

impl Mode {
    /// As much as the path carries, with the usual ceiling.
    pub const HIGH_BANDWIDTH: Self = Self::HighBandwidth { loss_ceiling: LOSS_CEILING };

    /// A controller for a path of this round trip, with what is known of it.
    #[must_use]
    pub fn controller(self, rtt: Duration, known: Option<Estimate>) -> Box<dyn Controller> {
        match self {
            Self::LowLatency => Box::new(Model::low_latency(rtt, known)),
            Self::HighBandwidth { loss_ceiling } => Box::new(Model::high_bandwidth(rtt, loss_ceiling)),
            Self::Cubic => Box::new(Cubic::default()),
        }
    }
}
