//! The one source of randomness: streams of numbers that follow from the seed, one for each use, so that drawing more for
//! one does not change the others.

use std::{
    ops::RangeInclusive,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

/// A stream of random numbers. Clones draw from the same stream.
#[derive(Clone)]
pub(crate) struct Chance(Arc<Mutex<ChaCha8Rng>>);

impl Chance {
    /// The stream of `seed` for the use that `label` names.
    pub(crate) fn of(seed: u64, label: &str) -> Self {
        let digest = Sha256::digest(format!("{seed}/{label}"));
        Self(Arc::new(Mutex::new(ChaCha8Rng::from_seed(digest.into()))))
    }

    fn draw<T>(&self, draw: impl FnOnce(&mut ChaCha8Rng) -> T) -> T {
        draw(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A number of the range.
    pub(crate) fn number(&self, range: RangeInclusive<u64>) -> u64 {
        self.draw(|rng| rng.random_range(range))
    }

    /// True with this probability.
    pub(crate) fn hits(&self, probability: f64) -> bool {
        probability > 0.0 && self.draw(|rng| rng.random_bool(probability))
    }

    /// Milliseconds of the range.
    pub(crate) fn ms(&self, range: RangeInclusive<u64>) -> Duration {
        Duration::from_millis(self.number(range))
    }

    /// One of them.
    pub(crate) fn one_of<T: Clone>(&self, of: &[T]) -> T {
        of[usize::try_from(self.number(0..=of.len() as u64 - 1)).expect("an index")].clone()
    }
}
