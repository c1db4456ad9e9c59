//! What the worker asks of an inference engine: one narrow trait, so that the engine's inside may be replaced.
//!
//! [`onnx`] is the real one; [`echo`] is a small one for tests and benchmarks of everything around an engine.

pub mod echo;
pub mod onnx;

use lowland_events::{
    id::ModelId,
    instance::Ability,
    job::{Finish, Message, Problem, Sampling},
};

/// What an engine's model is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    /// The model, as callers name it.
    pub id: ModelId,
    /// What it can do.
    pub ability: Ability,
    /// Jobs at once.
    pub slots: u32,
    /// Longest sequence, prompt and output together, in tokens.
    pub context_tokens: u32,
    /// Execution provider (`cpu`, `cuda:0`).
    pub provider: String,
}

/// What an engine is to do for a job.
#[derive(Debug, Clone, PartialEq)]
pub enum Work {
    /// Write text.
    Generate(Generate),
    /// Turn texts into vectors.
    Embed(Vec<String>),
}

/// A text to write.
#[derive(Debug, Clone, PartialEq)]
pub struct Generate {
    /// What to continue.
    pub prompt: Prompt,
    /// Output that earlier attempts have published: it counts as written, and what comes goes on after it.
    pub forced: Vec<u32>,
    /// How tokens are chosen, and what ends the output.
    pub sampling: Sampling,
}

/// What is to be continued.
#[derive(Debug, Clone, PartialEq)]
pub enum Prompt {
    /// A conversation.
    Messages(Vec<Message>),
    /// A text.
    Text(String),
}

/// What an engine reports of a job, in this order: the prompt once, output, the end once.
#[derive(Debug, Clone, PartialEq)]
pub enum Progress {
    /// The prompt is being read: its tokens that are computed, and those whose computation is reused.
    Prompt {
        /// Tokens that are computed.
        input: u64,
        /// Tokens whose computation is reused.
        cached: u64,
    },
    /// More output.
    Output(Delta),
    /// The end.
    Done(Result<Outcome, Failure>),
}

/// More output.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Delta {
    /// The new tokens.
    pub tokens: Vec<u32>,
    /// The text that they released.
    pub text: String,
    /// One for each of the tokens, if they were asked for.
    pub logprobs: Vec<Logprob>,
}

/// A token's log probability; the texts of tokens are asked for by [`Engine::token_text`].
#[derive(Debug, Clone, PartialEq)]
pub struct Logprob {
    /// The token.
    pub token: u32,
    /// Its log probability.
    pub logprob: f32,
    /// The likeliest alternatives, likeliest first.
    pub top: Vec<(u32, f32)>,
}

/// How a job ended well.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The text is written.
    Text {
        /// Why it ended.
        finish: Finish,
        /// All of it, that of forced tokens included.
        text: String,
    },
    /// The vectors are made.
    Vectors {
        /// One a text, in their order.
        vectors: Vec<Vec<f32>>,
        /// Tokens that were turned into vectors.
        tokens: u64,
    },
}

/// Why a job came to nothing here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What is wrong.
    pub problem: Problem,
    /// Whether another worker, or this one later, could succeed.
    pub retry: bool,
}

/// Told of a job's progress on a thread of the engine's: hands on and returns.
pub type Sink = Box<dyn FnMut(Progress) + Send>;

/// A loaded model.
pub trait Engine: Send + Sync + 'static {
    /// What is loaded.
    fn model(&self) -> &Model;

    /// Takes a job on. What is wrong with the request is found at once; everything else the sink is told. May take as
    /// long as it takes to tokenize the prompt, but does not wait for the job.
    fn start(&self, work: Work, sink: Sink) -> Result<Box<dyn Cancel>, Failure>;

    /// Whether [`Self::start`] returns at once, without work worth a thread of its own.
    fn starts_at_once(&self) -> bool {
        false
    }

    /// Whether it can still take jobs.
    fn is_alive(&self) -> bool;

    /// The text of one token, for people; bytes that are no text by themselves are replaced.
    fn token_text(&self, token: u32) -> String;
}

/// A job that an engine has taken on.
pub trait Cancel: Send {
    /// Ends the job before its next step; what it reports after that means nothing. Cancelling what has ended does
    /// nothing.
    fn cancel(&self);
}
