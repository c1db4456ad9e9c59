//! A job's life, on `lowland.job.<account>.<job>.<event>`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::{
    event::domain_events,
    id::{InstanceId, ModelId, RegionId, WorkerId},
    meter::Usage,
    money::Money,
    subject::Domain,
    time::Time,
};

domain_events!(Domain::Job, {
    "submitted" v 1 Submitted,
    "rejected" v 1 Rejected,
    "held" v 1 Held,
    "assigned" v 1 Assigned,
    "started" v 1 Started,
    "attempt_failed" v 1 AttemptFailed,
    "cancel_requested" v 1 CancelRequested,
    "completed" v 1 Completed,
    "failed" v 1 Failed,
    "cancelled" v 1 Cancelled,
    "expired" v 1 Expired,
});

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Task {
    /// Continue a conversation.
    Chat {
        /// The conversation so far.
        messages: Vec<Message>,
    },
    /// Continue a text.
    Completion {
        /// The text.
        prompt: String,
    },
    /// Turn texts into vectors.
    Embedding {
        /// The texts.
        input: Vec<String>,
    },
}

impl Task {
    /// Bytes of its texts.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let bytes = match self {
            Self::Chat { messages } => messages.iter().map(|m| m.role.len() + m.content.len()).sum(),
            Self::Completion { prompt } => prompt.len(),
            Self::Embedding { input } => input.iter().map(String::len).sum::<usize>(),
        };
        bytes as u64
    }
}

/// One turn of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Message {
    /// Who speaks: `system`, `user`, `assistant`, or what the model's template knows.
    pub role: String,
    /// What is said.
    pub content: String,
}

/// How tokens are chosen; every field has its value, so that a replay needs no defaults.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Sampling {
    /// Most tokens to write; what the model's context leaves, if absent.
    pub max_tokens: Option<u32>,
    /// 0 always takes the likeliest token.
    pub temperature: f32,
    /// Sample from the likeliest tokens that together have this probability; 1 for all.
    pub top_p: f32,
    /// Sample from this many likeliest tokens; 0 for all.
    pub top_k: u32,
    /// Leave out tokens less likely than this share of the likeliest one.
    pub min_p: f32,
    /// Divides the logits of tokens seen before; 1 is off.
    pub repetition_penalty: f32,
    /// Subtracted once from the logits of tokens already written.
    pub presence_penalty: f32,
    /// Subtracted for each time a token was already written.
    pub frequency_penalty: f32,
    /// Makes sampling repeatable.
    pub seed: u64,
    /// Texts that end the output; they are not part of it.
    pub stop: Vec<String>,
    /// Give the log probability of each token and of this many likeliest alternatives.
    pub logprobs: Option<u8>,
}

/// Something is wrong with what was asked: what, where, and what would be right.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// A stable word for programs (`unknown_model`).
    pub code: ProblemCode,
    /// For people: what is wrong and what would be right.
    pub message: String,
    /// Path of the field, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
}

/// Kinds of problems, for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProblemCode {
    /// The body is not JSON or MessagePack, or a field is missing, unknown, of the wrong type or out of range.
    InvalidRequest,
    /// No worker offers the model, nor ever did.
    UnknownModel,
    /// The model cannot do what is asked (an embedding from a text model).
    WrongTask,
    /// The request is larger than allowed.
    TooLong,
    /// The prompt does not fit the model's context.
    ContextLengthExceeded,
    /// The id already names a job.
    IdUsed,
    /// The account's balance does not cover the most that the job could cost.
    InsufficientFunds,
    /// The price book has no price for the model.
    NoPrice,
    /// No worker may run the job: none of the allowed regions has one.
    NoPlace,
    /// The account has too many jobs waiting.
    TooManyJobs,
    /// The worker fell silent or died.
    WorkerLost,
    /// The worker stopped in an orderly way.
    WorkerStopped,
    /// The worker failed in itself.
    WorkerFailed,
    /// The retry budget is spent.
    RetriesExhausted,
}

impl ProblemCode {
    /// The code as programs see it: in events and in figures.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::UnknownModel => "unknown_model",
            Self::WrongTask => "wrong_task",
            Self::TooLong => "too_long",
            Self::ContextLengthExceeded => "context_length_exceeded",
            Self::IdUsed => "id_used",
            Self::InsufficientFunds => "insufficient_funds",
            Self::NoPrice => "no_price",
            Self::NoPlace => "no_place",
            Self::TooManyJobs => "too_many_jobs",
            Self::WorkerLost => "worker_lost",
            Self::WorkerStopped => "worker_stopped",
            Self::WorkerFailed => "worker_failed",
            Self::RetriesExhausted => "retries_exhausted",
        }
    }
}

/// Accepted: the job exists.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Submitted {
    /// The model.
    pub model: ModelId,
    /// What is to be done.
    pub task: Task,
    /// How tokens are chosen; absent for embeddings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sampling: Option<Sampling>,
    /// Regions where the job may run; anywhere, if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub regions: Vec<RegionId>,
    /// When it is no longer wanted.
    pub deadline: Time,
    /// The most that the job can use: what the hold covers.
    pub bounds: Usage,
    /// Sequence of the request in its stream.
    pub request_sequence: u64,
}

/// Refused before anything ran. Ends the job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Rejected {
    /// What is wrong, where, and what would be right.
    pub problem: Problem,
}

