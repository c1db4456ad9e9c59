//! One draw from the distribution that temperature, min-p, top-k and top-p leave.
//!
//! The whole vocabulary is never sorted unless the kept part is nearly all of it: top-k selects before it
//! sorts, and top-p sorts growing groups from the top until enough probability is in.

use std::cmp::Ordering;

use super::Sampling;

/// Size of the first group that top-p sorts; each next group is this many times as large.
const FIRST_GROUP: usize = 64;
const GROUP_GROWTH: usize = 4;

/// A token that may be drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Candidate {
    /// Logit below the largest, over the temperature: at most 0.
    x: f32,
    /// `exp(x)`: the probability, but for a common factor.
    weight: f32,
    token: u32,
}

impl Candidate {
    /// Likeliest first, equals by token.
    fn order(&self, other: &Self) -> Ordering {
        other.x.total_cmp(&self.x).then(self.token.cmp(&other.token))
    }
}

/// Draws with `unit` in `[0, 1)`; `max` is the largest logit, finite, and the temperature is above 0.
pub(super) fn draw(
    logits: &[f32],
    max: f32,
    sampling: &Sampling,
    unit: f64,
    candidates: &mut Vec<Candidate>,
) -> u32 {
    gather(logits, max, sampling, candidates);
    keep_top_k(candidates, sampling.top_k as usize);
    keep_top_p(candidates, sampling.top_p);
    walk(candidates, unit)
}

/// The tokens that min-p leaves, in the vocabulary's order.
fn gather(logits: &[f32], max: f32, sampling: &Sampling, candidates: &mut Vec<Candidate>) {
    let floor = if sampling.min_p > 0.0 { libm::logf(sampling.min_p) } else { f32::NEG_INFINITY };
    candidates.clear();
    for (token, &logit) in logits.iter().enumerate() {
        let x = (logit - max) / sampling.temperature;
        if x >= floor && x > f32::NEG_INFINITY {
            candidates.push(Candidate { x, weight: libm::expf(x), token: token as u32 });
        }
    }
}

/// Keeps the `k` likeliest, sorted; 0 keeps all as they are.
fn keep_top_k(candidates: &mut Vec<Candidate>, k: usize) {
    if k == 0 || k >= candidates.len() {
        return;
    }
    candidates.select_nth_unstable_by(k - 1, Candidate::order);
    candidates.truncate(k);
    candidates.sort_unstable_by(Candidate::order);
}

/// Keeps the fewest likeliest whose weights reach `p` of the total, sorted; 1 keeps all as they are.
fn keep_top_p(candidates: &mut Vec<Candidate>, p: f32) {
    if p >= 1.0 {
        return;
    }
    let enough = total(candidates) * f64::from(p);
    let (mut sorted, mut group, mut sum) = (0, FIRST_GROUP, 0.0);
    while sorted < candidates.len() {
        let rest = &mut candidates[sorted..];
        let size = group.min(rest.len());
        if size < rest.len() {
            rest.select_nth_unstable_by(size - 1, Candidate::order);
        }
        rest[..size].sort_unstable_by(Candidate::order);
        for (at, candidate) in rest[..size].iter().enumerate() {
            sum += f64::from(candidate.weight);
            if sum >= enough {
                return candidates.truncate(sorted + at + 1);
            }
        }
        sorted += size;
        group *= GROUP_GROWTH;
    }
}

fn total(candidates: &[Candidate]) -> f64 {
    candidates.iter().map(|candidate| f64::from(candidate.weight)).sum()
}

/// The token at share `unit` of the weights, laid end to end in their present order.
fn walk(candidates: &[Candidate], unit: f64) -> u32 {
    let target = unit * total(candidates);
    let mut sum = 0.0;
    let mut last = 0;
    for candidate in candidates.iter().filter(|candidate| candidate.weight > 0.0) {
        sum += f64::from(candidate.weight);
        last = candidate.token;
        if target < sum {
            break;
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The same rules by sorting everything first: slow and plain.
    fn oracle(logits: &[f32], sampling: &Sampling, unit: f64) -> (Vec<u32>, u32) {
        let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let x = |token: u32| (logits[token as usize] - max) / sampling.temperature;
        let weight = |token: u32| f64::from(libm::expf(x(token)));
        let mut kept: Vec<u32> = (0..logits.len() as u32).filter(|t| x(*t) > f32::NEG_INFINITY).collect();
        if sampling.min_p > 0.0 {
            kept.retain(|token| x(*token) >= libm::logf(sampling.min_p));
        }
        let sort = |kept: &mut Vec<u32>| kept.sort_by(|a, b| x(*b).total_cmp(&x(*a)).then(a.cmp(b)));
        if sampling.top_k > 0 && (sampling.top_k as usize) < kept.len() {
            sort(&mut kept);
            kept.truncate(sampling.top_k as usize);
        }
        if sampling.top_p < 1.0 {
            let enough = kept.iter().map(|t| weight(*t)).sum::<f64>() * f64::from(sampling.top_p);
            sort(&mut kept);
            let mut sum = 0.0;
            let reached = kept.iter().position(|t| {
                sum += weight(*t);
                sum >= enough
            });
            kept.truncate(reached.map_or(kept.len(), |at| at + 1));
        }
        let target = unit * kept.iter().map(|t| weight(*t)).sum::<f64>();
        let mut sum = 0.0;
        let heavy: Vec<u32> = kept.iter().copied().filter(|t| weight(*t) > 0.0).collect();
        let at = heavy.iter().position(|t| {
            sum += weight(*t);
            target < sum
        });
        let token = at.map_or(*heavy.last().unwrap(), |at| heavy[at]);
        kept.sort_unstable();
        (kept, token)
    }

    fn logits() -> impl Strategy<Value = Vec<f32>> {
        let logit =
            prop_oneof![8 => -20f32..20.0, 2 => (-3i8..3).prop_map(f32::from), 1 => Just(f32::NEG_INFINITY)];
        (prop::collection::vec(logit, 0..600), -5f32..5.0).prop_map(|(mut logits, finite)| {
            logits.push(finite);
            logits
        })
    }

    fn sampling() -> impl Strategy<Value = Sampling> {
        let share = |off: f32| prop_oneof![Just(off), 0.001f32..1.0];
        (0.05f32..3.0, prop_oneof![Just(0u32), 1u32..700], share(1.0), share(0.0)).prop_map(
            |(temperature, top_k, top_p, min_p)| Sampling {
                temperature,
                top_k,
                top_p,
                min_p,
                ..Sampling::default()
            },
        )
    }

    proptest! {
        #[test]
        fn draws_what_the_oracle_draws(logits in logits(), sampling in sampling(), unit in 0f64..1.0) {
            let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let mut candidates = Vec::new();
            let token = draw(&logits, max, &sampling, unit, &mut candidates);
            let mut kept: Vec<u32> = candidates.iter().map(|c| c.token).collect();
            kept.sort_unstable();
            prop_assert_eq!((kept, token), oracle(&logits, &sampling, unit));
        }
    }

    #[test]
    fn shares_follow_the_softmax() {
        let logits = [0.0, (2f32).ln(), f32::NEG_INFINITY, (5f32).ln()];
        let mut counts = [0; 4];
        for step in 0..8000 {
            let unit = (f64::from(step) + 0.5) / 8000.0;
            counts[draw(&logits, (5f32).ln(), &Sampling::default(), unit, &mut Vec::new()) as usize] += 1;
        }
        assert_eq!(counts, [1000, 2000, 0, 5000]);
    }
}
