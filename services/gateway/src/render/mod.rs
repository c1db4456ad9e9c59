//! From what became of a job to OpenAI's JSON. Pure.

mod completion;
mod embedding;
mod logprobs;
mod stream;

pub use completion::whole;
pub use embedding::vectors;
pub use stream::Chunks;

use lowland_events::{
    Time,
    id::JobId,
    job::Finish,
    meter::{Meter, Usage},
};
use serde_json::{Value, json};

use crate::translate::TextForm;

/// What every answer says about its job.
#[derive(Debug, Clone, PartialEq)]
pub struct Head {
    /// The job.
    pub job: JobId,
    /// The shape of the answer.
    pub form: TextForm,
    /// The model that was asked for.
    pub model: String,
    /// When the job was accepted.
    pub created: Time,
}

impl Head {
    /// The answer's id: OpenAI's prefix and the job.
    #[must_use]
    pub fn id(&self) -> String {
        match self.form {
            TextForm::Chat => format!("chatcmpl-{}", self.job),
            TextForm::Completion => format!("cmpl-{}", self.job),
        }
    }

    /// The answer's first fields.
    fn fields(&self, object: &str) -> Value {
        json!({
            "id": self.id(),
            "object": object,
            "created": seconds(self.created),
            "model": self.model,
        })
    }
}

/// Whole seconds since the Unix epoch, as OpenAI writes times.
pub(crate) fn seconds(time: Time) -> i64 {
    time.0.div_euclid(1_000_000)
}

/// OpenAI's word for why the output ended.
pub(crate) fn finish_reason(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop => "stop",
        Finish::Length => "length",
    }
}

/// OpenAI's usage object of a text.
#[must_use]
pub fn usage(usage: &Usage) -> Value {
    json!({
        "prompt_tokens": usage.prompt_tokens(),
        "completion_tokens": usage.output_tokens(),
        "total_tokens": usage.prompt_tokens() + usage.output_tokens(),
        "prompt_tokens_details": {"cached_tokens": usage.quantity(Meter::CachedTokens)},
    })
}
