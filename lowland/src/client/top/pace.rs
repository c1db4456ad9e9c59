//! How much happened in each of the last seconds. Pure.

use std::collections::BTreeMap;

use lowland_events::Time;

/// Seconds that are remembered: what a sparkline shows.
pub const SECONDS: usize = 60;
/// Whole seconds that a rate is the mean of.
pub const RATE_OVER: i64 = 10;

const US: i64 = 1_000_000;

/// Amounts by second.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Pace(BTreeMap<i64, f64>);

impl Pace {
    /// `amount` at one moment.
    pub fn at(&mut self, time: Time, amount: f64) {
        self.add(time.0.div_euclid(US), amount);
    }

    /// `amount`, evenly over a span of time.
    pub fn over(&mut self, from: Time, to: Time, amount: f64) {
        if to <= from {
            return self.at(to, amount);
        }
        let (first, last) = (from.0.div_euclid(US), to.0.div_euclid(US));
        // Of a longer span only the end would be shown.
        let first = first.max(last - SECONDS as i64);
        let span = (to.0 - from.0) as f64;
        for second in first..=last {
            let begin = (second * US).max(from.0);
            let end = ((second + 1) * US).min(to.0);
            self.add(second, amount * (end - begin).max(0) as f64 / span);
        }
    }

    fn add(&mut self, second: i64, amount: f64) {
        *self.0.entry(second).or_default() += amount;
        while self.0.len() > 2 * SECONDS {
            self.0.pop_first();
        }
    }

    /// Mean a second over the last whole seconds before `now`.
    pub fn rate(&self, now: Time) -> f64 {
        let second = now.0.div_euclid(US);
        let amounts = self.0.range(second - RATE_OVER..second).map(|(_, amount)| amount);
        // Not `sum`, whose nothing is -0.
        amounts.fold(0.0, |sum, amount| sum + amount) / RATE_OVER as f64
    }

    /// The last whole seconds before `now`, oldest first.
    pub fn history(&self, now: Time) -> Vec<f64> {
        let second = now.0.div_euclid(US);
        (second - SECONDS as i64..second).map(|second| self.0.get(&second).copied().unwrap_or(0.0)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_fall_into_their_seconds() {
        let mut pace = Pace::default();
        pace.at(Time(100 * US + 1), 2.0);
        pace.over(Time(98 * US + 500_000), Time(100 * US + 500_000), 20.0);
        let history = pace.history(Time(101 * US));
        assert_eq!(history.len(), SECONDS);
        assert_eq!(history[SECONDS - 3..], [5.0, 10.0, 7.0]);
        assert!((pace.rate(Time(101 * US)) - 2.2).abs() < 1e-9);
        assert_eq!(pace.rate(Time(200 * US)).to_string(), "0");
        pace.over(Time(300 * US), Time(302 * US), 4.0);
        pace.over(Time(302 * US), Time(302 * US), 1.0);
        assert_eq!(pace.history(Time(303 * US))[SECONDS - 3..], [2.0, 2.0, 1.0]);
    }

    #[test]
    fn memory_is_bounded() {
        let mut pace = Pace::default();
        (0..100_000).for_each(|second| pace.at(Time(second * US), 1.0));
        pace.over(Time(0), Time(1_000_000 * US), 1.0);
        assert!(pace.0.len() <= 2 * SECONDS);
    }
}
