//! What a caller asks: a prompt, and how to go on from it.

use serde::Serialize;

use crate::{
    Error,
    sampling::{LOGPROBS_MAX, Sampling},
    text,
};

/// One turn of a conversation, as the chat template sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Message {
    /// `system`, `user`, `assistant`, or whatever else the model's template knows.
    pub role: String,
    /// What was said.
    pub content: String,
}

/// What the model is to continue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Prompt {
    /// A conversation, written out by the model's own chat template.
    Messages(Vec<Message>),
    /// Plain text.
    Text(String),
    /// Tokens as they are.
    Tokens(Vec<u32>),
}

/// One text to write.
#[derive(Debug, Clone, PartialEq)]
pub struct Generate {
    /// What to continue.
    pub prompt: Prompt,
    /// Output tokens that an earlier attempt has published. The run goes on after them as if it had produced
    /// them itself: they count as output, against `max_tokens` and in penalties, and the text goes on where
    /// theirs ended.
    pub forced: Vec<u32>,
    /// Most output tokens, forced ones included; without it as many as the context holds.
    pub max_tokens: Option<u32>,
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// Sequences of text that end the output; they are not part of it.
    pub stop: Vec<String>,
    /// Log-probabilities of every output token, with this many alternatives (at most [`LOGPROBS_MAX`];
    /// `Some(0)`: of the chosen token only).
    pub logprobs: Option<u8>,
}

impl Generate {
    /// A request with defaults for everything but the prompt.
    pub fn new(prompt: Prompt) -> Self {
        Self {
            prompt,
            forced: Vec::new(),
            max_tokens: None,
            sampling: Sampling::default(),
            stop: Vec::new(),
            logprobs: None,
        }
    }

    /// Refuses values that mean nothing for a model of `vocab` tokens.
    pub(super) fn validate(&self, vocab: usize) -> Result<(), Error> {
        self.sampling.validate(vocab)?;
        text::validate_stops(&self.stop)?;
        if self.max_tokens == Some(0) {
            return Err(Error::invalid("max_tokens", "must be at least 1"));
        }
        if self.logprobs.is_some_and(|top| top > LOGPROBS_MAX) {
            return Err(Error::invalid("logprobs", format!("at most {LOGPROBS_MAX} alternatives are given")));
        }
        let known = |token: &u32| (*token as usize) < vocab;
        if !self.forced.iter().all(known) {
            return Err(Error::invalid("forced", format!("holds a token outside the vocabulary of {vocab}")));
        }
        match &self.prompt {
            Prompt::Tokens(tokens) if !tokens.iter().all(known) => {
                Err(Error::invalid("prompt", format!("holds a token outside the vocabulary of {vocab}")))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bad_value_names_its_field() {
        let good = Generate::new(Prompt::Tokens(vec![1, 2]));
        assert!(good.validate(10).is_ok());
        let bad = [
            ("prompt", Generate { prompt: Prompt::Tokens(vec![10]), ..good.clone() }),
            ("forced", Generate { forced: vec![10], ..good.clone() }),
            ("max_tokens", Generate { max_tokens: Some(0), ..good.clone() }),
            ("logprobs", Generate { logprobs: Some(21), ..good.clone() }),
            ("stop", Generate { stop: vec![String::new()], ..good.clone() }),
        ];
        for (field, request) in bad {
            let error = request.validate(10).unwrap_err();
            assert!(
                matches!(error, Error::Invalid { field: named, .. } if named == field),
                "{field}: {error}"
            );
        }
    }
}
