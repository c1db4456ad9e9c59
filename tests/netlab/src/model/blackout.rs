//! Dark times: one in each period, at a place that the seed chooses.

use std::time::Duration;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::At;
use crate::path::Blackouts;

#[derive(Debug)]
pub(super) struct Dark {
    blackouts: Blackouts,
    period: u64,
    begins: At,
    chance: ChaCha8Rng,
}

impl Dark {
    pub(super) fn new(blackouts: Blackouts, mut chance: ChaCha8Rng) -> Self {
        let begins = place(&blackouts, 0, &mut chance);
        Self { blackouts, period: 0, begins, chance }
    }

    /// Whether `at` is dark. Times do not go back by a period.
    pub(super) fn covers(&mut self, at: At) -> bool {
        let period = (at.as_nanos() / self.blackouts.every.as_nanos().max(1)) as u64;
        while self.period < period {
            self.period += 1;
            self.begins = place(&self.blackouts, self.period, &mut self.chance);
        }
        at >= self.begins && at < self.begins + self.blackouts.lasting
    }
}

fn place(blackouts: &Blackouts, period: u64, chance: &mut ChaCha8Rng) -> At {
    let room = (blackouts.every - blackouts.lasting).as_nanos() as u64;
    let start = blackouts.every.as_nanos() as u64 * period;
    Duration::from_nanos(start + chance.random_range(0..=room))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::chance;

    #[test]
    fn each_period_has_one_dark_time_of_the_length() {
        let blackouts = Blackouts { lasting: Duration::from_millis(60), every: Duration::from_secs(3) };
        let mut dark = Dark::new(blackouts, chance(3, 0));
        for period in 0..20 {
            let base = 3000 * period;
            let covered = (0..3000).filter(|ms| dark.covers(Duration::from_millis(base + ms))).count();
            assert!((59..=61).contains(&covered), "{covered} ms dark");
        }
    }
}
