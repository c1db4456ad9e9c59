//! Where an answer goes: the caller's [`Sink`], called on the step thread.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use crate::{Error, sampling::TokenLogprobs};

/// What a job has used, in tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// The prompt.
    pub prompt: usize,
    /// Prompt tokens that were not computed again, since an idle slot still held them.
    pub cached: usize,
    /// The output so far: forced tokens and every token handed to [`Sink::tokens`], the end token included.
    pub output: usize,
}

/// Some new output.
#[derive(Debug, Clone, PartialEq)]
pub struct Delta {
    /// Index, in the output, of the first of `tokens`; forced tokens come before it.
    pub first_index: usize,
    /// New tokens, end tokens included.
    pub tokens: Vec<u32>,
    /// Text that they released: whole characters, without special tokens and stop sequences. Often less or
    /// more than these tokens' own, since what may become a stop sequence or a character waits. The deltas'
    /// texts, joined, are the output's.
    pub text: String,
    /// One entry for each of `tokens`, when they were asked for.
    pub logprobs: Vec<TokenLogprobs>,
}

/// Why an output ended.
#[derive(Debug, Clone)]
pub enum Finish {
    /// The model ended its text, or a stop sequence did.
    Stop,
    /// `max_tokens` or the context is full.
    Length,
    /// The caller cancelled.
    Cancelled,
    /// It failed; what came before stands.
    Error(Error),
}

/// The end of a job.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Why it ended.
    pub finish: Finish,
    /// What it used.
    pub usage: Usage,
    /// The whole output's text, forced tokens included.
    pub text: String,
}

/// Receives one job's output, on the step thread: whatever it does delays every job of the model, so it
/// should hand on and return. A panic in it stops the engine.
pub trait Sink {
    /// The job has a slot; `usage` has prompt and cached tokens. Called at most once, first.
    fn prompt_ready(&mut self, usage: Usage);
    /// New output.
    fn tokens(&mut self, delta: Delta);
    /// The end, exactly once, last.
    fn done(self: Box<Self>, outcome: Outcome);
}

/// Cancels work that it was handed to; clones cancel the same work.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Takes effect before the next step begins. Cancelling what has ended does nothing.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it was cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
