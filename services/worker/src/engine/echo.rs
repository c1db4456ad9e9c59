//! A small engine that gives back what it is told: for tests, and for measuring everything around an engine.
//!
//! A token is a character, its number the character's. The output is the last message (or the prompt), cut at stop
//! sequences and `max_tokens`; vectors count characters. All jobs take a step together, as in an engine that batches.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    time::{Duration, Instant},
};

use lowland_events::{
    id::ModelId,
    instance::Ability,
    job::{Finish, Message, Problem, ProblemCode},
};

use super::{
    Cancel, Delta, Engine, Failure, Generate, Logprob, Model, Outcome, Progress, Prompt, Sink, Work,
};

/// Length of its vectors.
pub const DIMENSIONS: usize = 8;

/// How an echo behaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The model's id.
    pub id: ModelId,
    /// Writes text or makes vectors.
    pub ability: Ability,
    /// Jobs at once.
    pub slots: u32,
    /// Longest sequence, in tokens.
    pub context_tokens: u32,
    /// Time that a step takes: each job writes one token a step. Zero: all of it in one step.
    pub step: Duration,
}

impl Config {
    /// An echo that writes, at once, up to a context of 4096 tokens.
    #[must_use]
    pub fn new(id: ModelId) -> Self {
        Self { id, ability: Ability::Generate, slots: 64, context_tokens: 4096, step: Duration::ZERO }
    }
}

/// The engine.
pub struct EchoEngine {
    model: Model,
    jobs: Sender<Job>,
}

struct Job {
    /// What is still to be written.
    rest: std::vec::IntoIter<char>,
    text: String,
    finish: Finish,
    logprobs: bool,
    sink: Sink,
    cancelled: Arc<AtomicBool>,
}

impl EchoEngine {
    /// Starts its thread; dropping the engine, and what it runs, ends it.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let (jobs, inbox) = mpsc::channel();
        let step = config.step;
        std::thread::spawn(move || run(&inbox, step));
        let Config { id, ability, slots, context_tokens, .. } = config;
        Self { model: Model { id, ability, slots, context_tokens, provider: "cpu".into() }, jobs }
    }

    fn generate(&self, asked: Generate, mut sink: Sink) -> Result<Box<dyn Cancel>, Failure> {
        let (read, said) = match asked.prompt {
            Prompt::Messages(messages) => read(&messages),
            Prompt::Text(text) => (text.chars().count(), text),
        };
        let context = self.model.context_tokens as usize;
        if read >= context {
            let message = format!("prompt of {read} tokens does not fit the context of {context} tokens");
            return Err(asker(ProblemCode::ContextLengthExceeded, message));
        }
        let most = asked.sampling.max_tokens.map_or(usize::MAX, |most| most as usize).min(context - read);
        let (text, finish) = answer(&said, &asked.sampling.stop, most);
        sink(Progress::Prompt { input: read as u64, cached: 0 });
        let rest: Vec<char> = text.chars().skip(asked.forced.len()).collect();
        let cancelled = Arc::new(AtomicBool::new(false));
        let logprobs = asked.sampling.logprobs.is_some();
        let job =
            Job { rest: rest.into_iter(), text, finish, logprobs, sink, cancelled: Arc::clone(&cancelled) };
        self.jobs.send(job).map_err(|_| asker(ProblemCode::WorkerFailed, "the echo has ended".into()))?;
        Ok(Box::new(Cancelled(cancelled)))
    }

    fn embed(&self, input: &[String], mut sink: Sink) -> Box<dyn Cancel> {
        let vectors = input.iter().map(|text| vector(text)).collect();
        let tokens = input.iter().map(|text| text.chars().count() as u64).sum();
        sink(Progress::Done(Ok(Outcome::Vectors { vectors, tokens })));
        Box::new(Cancelled(Arc::default()))
    }
}

impl Engine for EchoEngine {
    fn model(&self) -> &Model {
        &self.model
    }

    fn start(&self, work: Work, sink: Sink) -> Result<Box<dyn Cancel>, Failure> {
        match (work, self.model.ability) {
            (Work::Generate(asked), Ability::Generate) => self.generate(asked, sink),
            (Work::Embed(input), Ability::Embed) => Ok(self.embed(&input, sink)),
            _ => Err(asker(ProblemCode::WrongTask, format!("model {} can't do that", self.model.id))),
        }
    }

    fn starts_at_once(&self) -> bool {
        true
    }

    fn is_alive(&self) -> bool {
        true
    }

    fn token_text(&self, token: u32) -> String {
        char::from_u32(token).unwrap_or(char::REPLACEMENT_CHARACTER).into()
    }
}

struct Cancelled(Arc<AtomicBool>);

