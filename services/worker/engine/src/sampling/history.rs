//! Which tokens a sequence holds already, and what that costs them.
//!
//! As vLLM does it: the repetition penalty counts prompt and output, presence and frequency the output alone.

use std::collections::HashMap;

use super::Sampling;

/// Tokens seen so far. Empty, and kept empty, for requests without penalties.
#[derive(Debug, Default)]
pub(crate) struct History {
    /// Times that a token is in the output; 0 when only the prompt has it.
    seen: HashMap<u32, u32>,
    counts: bool,
}

impl History {
    /// What a sequence that starts with `prompt` has to remember.
    pub(crate) fn new(prompt: &[u32], sampling: &Sampling) -> Self {
        let counts = sampling.penalizes();
        let prompt = prompt.iter().filter(|_| counts && sampling.repetition_penalty != 1.0);
        Self { seen: prompt.map(|token| (*token, 0)).collect(), counts }
    }

    /// Counts one output token.
    pub(crate) fn push(&mut self, token: u32) {
        if self.counts {
            *self.seen.entry(token).or_default() += 1;
        }
    }

    /// Lowers the logits of tokens that were seen. Tokens outside the slice are left alone.
    pub(crate) fn penalize(&self, logits: &mut [f32], sampling: &Sampling) {
        for (&token, &times) in &self.seen {
            let Some(logit) = logits.get_mut(token as usize) else { continue };
            if *logit > 0.0 {
                *logit /= sampling.repetition_penalty;
            } else {
                *logit *= sampling.repetition_penalty;
            }
            if times > 0 {
                *logit -= sampling.frequency_penalty * times as f32 + sampling.presence_penalty;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn penalties_follow_their_definitions() {
        let sampling = Sampling {
            repetition_penalty: 2.0,
            presence_penalty: 0.25,
            frequency_penalty: 0.5,
            ..Sampling::default()
        };
        let mut history = History::new(&[0, 1, 99], &sampling);
        history.push(2);
        history.push(2);
        let mut logits = [4.0, -4.0, 4.0, 4.0];
        history.penalize(&mut logits, &sampling);
        assert_eq!(logits, [2.0, -8.0, 2.0 - 1.0 - 0.25, 4.0]);
    }

    #[test]
    fn without_penalties_nothing_is_remembered() {
        let mut history = History::new(&[0, 1], &Sampling::default());
        history.push(1);
        assert!(history.seen.is_empty());
    }
}
