//! How long a packet travels: the way's delay, and jitter that may or may not let packets overtake each other.

use std::time::Duration;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::At;
use crate::path::Way;

#[derive(Debug)]
pub(super) struct Delay {
    delay: Duration,
    jitter: Duration,
    in_order: bool,
    last: At,
    chance: ChaCha8Rng,
}

impl Delay {
    pub(super) fn new(way: &Way, chance: ChaCha8Rng) -> Self {
        Self { delay: way.delay, jitter: way.jitter, in_order: way.in_order, last: At::ZERO, chance }
    }

    pub(super) fn arrival(&mut self, departs: At) -> At {
        let mut at = departs + self.delay;
        if !self.jitter.is_zero() {
            let spread: f64 = self.chance.random_range(-1.0..=1.0);
            let away = self.jitter.mul_f64(spread.abs());
            at = if spread < 0.0 { at.saturating_sub(away).max(departs) } else { at + away };
        }
        if self.in_order {
            at = at.max(self.last);
            self.last = at;
        }
        at
    }
}
