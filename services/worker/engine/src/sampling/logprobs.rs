//! Log-probabilities of the chosen token and of the likeliest ones, in the model's own distribution.
//!
//! "Own" means before bias, penalties and temperature, as vLLM reports them: they say what the model thought,
//! whatever was asked of sampling.

use std::cmp::Ordering;

/// Most alternatives a token (the limit that OpenAI's interface has).
pub const LOGPROBS_MAX: u8 = 20;

/// One output token's log-probabilities, natural logarithms.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenLogprobs {
    /// The token that was chosen.
    pub token: u32,
    /// Its log-probability.
    pub logprob: f32,
    /// The likeliest tokens, best first; the chosen one is among them only if it is one of them.
    pub top: Vec<(u32, f32)>,
}

/// Log-probabilities of `token` and of the `top` likeliest; `logits` must hold no NaN and a finite maximum.
pub(crate) fn logprobs(logits: &[f32], token: u32, top: u8) -> TokenLogprobs {
    let norm = log_sum_exp(logits);
    let at = |logit: f32| (f64::from(logit) - norm) as f32;
    let best = likeliest(logits, usize::from(top));
    TokenLogprobs {
        token,
        logprob: at(logits[token as usize]),
        top: best.into_iter().map(|(logit, token)| (token, at(logit))).collect(),
    }
}

fn log_sum_exp(logits: &[f32]) -> f64 {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|logit| f64::from(libm::expf(logit - max))).sum();
    f64::from(max) + libm::log(sum)
}

/// The `count` largest, best first, equals by token: one pass with a short sorted list, since `count` is
/// small.
fn likeliest(logits: &[f32], count: usize) -> Vec<(f32, u32)> {
    let mut best: Vec<(f32, u32)> = Vec::with_capacity(count + 1);
    for (token, &logit) in logits.iter().enumerate() {
        if best.len() == count && best.last().is_none_or(|(worst, _)| logit <= *worst) {
            continue;
        }
        let at = best.partition_point(|(other, _)| other.total_cmp(&logit) != Ordering::Less);
        best.insert(at, (logit, token as u32));
        best.truncate(count);
    }
    best
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn agrees_with_the_definition(logits in prop::collection::vec(-30f32..30.0, 1..200), pick in any::<prop::sample::Index>(), top in 0u8..=20) {
            let token = pick.index(logits.len());
            let total: f64 = logits.iter().map(|l| f64::from(*l).exp()).sum();
            let definition = |token: usize| (f64::from(logits[token]).exp() / total).ln();
            let mut order: Vec<usize> = (0..logits.len()).collect();
            order.sort_by(|a, b| logits[*b].total_cmp(&logits[*a]).then(a.cmp(b)));
            order.truncate(usize::from(top));

            let found = logprobs(&logits, token as u32, top);
            prop_assert!((f64::from(found.logprob) - definition(token)).abs() < 1e-4);
            prop_assert_eq!(found.top.iter().map(|(token, _)| *token as usize).collect::<Vec<_>>(), order);
            for (token, logprob) in found.top {
                prop_assert!((f64::from(logprob) - definition(token as usize)).abs() < 1e-4);
            }
        }
    }
}
