//! Times, counted without losing the slow ones.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

/// Significant digits that are kept.
const DIGITS: u8 = 3;
/// Longest time that is told apart, in microseconds: a minute.
const MICROS_MAX: u64 = 60_000_000;

/// Times, in microseconds.
#[derive(Debug, Clone)]
pub struct Times(Histogram<u64>);

/// What is said of times, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Percentiles {
    /// How many there were.
    pub count: u64,
    /// Half were at most this.
    pub p50_ms: f64,
    /// Nine in ten were at most this.
    pub p90_ms: f64,
    /// Ninety-nine in a hundred were at most this.
    pub p99_ms: f64,
    /// Of a thousand, all but one were at most this.
    pub p999_ms: f64,
    /// The longest.
    pub max_ms: f64,
}

impl Default for Times {
    fn default() -> Self {
        Self(Histogram::new_with_max(MICROS_MAX, DIGITS).expect("the bounds are constants that fit"))
    }
}

impl Times {
    /// Counts one; longer ones than a minute count as a minute.
    pub fn add(&mut self, time: Duration) {
        self.0.saturating_record(u64::try_from(time.as_micros()).unwrap_or(MICROS_MAX));
    }

    /// Adds all of `other`.
    pub fn merge(&mut self, other: &Self) {
        self.0.add(&other.0).expect("both have the same bounds");
    }

    /// What there is to say.
    #[must_use]
    pub fn percentiles(&self) -> Percentiles {
        let at = |quantile| self.0.value_at_quantile(quantile) as f64 / 1000.0;
        Percentiles {
            count: self.0.len(),
            p50_ms: at(0.5),
            p90_ms: at(0.9),
            p99_ms: at(0.99),
            p999_ms: at(0.999),
            max_ms: self.0.max() as f64 / 1000.0,
        }
    }
}

/// The middle one of `values` (of an even number, the upper of the two); 0 for none.
#[must_use]
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slow_ones_show() {
        let mut times = Times::default();
        (0..990).for_each(|_| times.add(Duration::from_micros(1000)));
        (0..10).for_each(|_| times.add(Duration::from_millis(500)));
        let said = times.percentiles();
        assert_eq!((said.count, said.p50_ms, said.p99_ms), (1000, 1.0, 1.0));
        assert!(said.p999_ms > 499.0 && said.max_ms > 499.0, "{said:?}");
        times.add(Duration::from_secs(3600));
        assert!(times.percentiles().max_ms >= 60_000.0);
    }

    #[test]
    fn medians() {
        assert_eq!(median([3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median([]), 0.0);
    }
}
