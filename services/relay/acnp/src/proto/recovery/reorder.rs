//! How long a packet may be late before it is taken for lost.

use std::time::Duration;

/// Classes of lateness, each a sixteenth wider than the one before (plus one resolution step).
const CLASSES: usize = 96;
/// The finest lateness told apart.
const STEP: Duration = Duration::from_micros(250);
/// Late packets that have to be seen before they are believed.
const SAMPLES_MIN: u32 = 16;
/// Share of late packets, in 1000, that must come within the window.
const QUANTILE: u32 = 990;
/// Round trips after which the past counts for half.
const HALF_LIFE: u32 = 32;

/// The reorder window of RACK (RFC 8985 section 6.2), in time: what nearly all late packets kept within.
#[derive(Debug, Clone)]
pub struct ReorderWindow {
    counts: [u32; CLASSES],
    total: u32,
    quantile: Duration,
    /// Quarters of the smallest round trip, before there are samples: grows when a loss was spurious.
    quarters: u32,
    rounds: u32,
}

impl Default for ReorderWindow {
    fn default() -> Self {
        Self { counts: [0; CLASSES], total: 0, quantile: Duration::ZERO, quarters: 1, rounds: 0 }
    }
}

/// The upper edge of a class.
fn edge(class: usize) -> Duration {
    let mut edge = STEP;
    for _ in 0..class {
        edge += (edge / 16).max(STEP);
    }
    edge
}

impl ReorderWindow {
    /// A packet came later, by this, than one that left after it.
    pub fn on_late(&mut self, lateness: Duration) {
        let mut class = 0;
        let mut upper = STEP;
        while upper < lateness && class + 1 < CLASSES {
            upper += (upper / 16).max(STEP);
            class += 1;
        }
        self.counts[class] += 1;
        self.total += 1;
        if self.total < SAMPLES_MIN {
            self.quantile = self.quantile.max(upper);
        } else {
            self.quantile = self.quantile();
        }
    }

    /// A packet that had been given up came after all.
    pub fn on_spurious(&mut self, lateness: Duration) {
        // An error weighs more than a late packet that was waited for.
        for _ in 0..2 {
            self.on_late(lateness);
        }
        self.quarters = (self.quarters + 1).min(4);
    }

    /// A round trip went by: what was measured long ago counts for less.
    pub fn on_round(&mut self) {
        self.rounds += 1;
        if self.rounds >= HALF_LIFE {
            self.rounds = 0;
            self.counts.iter_mut().for_each(|count| *count /= 2);
            self.total = self.counts.iter().sum();
            self.quarters = (self.quarters - 1).max(1);
            self.quantile = self.quantile();
        }
    }

    fn quantile(&self) -> Duration {
        let within = (u64::from(self.total) * u64::from(QUANTILE)).div_ceil(1000);
        let mut sum = 0;
        let found = self.counts.iter().position(|count| {
            sum += u64::from(*count);
            sum >= within
        });
        if self.total == 0 { Duration::ZERO } else { found.map_or(Duration::ZERO, edge) }
    }

    /// The window, at most one smoothed round trip.
    #[must_use]
    pub fn get(&self, min_rtt: Duration, smoothed: Duration) -> Duration {
        let first = min_rtt / 4 * self.quarters;
        let window = if self.total >= SAMPLES_MIN { self.quantile.max(min_rtt / 32) } else { first };
        window.max(self.quantile).min(smoothed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn it_starts_at_a_quarter_of_the_round_trip_and_grows_with_errors_up_to_one() {
        let mut window = ReorderWindow::default();
        assert_eq!(window.get(MS * 100, MS * 120), MS * 25);
        window.on_spurious(MS * 30);
        assert_eq!(window.get(MS * 100, MS * 120), MS * 50);
        window.on_spurious(MS * 500);
        assert_eq!(window.get(MS * 100, MS * 120), MS * 120);
    }

    #[test]
    fn it_follows_what_was_measured_and_forgets_it() {
        let mut window = ReorderWindow::default();
        for n in 0..1000 {
            window.on_late(MS * 40 * (n % 100) / 100);
        }
        let measured = window.get(MS * 100, MS * 120);
        assert!(measured >= MS * 39 && measured <= MS * 44, "{measured:?}");
        (0..12 * HALF_LIFE).for_each(|_| window.on_round());
        assert_eq!(window.get(MS * 100, MS * 120), MS * 25);
    }
}