/// The most that the job could cost is set aside. Earlier builds wrote it beside the account's `hold_placed`, which by itself
/// says so now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Held {
    /// How much, in micro-units.
    pub amount: Money,
    /// Version of the price book that the job is charged by.
    pub price_version: String,
}

/// Given to a worker under a lease. Addressed to the worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Assigned {
    /// The worker.
    pub worker: WorkerId,
    /// The process and model that the lease is for; another process of the same worker ignores it.
    pub instance: InstanceId,
    /// The fence: counts up with each assignment of the job, from 1.
    pub attempt: u32,
    /// Silence of the worker that ends the lease, in milliseconds.
    pub lease_ms: u64,
    /// What is to be done, so that a worker needs no other event.
    pub job: Submitted,
    /// Version of the price book that the job is charged by.
    pub price_version: String,
    /// Which instances were considered, and what spoke for and against each.
    pub considered: Vec<Candidate>,
    /// Instances considered beyond those listed.
    #[serde(default)]
    pub considered_more: u32,
    /// Positions of the streams that the decision was taken on.
    pub decided_on: Vec<Position>,
}

/// A place in a stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Position {
    /// The stream.
    pub stream: String,
    /// Sequence of the last message that was taken into account.
    pub sequence: u64,
}

/// An instance that was considered for a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Candidate {
    /// The instance.
    pub instance: InstanceId,
    /// Its worker.
    pub worker: WorkerId,
    /// Its region.
    pub region: RegionId,
    /// Jobs that it could have taken.
    pub free_slots: u32,
    /// What it asks for a million tokens, in micro-units.
    pub ask: Money,
    /// What became of it.
    pub verdict: Verdict,
}

/// What became of a candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Taken.
    Chosen,
    /// Could have been taken; another was better.
    Eligible,
    /// Its region is not among those allowed.
    RegionNotAllowed,
    /// Every slot is taken.
    NoFreeSlot,
    /// It has not been heard of for too long.
    Silent,
    /// An earlier attempt of this job failed there.
    FailedBefore,
}

/// The worker has begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Started {
    /// The process and model.
    pub instance: InstanceId,
    /// The fence.
    pub attempt: u32,
    /// Tokens of earlier attempts that it continues from.
    pub resumed_tokens: u32,
}

/// The attempt came to nothing; what it published stays published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AttemptFailed {
    /// The process and model.
    pub instance: InstanceId,
    /// The fence.
    pub attempt: u32,
    /// Why.
    pub problem: Problem,
    /// Whether another attempt could succeed.
    pub retry: bool,
}

/// Reason of a cancel request that the deadline brings: the worker answers it with `expired`, any other with
/// `cancelled`.
pub const DEADLINE_REASON: &str = "deadline";

/// The caller no longer wants the job while a worker has it. Addressed to the worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CancelRequested {
    /// The process and model.
    pub instance: InstanceId,
    /// The fence.
    pub attempt: u32,
    /// Why, for people.
    pub reason: String,
}

/// Why the output ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Finish {
    /// The model ended, or a stop text came.
    Stop,
    /// `max_tokens` or the context is used up.
    Length,
}

/// What was made.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Output {
    /// The whole text.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// The whole text's tokens.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tokens: Vec<u32>,
    /// Log probabilities a token, if they were asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub logprobs: Vec<TokenLogprob>,
    /// One vector a text: 32-bit floats, little-endian.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<Vec<u8>>")]
    pub vectors: Vec<ByteBuf>,
}

/// A token's log probability (natural logarithm, before temperature and filters) and its likeliest alternatives.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TokenLogprob {
    /// The token.
    pub token: u32,
    /// Its text; bytes that are not UTF-8 by themselves are replaced.
    pub text: String,
    /// Its log probability.
    pub logprob: f32,
    /// The likeliest alternatives, likeliest first: token, text, log probability.
    pub top: Vec<(u32, String, f32)>,
}

/// Done. Ends the job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Completed {
    /// The process and model.
    pub instance: InstanceId,
    /// The fence.
    pub attempt: u32,
    /// Why the output ended.
    pub finish: Finish,
    /// What was made, whole.
    pub output: Output,
    /// What was used.
    pub usage: Usage,
}

/// Given up. Ends the job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Failed {
    /// Why.
    pub problem: Problem,
    /// Attempts made.
    pub attempts: u32,
    /// What was delivered before.
    pub usage: Usage,
}

/// Ended at the caller's wish. Ends the job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Cancelled {
    /// Why, for people.
    pub reason: String,
    /// What was delivered before.
    pub usage: Usage,
}

/// The deadline passed. Ends the job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Expired {
    /// The deadline.
    pub deadline: Time,
    /// What was delivered before.
    pub usage: Usage,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_told_as_it_is_stored() {
        let code = |name: &str| serde_json::from_str::<ProblemCode>(&format!("{name:?}")).unwrap();
        let schema = serde_json::to_value(schemars::schema_for!(ProblemCode)).unwrap();
        let names: Vec<_> =
            schema["oneOf"].as_array().unwrap().iter().map(|one| one["const"].as_str().unwrap()).collect();
        assert_eq!(names.len(), 14);
        names.iter().for_each(|name| assert_eq!(code(name).as_str(), *name));
    }
}
