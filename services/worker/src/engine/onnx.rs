//! The real engine: `lowland-engine` behind this crate's trait, and its errors in the words that callers know.

use std::{path::Path, sync::Arc};

use lowland_engine as engine;
use lowland_engine::manifest::Task;
use lowland_events::{
    id::ModelId,
    instance::Ability,
    job::{self, Problem, ProblemCode},
};

use super::{
    Cancel, Delta, Engine, Failure, Generate, Logprob, Model, Outcome, Progress, Prompt, Sink, Work,
};

/// A model that ONNX Runtime runs.
pub struct OnnxEngine {
    inner: Arc<engine::Engine>,
    model: Model,
}

impl OnnxEngine {
    /// Loads the model in `folder`; takes seconds.
    ///
    /// # Errors
    /// What is wrong with the library, the provider or the folder, for people.
    pub fn load(folder: &Path, config: &engine::Config) -> Result<Self, String> {
        let inner = engine::Engine::load(folder, config).map_err(|error| error.to_string())?;
        let manifest = inner.manifest();
        let model = Model {
            id: ModelId::new(&manifest.id).map_err(|error| error.to_string())?,
            ability: match manifest.task {
                Task::Generate(_) => Ability::Generate,
                Task::Embed(_) => Ability::Embed,
            },
            slots: u32::try_from(inner.slots()).unwrap_or(u32::MAX),
            context_tokens: u32::try_from(manifest.context_tokens).unwrap_or(u32::MAX),
            provider: config.provider.to_string(),
        };
        Ok(Self { inner: Arc::new(inner), model })
    }

    fn embed(&self, input: Vec<String>, mut sink: Sink) -> Result<Box<dyn Cancel>, Failure> {
        if self.model.ability != Ability::Embed {
            return Err(failure(&engine::Error::Task {
                model: self.model.id.to_string(),
                asked: "turn text into vectors",
                does: "writes text",
            }));
        }
        let cancel = engine::Cancel::default();
        let (inner, cancelled) = (Arc::clone(&self.inner), cancel.clone());
        let run = move || {
            let input: Vec<_> = input.into_iter().map(engine::EmbedInput::Text).collect();
            sink(Progress::Done(
                inner.embed(&input, &cancelled).map_err(|error| failure(&error)).map(vectors),
            ));
        };
        let thread = std::thread::Builder::new().name(format!("embed {}", self.model.id));
        thread.spawn(run).map_err(|error| internal(format!("no thread to embed on: {error}")))?;
        Ok(Box::new(cancel))
    }
}

impl Engine for OnnxEngine {
    fn model(&self) -> &Model {
        &self.model
    }

    fn start(&self, work: Work, sink: Sink) -> Result<Box<dyn Cancel>, Failure> {
        match work {
            Work::Generate(generate) => {
                let field = prompt_field(&generate.prompt);
                let cancel = self.inner.generate(request(generate), Box::new(Told(sink)));
                Ok(Box::new(cancel.map_err(|error| in_field(failure(&error), field))?))
            }
            Work::Embed(input) => self.embed(input, sink),
        }
    }

    fn is_alive(&self) -> bool {
        self.inner.is_alive()
    }

    fn token_text(&self, token: u32) -> String {
        self.inner.text(&[token]).unwrap_or_default()
    }
}

impl Cancel for engine::Cancel {
    fn cancel(&self) {
        engine::Cancel::cancel(self);
    }
}

/// The sink that the engine calls.
struct Told(Sink);

impl engine::Sink for Told {
    fn prompt_ready(&mut self, usage: engine::Usage) {
        let cached = usage.cached as u64;
        (self.0)(Progress::Prompt { input: usage.prompt as u64 - cached, cached });
    }

    fn tokens(&mut self, delta: engine::Delta) {
        let logprob =
            |of: engine::TokenLogprobs| Logprob { token: of.token, logprob: of.logprob, top: of.top };
        let logprobs = delta.logprobs.into_iter().map(logprob).collect();
        (self.0)(Progress::Output(Delta { tokens: delta.tokens, text: delta.text, logprobs }));
    }

    fn done(mut self: Box<Self>, outcome: engine::Outcome) {
        let text = |finish| Ok(Outcome::Text { finish, text: outcome.text.clone() });
        (self.0)(Progress::Done(match &outcome.finish {
            engine::Finish::Stop => text(job::Finish::Stop),
            engine::Finish::Length => text(job::Finish::Length),
            engine::Finish::Cancelled => Err(failure(&engine::Error::Cancelled)),
            engine::Finish::Error(error) => Err(failure(error)),
        }));
    }
}

