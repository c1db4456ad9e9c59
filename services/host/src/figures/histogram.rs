//! Histograms: handles to one distribution each, in HdrHistogram's cells.
//!
//! Recording locks, finds the cell by a few shifts and counts it: some tens of nanoseconds, no allocation. The cells of a
//! day in microseconds take 229 KiB of address space, of which only pages that were written to take memory.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use hdrhistogram::Histogram as Cells;
use serde_bytes::ByteBuf;

use super::{Counter, Scale, encoding};

/// Significant decimal digits of a value: two that differ by less than a thousandth may share a cell.
pub const SIGNIFICANT_DIGITS: u8 = 3;
/// The lowest value that is told apart from zero, in what is recorded.
pub const VALUE_MIN: u64 = 1;

/// A distribution. Clones are the same one.
#[derive(Debug, Clone)]
pub struct Histogram(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    scale: Scale,
    recorded: Mutex<Recorded>,
    /// The cells encoded, as of so many values: what has not changed is not encoded again.
    encoded: Mutex<Option<(u64, ByteBuf)>>,
    /// Counts values that were higher than can be told apart, and count as the highest that can.
    clamped: Counter,
}

/// What was recorded so far.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// The cells.
    pub cells: Cells<u64>,
    /// The exact sum of the values.
    pub sum: u64,
}

impl Histogram {
    pub(super) fn new(scale: Scale, clamped: Counter) -> Self {
        let cells = Cells::new_with_bounds(VALUE_MIN, scale.unit.highest(), SIGNIFICANT_DIGITS)
            .expect("the bounds are constants that make a histogram");
        let recorded = Mutex::new(Recorded { cells, sum: 0 });
        Self(Arc::new(Inner { scale, recorded, encoded: Mutex::default(), clamped }))
    }

    /// Records a value (of times: microseconds).
    pub fn record(&self, value: u64) {
        self.record_n(value, 1);
    }

    /// Records a time.
    pub fn record_time(&self, time: Duration) {
        self.record(micros(time));
    }

    /// Records the same value so many times.
    pub fn record_n(&self, value: u64, times: u64) {
        if times == 0 {
            return;
        }
        let highest = self.0.scale.unit.highest();
        if value > highest {
            self.0.clamped.add(times);
        }
        let value = value.min(highest);
        let mut recorded = self.recorded();
        recorded.cells.saturating_record_n(value, times);
        recorded.sum = recorded.sum.saturating_add(value.saturating_mul(times));
    }

    /// A copy of what was recorded so far.
    #[must_use]
    pub fn snapshot(&self) -> Recorded {
        self.recorded().clone()
    }

    /// What was recorded so far, as event data.
    #[must_use]
    pub fn encoded(&self) -> ByteBuf {
        let mut encoded = lock(&self.0.encoded);
        let count = self.recorded().cells.len();
        match &*encoded {
            Some((of, bytes)) if *of == count => bytes.clone(),
            _ => {
                let cells = self.snapshot().cells;
                let bytes = ByteBuf::from(encoding::encode(&cells));
                *encoded = Some((cells.len(), bytes.clone()));
                bytes
            }
        }
    }

    /// What the values are.
    #[must_use]
    pub fn scale(&self) -> Scale {
        self.0.scale
    }

    fn recorded(&self) -> MutexGuard<'_, Recorded> {
        lock(&self.0.recorded)
    }
}

impl Recorded {
    /// Prometheus' buckets: of each bound the values up to it and above the bound before it; the rest last, up to
    /// infinity. A cell counts where its lowest value belongs, so a value that is at most a bound is always counted there.
    #[must_use]
    pub fn buckets(&self, scale: Scale) -> Vec<(f64, u64)> {
        let mut buckets: Vec<_> =
            scale.bounds.iter().copied().chain([f64::INFINITY]).map(|bound| (bound, 0)).collect();
        let mut at = 0;
        for cell in self.cells.iter_recorded() {
            let lowest = self.cells.lowest_equivalent(cell.value_iterated_to()) as f64 / scale.unit.scale();
            while lowest > buckets[at].0 {
                at += 1;
            }
            buckets[at].1 += cell.count_at_value();
        }
        buckets
    }
}

/// A time in microseconds.
#[must_use]
pub fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::{super::description::Unit, *};

    const SCALE: Scale = Scale { unit: Unit::Seconds, bounds: &[0.001, 0.1, 1.0] };

    fn histogram() -> (Histogram, Counter) {
        let clamped = Counter::default();
        (Histogram::new(SCALE, clamped.clone()), clamped)
    }

    #[test]
    fn values_count_up_to_their_bounds() {
        let (histogram, _) = histogram();
        for micros in [0, 999, 1000, 1001, 100_000, 1_000_000, 2_000_000] {
            histogram.record(micros);
        }
        histogram.record_n(50_000, 3);
        let buckets = histogram.snapshot().buckets(SCALE);
        assert_eq!(buckets, [(0.001, 3), (0.1, 5), (1.0, 1), (f64::INFINITY, 1)]);
        assert_eq!(histogram.snapshot().sum, 999 + 1000 + 1001 + 100_000 + 3_000_000 + 150_000);
    }

    #[test]
    fn a_value_beyond_the_range_counts_as_the_highest_and_is_noted() {
        let (histogram, clamped) = histogram();
        histogram.record(u64::MAX);
        histogram.record_time(Duration::from_secs(24 * 3600));
        assert_eq!((histogram.snapshot().cells.len(), clamped.value()), (2, 1));
        assert_eq!(histogram.snapshot().sum, 2 * SCALE.unit.highest());
    }

    #[test]
    fn what_has_not_changed_is_not_encoded_again() {
        let (histogram, _) = histogram();
        histogram.record(7);
        let first = histogram.encoded();
        assert_eq!(histogram.encoded(), first);
        histogram.record(7);
        assert_ne!(histogram.encoded(), first);
    }
}
