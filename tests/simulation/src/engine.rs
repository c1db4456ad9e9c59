//! An engine that writes made-up text in simulated time, and fails as engines do.
//!
//! A token is a character. Now and then a token releases no text and the next one releases both, as a detokenizer does
//! within a character. What is drawn follows from the job's seed; or, where the plan has `unlike` engines, from the
//! attempt, as with samplers that cannot be repeated: then only what was published makes the text one text.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use lowland_events::{
    id::ModelId,
    instance::Ability,
    job::{Finish, Problem, ProblemCode},
};
use lowland_worker::engine::{
    Cancel, Delta, Engine, Failure, Generate, Model, Outcome, Progress, Prompt, Sink, Work,
};
use tokio::{task::AbortHandle, time::sleep};

use crate::{chance::Chance, plan::Plan, trace::Trace};

/// Longest sequence, in tokens.
pub(crate) const CONTEXT_TOKENS: u32 = 400;
/// Longest text that is written of itself, in tokens.
const ANSWER_TOKENS_MAX: u64 = 80;
/// Most tokens of one report.
const REPORT_TOKENS_MAX: u64 = 5;
/// What texts are made of: one character takes two bytes, one four.
const LETTERS: [char; 8] = ['a', 'e', 'n', ' ', 'r', 'ö', 't', '𝄞'];
/// Every so manyth token releases its text with the next one.
const HOLDS_BACK: usize = 6;
/// Time for vectors, in milliseconds.
const VECTORS_MS: u64 = 20;

/// The engine of one model in one process.
pub(crate) struct SimulatedEngine {
    model: Model,
    plan: Arc<Plan>,
    calm: Arc<AtomicBool>,
    chance: Chance,
    trace: Trace,
    alive: Arc<AtomicBool>,
}

impl SimulatedEngine {
    pub(crate) fn new(
        id: ModelId,
        ability: Ability,
        slots: u32,
        plan: &Arc<Plan>,
        calm: &Arc<AtomicBool>,
        chance: Chance,
        trace: Trace,
    ) -> Self {
        let model =
            Model { id, ability, slots, context_tokens: CONTEXT_TOKENS, provider: "simulated".to_owned() };
        let alive = Arc::new(AtomicBool::new(true));
        Self { model, plan: plan.clone(), calm: calm.clone(), chance, trace, alive }
    }

    fn goes_wrong(&self, probability: f64) -> bool {
        !self.calm.load(Ordering::Relaxed) && self.chance.hits(probability)
    }

    /// How a job that has begun ends before its time: after so many reports, with so much as a last word.
    fn mishap(&self) -> Option<(u64, Option<Failure>)> {
        let engine = &self.plan.engine;
        let after = self.chance.number(0..=8);
        if self.goes_wrong(engine.dies) {
            self.alive.store(false, Ordering::Relaxed);
            self.trace.fault(&self.model.id, || "the engine is about to die".to_owned());
            return Some((after, None));
        }
        if self.goes_wrong(engine.forgets) {
            return Some((after, None));
        }
        let retry = self.chance.hits(0.8);
        self.goes_wrong(engine.fails).then(|| {
            let code = if retry { ProblemCode::WorkerFailed } else { ProblemCode::InvalidRequest };
            (after, Some(failure(code, "the engine came upon something", retry)))
        })
    }

