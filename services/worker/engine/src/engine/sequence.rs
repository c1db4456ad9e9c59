//! One job while it runs: its tokens, its text so far, and what decides the next token. It knows nothing of
//! sessions.
//!
//! However a job goes away, its sink hears of it: one that is dropped unfinished ends with
//! [`Error::Stopped`].

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{
    request::Generate,
    sink::{Cancel, Delta, Finish, Outcome, Sink, Usage},
    ticket::Ticket,
};
use crate::{
    Error,
    sampling::{self, History, Sampling, Scratch},
    text::{Output, Tokenizer},
};

/// A job with its tokenised prompt.
pub(super) struct Sequence {
    /// Prompt, then output.
    tokens: Vec<u32>,
    prompt: usize,
    cached: usize,
    /// Most output tokens.
    limit: usize,
    sampling: Sampling,
    history: History,
    logprobs: Option<u8>,
    output: Output,
    cancel: Cancel,
    ticket: Option<Ticket>,
    /// Taken when the job ends.
    sink: Option<Box<dyn Sink + Send>>,
}

/// What a model says about sequences.
pub(super) struct Rules<'a> {
    pub(super) context: usize,
    pub(super) eos: &'a [u32],
    pub(super) tokenizer: &'a Tokenizer,
}

impl Sequence {
    /// A job whose prompt is `prompt`; `request.forced` is still to be replayed.
    ///
    /// # Errors
    /// [`Error::PromptTooLong`], and [`Error::Invalid`] for an empty prompt.
    pub(super) fn new(
        prompt: Vec<u32>,
        request: Generate,
        rules: &Rules<'_>,
        ticket: Ticket,
        cancel: Cancel,
        sink: Box<dyn Sink + Send>,
    ) -> Result<Self, Error> {
        if prompt.is_empty() {
            return Err(Error::invalid("prompt", "is empty: at least one token is needed to continue from"));
        }
        if prompt.len() >= rules.context {
            return Err(Error::PromptTooLong { prompt: prompt.len(), context: rules.context });
        }
        let room = rules.context - prompt.len();
        Ok(Self {
            prompt: prompt.len(),
            cached: 0,
            limit: request.max_tokens.map_or(room, |most| room.min(most as usize)),
            history: History::new(&prompt, &request.sampling),
            sampling: request.sampling,
            logprobs: request.logprobs,
            output: Output::new(rules.eos, request.stop),
            tokens: prompt,
            cancel,
            ticket: Some(ticket),
            sink: Some(sink),
        })
    }

    /// Takes the tokens of an earlier attempt, silently; says so if they end the output already.
    pub(super) fn replay(&mut self, forced: &[u32], rules: &Rules<'_>) -> Result<Option<Finish>, Error> {
        for &token in forced {
            self.tokens.push(token);
            self.history.push(token);
            if self.output.push(token, rules.tokenizer)?.stopped {
                return Ok(Some(Finish::Stop));
            }
            if self.outputs() >= self.limit {
                self.output.finish();
                return Ok(Some(Finish::Length));
            }
        }
        Ok(None)
    }

    /// Tells the caller that the job has a slot which holds the first `held` of its tokens.
    pub(super) fn start(&mut self, held: usize) {
        self.cached = held.min(self.prompt);
        let usage = self.usage();
        if let Some(sink) = &mut self.sink {
            sink.prompt_ready(usage);
        }
    }

    /// Chooses the next token from the logits after the last one, and hands it on; says so if it ends the
    /// output.
    pub(super) fn advance(
        &mut self,
        logits: &[f32],
        rules: &Rules<'_>,
        scratch: &mut Scratch,
    ) -> Result<Option<Finish>, Error> {
        let index = self.outputs();
        let token = sampling::sample(logits, &self.sampling, &self.history, index, scratch)?;
        let logprobs = self.logprobs.map(|top| sampling::logprobs(logits, token, top));
        self.tokens.push(token);
        self.history.push(token);
        let mut pushed = self.output.push(token, rules.tokenizer)?;
        let full = !pushed.stopped && self.outputs() >= self.limit;
        if full {
            pushed.text.push_str(&self.output.finish());
        }
        let delta = Delta {
            first_index: index,
            tokens: vec![token],
            text: pushed.text,
            logprobs: logprobs.into_iter().collect(),
        };
        if let Some(sink) = &mut self.sink {
            sink.tokens(delta);
        }
        Ok(if pushed.stopped { Some(Finish::Stop) } else { full.then_some(Finish::Length) })
    }

    /// Prompt and output.
    pub(super) fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// Tells the caller that the job has ended, and gives the tokens away.
    pub(super) fn finish(mut self, finish: Finish) -> Vec<u32> {
        self.end(finish);
        std::mem::take(&mut self.tokens)
    }

    /// Lets go of a job whose caller is told otherwise.
    pub(super) fn disown(mut self) {
        self.sink = None;
    }

    fn end(&mut self, finish: Finish) {
        let Some(sink) = self.sink.take() else { return };
        // First, so that a caller who hears of the end finds the place free.
        self.ticket = None;
        sink.done(Outcome { finish, usage: self.usage(), text: self.output.text().to_owned() });
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.cancel.is_cancelled()
    }

    fn outputs(&self) -> usize {
        self.tokens.len() - self.prompt
    }

    fn usage(&self) -> Usage {
        Usage { prompt: self.prompt, cached: self.cached, output: self.outputs() }
    }
}

impl Drop for Sequence {
    fn drop(&mut self) {
        let end = || self.end(Finish::Error(Error::Stopped("the job was dropped".to_owned())));
        // A sink that panics here, perhaps while its own panic unwinds, would abort the process.
        let _ = catch_unwind(AssertUnwindSafe(end));
    }
}
