//! From the vectors of a text's tokens to one vector.

use crate::manifest::Pooling;

/// One vector for a text whose token vectors, `dimensions` numbers each, lie one after the other in
/// `vectors`.
pub(super) fn pool(vectors: &[f32], dimensions: usize, pooling: Pooling) -> Vec<f32> {
    match pooling {
        Pooling::Cls => vectors[..dimensions].to_vec(),
        Pooling::Mean => {
            let mut sums = vec![0f64; dimensions];
            for vector in vectors.chunks_exact(dimensions) {
                sums.iter_mut().zip(vector).for_each(|(sum, number)| *sum += f64::from(*number));
            }
            let count = (vectors.len() / dimensions) as f64;
            sums.into_iter().map(|sum| (sum / count) as f32).collect()
        }
    }
}

/// Scales to length one; a vector of zeros stays.
pub(super) fn normalize(vector: &mut [f32]) {
    let length = vector.iter().map(|number| f64::from(*number).powi(2)).sum::<f64>().sqrt();
    if length > 0.0 {
        vector.iter_mut().for_each(|number| *number = (f64::from(*number) / length) as f32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pooling_follows_its_definition() {
        let vectors = [1.0, 2.0, 3.0, 6.0];
        assert_eq!(pool(&vectors, 2, Pooling::Mean), [2.0, 4.0]);
        assert_eq!(pool(&vectors, 2, Pooling::Cls), [1.0, 2.0]);
    }

    #[test]
    fn length_becomes_one() {
        let (mut vector, mut zeros) = ([3.0, 4.0], [0.0, 0.0]);
        normalize(&mut vector);
        normalize(&mut zeros);
        assert_eq!((vector, zeros), ([0.6, 0.8], [0.0, 0.0]));
    }
}
