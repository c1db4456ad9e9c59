//! What a request may ask of sampling, and which values mean something.

use crate::Error;

/// Most entries in a logit bias (the limit that OpenAI's interface has).
pub(crate) const LOGIT_BIAS_MAX: usize = 1024;

/// How the next token is chosen. The default samples from the model's own distribution.
#[derive(Debug, Clone, PartialEq)]
pub struct Sampling {
    /// Divides the logits; 0 takes the likeliest token always.
    pub temperature: f32,
    /// Keeps the `top_k` likeliest tokens; 0 keeps all.
    pub top_k: u32,
    /// Keeps the fewest likeliest tokens that together have this probability; 1 keeps all.
    pub top_p: f32,
    /// Keeps tokens at least this share as likely as the likeliest; 0 keeps all.
    pub min_p: f32,
    /// Divides positive logits, and multiplies negative ones, of tokens in the prompt or the output; 1 does
    /// nothing.
    pub repetition_penalty: f32,
    /// Subtracted from the logit of tokens in the output; 0 does nothing.
    pub presence_penalty: f32,
    /// Subtracted for each time that a token is in the output; 0 does nothing.
    pub frequency_penalty: f32,
    /// Seed of the draws.
    pub seed: u64,
    /// Added to single tokens' logits, in logit units; minus infinity bans a token.
    pub logit_bias: Vec<(u32, f32)>,
}

impl Default for Sampling {
    fn default() -> Self {
        Self {
            temperature: 1.0,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.0,
            repetition_penalty: 1.0,
            presence_penalty: 0.0,
            frequency_penalty: 0.0,
            seed: 0,
            logit_bias: Vec::new(),
        }
    }
}

impl Sampling {
    /// Whether the next choice depends on the tokens before it.
    pub(crate) fn penalizes(&self) -> bool {
        self.repetition_penalty != 1.0 || self.presence_penalty != 0.0 || self.frequency_penalty != 0.0
    }

    /// Refuses values that mean nothing, for a vocabulary of `vocab` tokens.
    pub(crate) fn validate(&self, vocab: usize) -> Result<(), Error> {
        let check = |holds: bool, field, reason: &str| {
            if holds { Ok(()) } else { Err(Error::invalid(field, reason)) }
        };
        let share = |value: f32| (0.0..=1.0).contains(&value);
        check(
            self.temperature.is_finite() && self.temperature >= 0.0,
            "temperature",
            "must be a number from 0 up",
        )?;
        check(share(self.top_p) && self.top_p > 0.0, "top_p", "must be above 0 and at most 1")?;
        check(share(self.min_p), "min_p", "must be from 0 to 1")?;
        check(
            self.repetition_penalty.is_finite() && self.repetition_penalty > 0.0,
            "repetition_penalty",
            "must be a number above 0",
        )?;
        check(self.presence_penalty.is_finite(), "presence_penalty", "must be a number")?;
        check(self.frequency_penalty.is_finite(), "frequency_penalty", "must be a number")?;
        check(self.logit_bias.len() <= LOGIT_BIAS_MAX, "logit_bias", "has more than 1024 entries")?;
        let known = |&(token, bias): &(u32, f32)| (token as usize) < vocab && bias < f32::INFINITY;
        check(
            self.logit_bias.iter().all(known),
            "logit_bias",
            "names a token outside the vocabulary, or is not a number",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_valid_and_each_bad_value_names_its_field() {
        assert!(Sampling::default().validate(10).is_ok());
        let bad = [
            ("temperature", Sampling { temperature: -0.1, ..Sampling::default() }),
            ("temperature", Sampling { temperature: f32::NAN, ..Sampling::default() }),
            ("top_p", Sampling { top_p: 0.0, ..Sampling::default() }),
            ("top_p", Sampling { top_p: 1.5, ..Sampling::default() }),
            ("min_p", Sampling { min_p: f32::NAN, ..Sampling::default() }),
            ("repetition_penalty", Sampling { repetition_penalty: 0.0, ..Sampling::default() }),
            ("presence_penalty", Sampling { presence_penalty: f32::INFINITY, ..Sampling::default() }),
            ("frequency_penalty", Sampling { frequency_penalty: f32::NAN, ..Sampling::default() }),
            ("logit_bias", Sampling { logit_bias: vec![(10, 0.0)], ..Sampling::default() }),
            ("logit_bias", Sampling { logit_bias: vec![(1, f32::NAN)], ..Sampling::default() }),
        ];
        for (field, sampling) in bad {
            let error = sampling.validate(10).unwrap_err();
            assert!(
                matches!(error, Error::Invalid { field: named, .. } if named == field),
                "{field}: {error}"
            );
        }
    }
}