fn vectors(made: engine::Embeddings) -> Outcome {
    Outcome::Vectors { vectors: made.vectors, tokens: made.prompt_tokens as u64 }
}

fn request(generate: Generate) -> engine::Generate {
    let Generate { prompt, forced, sampling } = generate;
    let message = |of: job::Message| engine::Message { role: of.role, content: of.content };
    engine::Generate {
        prompt: match prompt {
            Prompt::Messages(messages) => {
                engine::Prompt::Messages(messages.into_iter().map(message).collect())
            }
            Prompt::Text(text) => engine::Prompt::Text(text),
        },
        forced,
        max_tokens: sampling.max_tokens,
        sampling: engine::Sampling {
            temperature: sampling.temperature,
            top_k: sampling.top_k,
            top_p: sampling.top_p,
            min_p: sampling.min_p,
            repetition_penalty: sampling.repetition_penalty,
            presence_penalty: sampling.presence_penalty,
            frequency_penalty: sampling.frequency_penalty,
            seed: sampling.seed,
            logit_bias: Vec::new(),
        },
        stop: sampling.stop,
        logprobs: sampling.logprobs,
    }
}

/// The engine's error in the words of the contract: whose fault it is, and whether to try again.
fn failure(error: &engine::Error) -> Failure {
    use engine::Error as E;
    let asker = |code, field: Option<String>| Failure {
        problem: Problem { code, message: error.to_string(), field },
        retry: false,
    };
    match error {
        E::PromptTooLong { .. } => asker(ProblemCode::ContextLengthExceeded, Some("prompt".to_owned())),
        E::InputTooLong { index, .. } => {
            asker(ProblemCode::ContextLengthExceeded, Some(format!("input[{index}]")))
        }
        E::Invalid { field, .. } => asker(ProblemCode::InvalidRequest, Some((*field).to_owned())),
        E::Task { .. } => asker(ProblemCode::WrongTask, None),
        _ => internal(error.to_string()),
    }
}

/// What the caller calls the prompt.
fn prompt_field(prompt: &Prompt) -> &'static str {
    match prompt {
        Prompt::Messages(_) => "messages",
        Prompt::Text(_) => "prompt",
    }
}

/// The failure with the prompt called as the caller calls it: the engine knows one name only.
fn in_field(mut failure: Failure, field: &str) -> Failure {
    if failure.problem.field.as_deref() == Some("prompt") {
        failure.problem.field = Some(field.to_owned());
    }
    failure
}

fn internal(message: String) -> Failure {
    Failure { problem: Problem { code: ProblemCode::WorkerFailed, message, field: None }, retry: true }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_asker_s_faults_are_not_tried_again() {
        let long = failure(&engine::Error::PromptTooLong { prompt: 3000, context: 2048 });
        assert_eq!((long.problem.code, long.retry), (ProblemCode::ContextLengthExceeded, false));
        assert!(long.problem.message.contains("3000") && long.problem.message.contains("2048"), "{long:?}");
        let input = failure(&engine::Error::InputTooLong { index: 2, tokens: 600, limit: 256 });
        assert_eq!(input.problem.field.as_deref(), Some("input[2]"));
        let invalid = failure(&engine::Error::Invalid { field: "top_p", reason: "must be above 0".into() });
        assert_eq!((invalid.problem.code, invalid.retry), (ProblemCode::InvalidRequest, false));
        assert_eq!(in_field(invalid, "messages").problem.field.as_deref(), Some("top_p"));
        let role = engine::Error::Invalid { field: "prompt", reason: "roles must alternate".into() };
        assert_eq!(in_field(failure(&role), "messages").problem.field.as_deref(), Some("messages"));
    }

    #[test]
    fn the_engine_s_faults_are() {
        for error in [
            engine::Error::Runtime("x".into()),
            engine::Error::NotFinite { index: 1 },
            engine::Error::Busy { slots: 1, queued: 1 },
            engine::Error::Stopped("x".into()),
        ] {
            let failure = failure(&error);
            assert_eq!((failure.problem.code, failure.retry), (ProblemCode::WorkerFailed, true));
        }
    }
}
