//! The queue as it is just now.

use std::time::Duration;

/// Round trips whose smallest is looked at: enough that jitter alone leaves one of them near the path's own.
const SAMPLES: u32 = 32;

/// The smallest of the last few round trips.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Recent {
    min: Option<Duration>,
    samples: u32,
    last: Option<Duration>,
}

impl Recent {
    pub(super) fn sample(&mut self, rtt: Duration) {
        self.min = Some(self.min.map_or(rtt, |min| min.min(rtt)));
        self.samples += 1;
        if self.samples >= SAMPLES {
            (self.last, self.min, self.samples) = (self.min, None, 0);
        }
    }

    /// What the round trip exceeds the path's own by, once there are enough samples.
    pub(super) fn queue(&self, base: Duration) -> Option<Duration> {
        self.last.map(|last| last.saturating_sub(base))
    }
}
