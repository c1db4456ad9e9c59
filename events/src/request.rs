//! What the outside asks for, on `lowland.request.<account>.<job>.<event>`.
//!
//! `posted` is lenient in encoding (JSON or MessagePack) and strict in content: a field that it does not know is an
//! error, since the likeliest cause is a misspelling that the caller wants to hear of.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    event::domain_events,
    job::{Message, Problem},
    money::Money,
    subject::Domain,
};

domain_events!(Domain::Request, {
    "posted" v 1 Posted,
    "cancel_requested" v 1 CancelRequested,
    "topup_posted" v 1 TopupPosted,
    "rejected" v 1 Rejected,
});

/// A job is asked for. Exactly one of `messages`, `prompt` and `input` is given.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Posted {
    /// The model's id.
    pub model: String,
    /// A conversation to continue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub messages: Option<Vec<Message>>,
    /// A text to continue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// Texts to turn into vectors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<OneOrMany>,
    /// Most tokens to write; what the model's context leaves, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
    /// 0 always takes the likeliest token; default 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f32>,
    /// Sample from the likeliest tokens that together have this probability; default 1 (all).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f32>,
    /// Sample from this many likeliest tokens; 0 (default) for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_k: Option<u32>,
    /// Leave out tokens less likely than this share of the likeliest one; default 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_p: Option<f32>,
    /// Divide the logits of tokens seen before; default 1 (off).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repetition_penalty: Option<f32>,
    /// Subtracted once from the logits of tokens already written; default 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub presence_penalty: Option<f32>,
    /// Subtracted for each time a token was already written; default 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frequency_penalty: Option<f32>,
    /// Makes sampling repeatable; derived from the job's id if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Texts that end the output; they are not part of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop: Option<OneOrMany>,
    /// Give the log probability of each token and of this many likeliest alternatives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logprobs: Option<u8>,
    /// Regions where the job may run; anywhere, if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub regions: Vec<String>,
    /// Time allowed from posting to the end, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_ms: Option<u64>,
}

/// One text, or several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "a string or a list of strings")]
pub enum OneOrMany {
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
}

impl From<OneOrMany> for Vec<String> {
    fn from(texts: OneOrMany) -> Self {
        match texts {
            OneOrMany::One(text) => vec![text],
            OneOrMany::Many(texts) => texts,
        }
    }
}

/// The caller no longer wants the job.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CancelRequested {
    /// Why, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The operator adds money to an account. The aggregate's token is the top-up's id, which counts once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TopupPosted {
    /// How much, in micro-units; more than zero.
    pub amount: Money,
    /// The payment's own reference, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
}

/// A request that became nothing, where the job's own subject could not say so: its id names an earlier job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Rejected {
    /// What is wrong, where, and what would be right.
    pub problem: Problem,
    /// Sequence of the request in its stream.
    pub request_sequence: u64,
}
