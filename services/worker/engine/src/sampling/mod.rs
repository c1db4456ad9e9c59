//! From logits to a token: pure functions over a slice, with scratch memory that the caller keeps between
//! tokens.
//!
//! Order: logit bias, penalties, temperature, min-p, top-k, top-p, draw. The draw for output token `i`
//! depends on the seed and `i` alone, exponentials are computed in software and sums run in a fixed order, so
//! the same logits give the same token on every machine, and a job that another engine takes over at token
//! `i` goes on as it would have.

mod draw;
mod history;
mod logprobs;
mod params;
mod random;

pub use logprobs::{LOGPROBS_MAX, TokenLogprobs};
pub use params::Sampling;

pub(crate) use history::History;
pub(crate) use logprobs::logprobs;

use crate::Error;

/// Memory that sampling reuses from token to token; one a step thread.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    logits: Vec<f32>,
    candidates: Vec<draw::Candidate>,
}

/// Chooses output token `index`.
///
/// # Errors
/// [`Error::NotFinite`] when a logit is NaN or plus infinity, or every logit is minus infinity.
pub(crate) fn sample(
    logits: &[f32],
    sampling: &Sampling,
    history: &History,
    index: usize,
    scratch: &mut Scratch,
) -> Result<u32, Error> {
    scratch.logits.clear();
    scratch.logits.extend_from_slice(logits);
    let logits = &mut scratch.logits;
    for &(token, bias) in &sampling.logit_bias {
        logits[token as usize] += bias;
    }
    history.penalize(logits, sampling);
    let (top, max) = argmax(logits).ok_or(Error::NotFinite { index })?;
    if sampling.temperature == 0.0 {
        return Ok(top);
    }
    let unit = random::unit(sampling.seed, index as u64);
    Ok(draw::draw(logits, max, sampling, unit, &mut scratch.candidates))
}

/// The largest logit and the first token that has it; `None` unless all are numbers below infinity and one is
/// finite.
fn argmax(logits: &[f32]) -> Option<(u32, f32)> {
    // The comparison is false for NaN as well.
    if !logits.iter().all(|logit| *logit < f32::INFINITY) {
        return None;
    }
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let at = logits.iter().position(|logit| *logit == max)?;
    max.is_finite().then_some((at as u32, max))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn greedy(logits: &[f32]) -> Result<u32, Error> {
        let sampling = Sampling { temperature: 0.0, ..Sampling::default() };
        sample(logits, &sampling, &History::default(), 7, &mut Scratch::default())
    }

    #[test]
    fn greedy_takes_the_first_of_equals() {
        assert_eq!(greedy(&[0.5, 2.0, 2.0, f32::NEG_INFINITY]).unwrap(), 1);
    }

    #[test]
    fn what_is_not_a_number_is_an_error_that_says_where() {
        for bad in [[1.0, f32::NAN], [1.0, f32::INFINITY], [f32::NEG_INFINITY; 2]] {
            assert!(matches!(greedy(&bad), Err(Error::NotFinite { index: 7 })), "{bad:?}");
        }
        assert!(greedy(&[]).is_err());
    }

    #[test]
    fn bias_moves_the_choice() {
        let sampling = Sampling {
            temperature: 0.0,
            logit_bias: vec![(2, 5.0), (0, f32::NEG_INFINITY)],
            ..Sampling::default()
        };
        assert_eq!(
            sample(&[3.0, 1.0, 0.0], &sampling, &History::default(), 0, &mut Scratch::default()).unwrap(),
            2
        );
    }
}
