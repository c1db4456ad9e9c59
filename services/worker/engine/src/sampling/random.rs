//! The draw for one output token: a function of the seed and the token's index, so that it can be taken up
//! anywhere.

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};

/// 32-bit words that one draw takes from the key stream.
const WORDS_A_DRAW: u128 = 2;

/// A number from 0 to below 1, uniform, from word `2 * index` of the ChaCha8 key stream whose key is `seed`.
pub(crate) fn unit(seed: u64, index: u64) -> f64 {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    let mut stream = ChaCha8Rng::from_seed(key);
    stream.set_word_pos(u128::from(index) * WORDS_A_DRAW);
    (stream.next_u64() >> 11) as f64 * 2f64.powi(-53)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Draws are part of what a job means: a job taken over by a newer build must go on with the same ones.
    #[test]
    fn draws_never_change() {
        let draws = [(0, 0), (0, 1), (42, 0), (u64::MAX, 1_000_000)].map(|(seed, index)| unit(seed, index));
        assert_eq!(draws, GOLDEN);
    }

    /// The first is the ChaCha8 key stream of an all-zero key, `3e 00 ef 2f 89 5f 40 d6`, as published test
    /// vectors have it.
    const GOLDEN: [f64; 4] = [0.8369197568826472, 0.6314244940665231, 0.3482544685480763, 0.9258337879264668];

    #[test]
    fn draws_are_spread_evenly() {
        let mut buckets = [0; 10];
        for index in 0..10_000 {
            buckets[(unit(7, index) * 10.0) as usize] += 1;
        }
        assert!(buckets.iter().all(|count| (850..1150).contains(count)), "{buckets:?}");
    }
}
