//! Tokens as they are written, on `lowland.token.<account>.<job>.<attempt>`.
//!
//! Every append expects the job's last token sequence, so a worker whose lease has passed on cannot add to the text: a
//! reader that follows the stream in order sees one coherent text, whatever became of the attempts.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{event::domain_events, job::TokenLogprob, meter::Usage, subject::Domain};

/// The one event of this domain; its subject's fifth token is the attempt.
pub const PUBLISHED: &str = "published";

domain_events!(Domain::Token, {
    "published" v 1 Published,
});

/// Some tokens of a job's output.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Published {
    /// The fence of the attempt that wrote them.
    pub attempt: u32,
    /// Place of the first of them in the whole output, from 0.
    pub first: u32,
    /// The tokens; may be empty, when an attempt takes the text over.
    pub tokens: Vec<u32>,
    /// Their text: pieces put together are the whole text.
    pub text: String,
    /// Log probabilities, if they were asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub logprobs: Vec<TokenLogprob>,
    /// What the job used so far, over all attempts.
    pub usage: Usage,
}