impl Cancel for Cancelled {
    fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Tokens of a conversation, and its last words.
fn read(messages: &[Message]) -> (usize, String) {
    let tokens = messages.iter().map(|message| message.content.chars().count()).sum();
    (tokens, messages.last().map(|message| message.content.clone()).unwrap_or_default())
}

/// What is given back, and why it ends.
fn answer(said: &str, stops: &[String], most: usize) -> (String, Finish) {
    let stop = stops.iter().filter_map(|stop| said.find(stop.as_str())).min().unwrap_or(said.len());
    let said = &said[..stop];
    match said.char_indices().nth(most) {
        Some((end, _)) => (said[..end].to_owned(), Finish::Length),
        None => (said.to_owned(), Finish::Stop),
    }
}

/// Counts of characters by their number, scaled to length one.
fn vector(text: &str) -> Vec<f32> {
    let mut counts = [0_f32; DIMENSIONS];
    for c in text.chars() {
        counts[c as usize % DIMENSIONS] += 1.0;
    }
    let length = counts.iter().map(|count| count * count).sum::<f32>().sqrt().max(1.0);
    counts.iter().map(|count| count / length).collect()
}

fn asker(code: ProblemCode, message: String) -> Failure {
    Failure { problem: Problem { code, message, field: None }, retry: false }
}

/// Steps all jobs together until the engine is gone and its last job has ended.
fn run(inbox: &Receiver<Job>, step: Duration) {
    let mut jobs: Vec<Job> = Vec::new();
    let mut next = Instant::now();
    loop {
        let arrived = if jobs.is_empty() {
            inbox.recv().map_err(|_| RecvTimeoutError::Disconnected)
        } else {
            inbox.recv_timeout(next.saturating_duration_since(Instant::now()))
        };
        match arrived {
            Ok(job) => {
                jobs.push(job);
                continue;
            }
            Err(RecvTimeoutError::Disconnected) if jobs.is_empty() => return,
            Err(RecvTimeoutError::Disconnected) => std::thread::sleep(step),
            Err(RecvTimeoutError::Timeout) => {}
        }
        jobs.retain_mut(|job| job.step(if step.is_zero() { usize::MAX } else { 1 }));
        next = Instant::now() + step;
    }
}

impl Job {
    /// Writes at most `most` tokens; says whether there is more to come.
    fn step(&mut self, most: usize) -> bool {
        if self.cancelled.load(Ordering::Relaxed) {
            return false;
        }
        let text: String = self.rest.by_ref().take(most).collect();
        let tokens: Vec<u32> = text.chars().map(u32::from).collect();
        if !tokens.is_empty() {
            let certain = |token: &u32| Logprob { token: *token, logprob: 0.0, top: vec![(*token, 0.0)] };
            let logprobs = if self.logprobs { tokens.iter().map(certain).collect() } else { Vec::new() };
            (self.sink)(Progress::Output(Delta { tokens, text, logprobs }));
        }
        let more = self.rest.len() > 0;
        if !more {
            let text = std::mem::take(&mut self.text);
            (self.sink)(Progress::Done(Ok(Outcome::Text { finish: self.finish, text })));
        }
        more
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_ends_at_the_first_stop_or_when_it_is_long_enough() {
        let stops = ["lo".to_owned(), "o".to_owned()];
        assert_eq!(answer("héllo", &stops, 9), ("hél".to_owned(), Finish::Stop));
        assert_eq!(answer("héllo", &[], 2), ("hé".to_owned(), Finish::Length));
        assert_eq!(answer("héllo", &[], 5), ("héllo".to_owned(), Finish::Stop));
    }

    #[test]
    fn vectors_have_length_one_and_tell_texts_apart() {
        let length = |vector: &[f32]| vector.iter().map(|x| x * x).sum::<f32>().sqrt();
        assert!((length(&vector("some text")) - 1.0).abs() < 1e-6);
        assert_ne!(vector("some text"), vector("other words"));
    }

    #[test]
    fn a_cancelled_job_ends_without_a_word() {
        let step = Duration::from_millis(1);
        let engine = EchoEngine::new(Config { step, ..Config::new(ModelId::new("echo").unwrap()) });
        let (sender, told) = mpsc::channel();
        let sampling = lowland_events::job::Sampling {
            max_tokens: None,
            temperature: 0.0,
            top_p: 1.0,
            top_k: 0,
            min_p: 0.0,
            repetition_penalty: 1.0,
            presence_penalty: 0.0,
            frequency_penalty: 0.0,
            seed: 0,
            stop: Vec::new(),
            logprobs: None,
        };
        let asked = Generate { prompt: Prompt::Text("x".repeat(2000)), forced: Vec::new(), sampling };
        let sink = Box::new(move |progress| drop(sender.send(progress)));
        let cancel = engine.start(Work::Generate(asked), sink).unwrap();
        assert_eq!(told.recv().unwrap(), Progress::Prompt { input: 2000, cached: 0 });
        assert!(matches!(told.recv().unwrap(), Progress::Output(_)));
        cancel.cancel();
        // The channel closes when the job is dropped; a job that went on would say that it is done.
        assert!(told.iter().all(|progress| !matches!(progress, Progress::Done(_))));
    }
}
