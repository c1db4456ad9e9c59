//! Rotary position tables: the cosine and sine of every position's angles.

/// How positions are stretched beyond the length that a model was first trained on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Scaling {
    /// Not at all.
    None,
    /// Every angle divided by this.
    Linear(f64),
}

/// Cosines and sines, each `positions x head_dim / 2`, row by row.
///
/// `factors` divides each frequency (Llama 3's scaling, which GGUF stores as `rope_freqs.weight`); empty for none.
pub(crate) fn tables(
    positions: usize,
    head_dim: usize,
    base: f64,
    scaling: Scaling,
    factors: &[f32],
) -> (Vec<f32>, Vec<f32>) {
    let frequencies = frequencies(head_dim, base, scaling, factors);
    let angles = || (0..positions).flat_map(|position| frequencies.iter().map(move |f| position as f64 * f));
    (angles().map(|angle| angle.cos() as f32).collect(), angles().map(|angle| angle.sin() as f32).collect())
}

/// How Llama 3.1 and later stretch their context: long waves by `factor`, short ones not at all, those between by a mix.
#[derive(Debug, Clone, Copy, PartialEq, serde::Deserialize)]
pub(crate) struct Llama3 {
    factor: f64,
    low_freq_factor: f64,
    high_freq_factor: f64,
    original_max_position_embeddings: f64,
}

impl Llama3 {
    /// What each frequency is divided by.
    pub(crate) fn factors(&self, head_dim: usize, base: f64) -> Vec<f32> {
        let factor = |frequency: f64| {
            let waves = self.original_max_position_embeddings * frequency / std::f64::consts::TAU;
            let kept = (waves - self.low_freq_factor) / (self.high_freq_factor - self.low_freq_factor);
            let kept = kept.clamp(0.0, 1.0);
            (1.0 / ((1.0 - kept) / self.factor + kept)) as f32
        };
        frequencies(head_dim, base, Scaling::None, &[]).into_iter().map(factor).collect()
    }
}

fn frequencies(head_dim: usize, base: f64, scaling: Scaling, factors: &[f32]) -> Vec<f64> {
    let stretch = if let Scaling::Linear(factor) = scaling { factor } else { 1.0 };
    let factor = |i: usize| factors.get(i).map_or(1.0, |&factor| f64::from(factor));
    let frequency = |i: usize| base.powf(-2.0 * i as f64 / head_dim as f64) / (stretch * factor(i));
    (0..head_dim / 2).map(frequency).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn position_one_turns_by_the_frequency() {
        let (cos, sin) = tables(2, 4, 100.0, Scaling::None, &[]);
        assert_eq!(&cos[..2], &[1.0, 1.0]);
        assert!((sin[2] - 1f32.sin()).abs() < 1e-7 && (sin[3] - 0.1f32.sin()).abs() < 1e-7);
    }

    /// Llama 3.2 1B; the numbers are those of the formula in transformers, worked out in Python.
    #[test]
    fn llama3_stretches_long_waves_only() {
        let scaling = Llama3 {
            factor: 32.0,
            low_freq_factor: 1.0,
            high_freq_factor: 4.0,
            original_max_position_embeddings: 8192.0,
        };
        let mut expected = vec![1.0; 15];
        expected.extend([1.651_329, 3.292_262, 9.666_73]);
        expected.extend([32.0; 14]);
        let factors = scaling.factors(64, 500_000.0);
        assert_eq!(factors.len(), expected.len());
        assert!(factors.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-5), "{factors:?}");
    }

    #[test]
    fn both_scalings_divide_the_frequency() {
        assert_eq!(frequencies(4, 100.0, Scaling::Linear(2.0), &[1.0, 4.0]), vec![0.5, 0.0125]);
    }
}