    fn generate(&self, asked: &Generate, mut sink: Sink) -> Result<Box<dyn Cancel>, Failure> {
        let said = match &asked.prompt {
            Prompt::Text(text) => text.clone(),
            Prompt::Messages(messages) => messages.iter().map(|message| message.content.as_str()).collect(),
        };
        let context = CONTEXT_TOKENS as usize;
        let input = said.chars().count();
        if input >= context {
            return Err(failure(ProblemCode::ContextLengthExceeded, "the prompt is too long", false));
        }
        let (tokens, finish) = self.answer(asked, &said, context - input);
        let (forced, unlike) = (asked.forced.len(), self.plan.engine.unlike);
        let tokens: Vec<u32> = asked.forced.iter().copied().chain(tokens.into_iter().skip(forced)).collect();
        let (chance, step, mishap) = (self.chance.clone(), self.plan.engine.step_ms, self.mishap());
        let task = tokio::spawn(async move {
            // Where attempts are alike, how much of the prompt was computed may still differ.
            let cached = if unlike { chance.number(0..=input as u64) } else { 0 };
            sink(Progress::Prompt { input: input as u64 - cached, cached });
            let mut done = forced;
            for report in 0.. {
                sleep(chance.ms(0..=step)).await;
                if let Some((after, last)) = &mishap
                    && report >= *after
                {
                    return last.clone().into_iter().for_each(|last| sink(Progress::Done(Err(last))));
                }
                if done == tokens.len() {
                    break;
                }
                let many = usize::try_from(chance.number(1..=REPORT_TOKENS_MAX)).expect("a few");
                let upto = (done + many).min(tokens.len());
                let text = released(&tokens[..upto])[released(&tokens[..done]).len()..].to_owned();
                sink(Progress::Output(Delta {
                    tokens: tokens[done..upto].to_vec(),
                    text,
                    logprobs: Vec::new(),
                }));
                done = upto;
            }
            sink(Progress::Done(Ok(Outcome::Text { finish, text: text(&tokens) })));
        });
        Ok(Box::new(Running(task.abort_handle())))
    }

    /// The tokens to write, those that are forced in their places, and why they end.
    fn answer(&self, asked: &Generate, said: &str, room: usize) -> (Vec<u32>, Finish) {
        let label = format!("{said}/{}", asked.sampling.seed);
        let draw = if self.plan.engine.unlike { self.chance.clone() } else { Chance::of(0, &label) };
        let wanted = usize::try_from(Chance::of(1, &label).number(0..=ANSWER_TOKENS_MAX)).expect("a few");
        let most = asked.sampling.max_tokens.map_or(usize::MAX, |most| most as usize).min(room);
        let finish = if wanted > most { Finish::Length } else { Finish::Stop };
        ((0..wanted.min(most)).map(|_| u32::from(draw.one_of(&LETTERS))).collect(), finish)
    }

    fn embed(&self, input: &[String], mut sink: Sink) -> Box<dyn Cancel> {
        let vectors = input.iter().map(|text| vec![text.len() as f32, 1.0]).collect();
        let tokens = input.iter().map(|text| text.chars().count() as u64).sum();
        let (mishap, chance) = (self.mishap(), self.chance.clone());
        let task = tokio::spawn(async move {
            sleep(chance.ms(0..=VECTORS_MS)).await;
            match mishap {
                None => sink(Progress::Done(Ok(Outcome::Vectors { vectors, tokens }))),
                Some((_, Some(last))) => sink(Progress::Done(Err(last))),
                Some((_, None)) => {}
            }
        });
        Box::new(Running(task.abort_handle()))
    }
}

impl Engine for SimulatedEngine {
    fn model(&self) -> &Model {
        &self.model
    }

    fn start(&self, work: Work, sink: Sink) -> Result<Box<dyn Cancel>, Failure> {
        if !self.is_alive() {
            return Err(failure(ProblemCode::WorkerFailed, "the engine has died", true));
        }
        match (work, self.model.ability) {
            (Work::Generate(asked), Ability::Generate) => self.generate(&asked, sink),
            (Work::Embed(input), Ability::Embed) => Ok(self.embed(&input, sink)),
            _ => Err(failure(ProblemCode::WrongTask, "the model cannot do that", false)),
        }
    }

    fn starts_at_once(&self) -> bool {
        true
    }

    fn is_alive(&self) -> bool {
        self.alive.load(Ordering::Relaxed)
    }

    fn token_text(&self, token: u32) -> String {
        text(&[token])
    }
}

struct Running(AbortHandle);

impl Cancel for Running {
    fn cancel(&self) {
        self.0.abort();
    }
}

fn failure(code: ProblemCode, message: &str, retry: bool) -> Failure {
    Failure { problem: Problem { code, message: message.to_owned(), field: None }, retry }
}

fn text(tokens: &[u32]) -> String {
    tokens.iter().filter_map(|token| char::from_u32(*token)).collect()
}

/// The text that `tokens` have released: all of it, but for a last token that holds its own back.
fn released(tokens: &[u32]) -> String {
    let holds_back = tokens.len() % HOLDS_BACK == HOLDS_BACK - 1;
    text(&tokens[..tokens.len() - usize::from(holds_back)])
}

/// Time that a process takes to have its models.
pub(crate) fn loading(chance: &Chance) -> Duration {
    chance.ms(0..=300)
}
