//! The path's own round trip, without queues.

use std::time::Duration;

use crate::proto::Time;

/// How long the smallest round trip is believed before the queue is emptied to see it again.
const BELIEVED: Duration = Duration::from_secs(10);
/// Fraction of the base within which a round trip confirms it.
const CONFIRMS: u32 = 32;

/// The smallest round trip, confirmed from time to time.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct BaseRtt {
    base: Option<Duration>,
    guess: Duration,
    confirmed_at: Time,
    /// The smallest since the queue was emptied on purpose.
    probe: Option<Duration>,
}

impl BaseRtt {
    /// Nothing is measured yet.
    pub(super) fn guess(guess: Duration) -> Self {
        Self { guess, ..Self::default() }
    }

    pub(super) fn get(&self) -> Duration {
        self.base.unwrap_or(self.guess)
    }

    pub(super) fn sample(&mut self, now: Time, rtt: Duration) {
        let base = self.base.unwrap_or(rtt);
        if rtt <= base + base / CONFIRMS {
            self.confirmed_at = now;
        }
        self.base = Some(base.min(rtt));
        self.probe = self.probe.map(|probe| probe.min(rtt));
    }

    pub(super) fn is_stale(&self, now: Time) -> bool {
        self.base.is_some() && now.since(self.confirmed_at) > BELIEVED
    }

    pub(super) fn start_probe(&mut self) {
        self.probe = Some(Duration::MAX);
    }

    /// Takes what the probe found for the base.
    pub(super) fn end_probe(&mut self, now: Time) {
        if let Some(found) = self.probe.take().filter(|found| *found < Duration::MAX) {
            self.base = Some(found);
        }
        self.confirmed_at = now;
    }
}
