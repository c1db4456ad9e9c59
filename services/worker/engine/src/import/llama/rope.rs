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

    #[test]
    fn both_scalings_divide_the_frequency() {
        assert_eq!(frequencies(4, 100.0, Scaling::Linear(2.0), &[1.0, 4.0]), vec![0.5, 0.0125]);
    }
}
