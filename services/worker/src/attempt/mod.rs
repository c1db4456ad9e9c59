//! One attempt at a job, from its assignment to its end: a task of its own, so that no job waits for another.
//!
//! assigned -> earlier tokens taken over -> `started` and the engine, together -> tokens published as they come, which do
//! not wait for `started` to be stored: they have a guard of their own -> the event that ends it ([`close`]). Orders
//! (stop, no longer wanted, somebody else's) are heard at every wait.

mod close;
mod stopwatch;
mod trace;

use std::{panic::AssertUnwindSafe, sync::Arc};

use futures::{FutureExt, future::BoxFuture};
use lowland_events::{
    job::{self, Finish, Output, Problem, ProblemCode, Started, Task, TokenLogprob},
    meter::{Meter, Usage},
};
use lowland_host::Tracer;
use serde_bytes::ByteBuf;
use tokio::{
    sync::{mpsc, watch},
    task::{JoinError, spawn_blocking},
    time::Instant,
};

use crate::{
    bus::{Bus, Verdict},
    engine::{Cancel, Delta, Engine, Failure, Generate, Logprob, Outcome, Progress, Prompt, Sink, Work},
    figures::ModelFigures,
    job::{Assignment, Ending},
    publication::{self, Piece},
    publisher::Publisher,
    roster::Order,
};
use stopwatch::Stopwatch;
use trace::Trace;

/// Most reports of an engine taken at once.
const REPORTS_AT_ONCE: usize = 64;

/// One attempt at a job.
pub(crate) struct Attempt {
    bus: Bus,
    of: Arc<Assignment>,
    engine: Arc<dyn Engine>,
    orders: watch::Receiver<Order>,
    publisher: Publisher,
    watch: Stopwatch,
    trace: Trace,
    /// Tokens of earlier attempts that this one goes on from.
    resumed: u32,
    /// Sequence of the job's last event.
    tip: u64,
}

/// Why an attempt goes no further.
enum Exit {
    Ordered(Order),
    Ends(Ending),
}

impl From<Ending> for Exit {
    fn from(ending: Ending) -> Self {
        Self::Ends(ending)
    }
}

/// What the engine reports; no more than the output's tokens can wait there.
type Reports = mpsc::UnboundedReceiver<Progress>;

/// `started` on its way to the log: what became of it, and the sequence of the job's last event by then.
type Saying = BoxFuture<'static, (Verdict, u64)>;

/// A job that runs in the engine; dropped, it stops.
struct Running(Box<dyn Cancel>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

impl Attempt {
    pub(crate) fn new(
        bus: Bus,
        of: Assignment,
        engine: Arc<dyn Engine>,
        orders: watch::Receiver<Order>,
        figures: ModelFigures,
        tracer: Tracer,
    ) -> Self {
        let of = Arc::new(of);
        let publisher = Publisher::new(bus.clone(), Arc::clone(&of));
        let tip = of.sequence;
        let watch = Stopwatch::assigned(figures, Instant::now());
        let trace = Trace::new(tracer, bus.clock.clone(), &of);
        Self { bus, of, engine, orders, publisher, watch, trace, resumed: 0, tip }
    }

    /// Does the job, and says in the log how it ended, unless it is somebody else's by then.
    pub(crate) async fn run(mut self) {
        let exit = match AssertUnwindSafe(self.work()).catch_unwind().await {
            Ok(Err(exit)) => exit,
            Ok(Ok(ending)) => ending.into(),
            Err(_) => Ending::broken("the worker met a fault of its own; its log says which").into(),
        };
        match self.ending(exit).await {
            Some(ending) => self.conclude(ending).await,
            None => self.watch.gone(),
        }
    }

    async fn work(&mut self) -> Result<Ending, Exit> {
        let (instance, attempt) = (self.of.assigned.instance.clone(), self.of.attempt());
        if !matches!(self.of.assigned.job.task, Task::Embedding { .. }) {
            self.take_over().await?;
        }
        let resumed_tokens =
            u32::try_from(self.publisher.publication.text().end().tokens).unwrap_or(u32::MAX);
        self.resumed = resumed_tokens;
        let started = Started { instance, attempt, resumed_tokens };
        let saying = self.say(started)?;
        let outcome = self.run_engine(saying).await?;
        outcome.map_or_else(|failure| Err(Ending::Failed(failure).into()), |outcome| self.whole(outcome))
    }

    /// Reads what earlier attempts published, and seals it.
    async fn take_over(&mut self) -> Result<(), Exit> {
        while !self.publisher.publication.is_open() {
            if self.publisher.publication.is_fenced() {
                return Err(Exit::Ordered(Order::Leave));
            }
            tokio::select! {
                biased;
                order = ordered(&mut self.orders) => return Err(Exit::Ordered(order)),
                () = self.publisher.drive() => {}
            }
        }
        Ok(())
    }

    /// Begins to say that the job has begun.
    fn say(&self, started: Started) -> Result<Saying, Exit> {
        if *self.orders.borrow() != Order::Proceed {
            return Err(Exit::Ordered(self.orders.borrow().clone()));
        }
        let (bus, of, mut tip) = (self.bus.clone(), Arc::clone(&self.of), self.tip);
        Ok(async move {
            let verdict = bus.append(&of, job::Event::Started(started), &mut tip).await;
            (verdict, tip)
        }
        .boxed())
    }

    /// Runs the job in the engine while `saying` is on its way; neither waits for the other. Returns when both are done.
    async fn run_engine(&mut self, mut saying: Saying) -> Result<Result<Outcome, Failure>, Exit> {
        let work = self.order_of_work()?;
        self.watch.begun(Instant::now());
        let (report, mut reports) = mpsc::unbounded_channel();
        let engine = Arc::clone(&self.engine);
        self.trace.engine_began();
        let start = start(engine, work, Box::new(move |progress| drop(report.send(progress))));
        let mut start = std::pin::pin!(start);
        let mut is_said = false;
        let running = loop {
            tokio::select! {
                biased;
                running = &mut start => break running,
                said = &mut saying, if !is_said => {
                    is_said = true;
                    self.said(said)?;
                }
            }
        };
        let outcome = match running {
            Ok(Ok(_running)) => self.follow(&mut reports, &mut saying, &mut is_said).await?,
            Ok(Err(failure)) => Err(failure),
            Err(fault) => {
                return Err(Ending::broken(format!("the engine failed at the start: {fault}")).into());
            }
        };
        while !is_said {
            tokio::select! {
                biased;
                said = &mut saying => {
                    is_said = true;
                    self.said(said)?;
                }
                () = self.publisher.drive() => {}
            }
        }
        Ok(outcome)
    }

    /// Takes note of what became of `started`.
    fn said(&mut self, (verdict, tip): (Verdict, u64)) -> Result<(), Exit> {
        self.tip = tip;
        match verdict {
            Verdict::Stored => Ok(()),
            Verdict::Unwanted { sequence, reason } => Err(Exit::Ordered(Order::End { sequence, reason })),
            Verdict::Gone => Err(Exit::Ordered(Order::Leave)),
        }
    }

    /// What the engine is to do.
    fn order_of_work(&self) -> Result<Work, Exit> {
        let job = &self.of.assigned.job;
        let prompt = match &job.task {
            Task::Embedding { input } => return Ok(Work::Embed(input.clone())),
            Task::Chat { messages } => Prompt::Messages(messages.clone()),
            Task::Completion { prompt } => Prompt::Text(prompt.clone()),
        };
        let Some(sampling) = job.sampling.clone() else {
            let (code, message) =
                (ProblemCode::InvalidRequest, "a text is asked for without its sampling".into());
            let problem = Problem { code, message, field: Some("sampling".into()) };
            return Err(Ending::Failed(Failure { problem, retry: false }).into());
        };
        let forced = self.publisher.publication.text().whole().tokens.clone();
        Ok(Work::Generate(Generate { prompt, forced, sampling }))
    }

    /// Publishes what the engine reports, until it has done.
    async fn follow(
        &mut self,
        reports: &mut Reports,
        saying: &mut Saying,
        is_said: &mut bool,
    ) -> Result<Result<Outcome, Failure>, Exit> {
        let mut heard = Vec::with_capacity(REPORTS_AT_ONCE);
        loop {
            tokio::select! {
                // In this order, so that every run is the same. The publisher steps once in a while, so it keeps no report
                // waiting; an engine that reports without a pause would keep the publisher waiting.
                biased;
                order = ordered(&mut self.orders) => return Err(Exit::Ordered(order)),
                said = &mut *saying, if !*is_said => {
                    *is_said = true;
                    self.said(said)?;
                }
                () = self.publisher.drive() => {
                    if self.publisher.publication.is_fenced() {
                        return Err(Exit::Ordered(Order::Leave));
                    }
                }
                count = reports.recv_many(&mut heard, REPORTS_AT_ONCE) => {
                    if count == 0 {
                        return Err(Ending::broken("the engine dropped the job without a word").into());
                    }
                    for report in heard.drain(..) {
                        if let Some(done) = self.hear(report) {
                            return Ok(done);
                        }
                    }
                }
            }
        }
    }

    fn hear(&mut self, report: Progress) -> Option<Result<Outcome, Failure>> {
        let publication = &mut self.publisher.publication;
        match report {
            Progress::Prompt { input, cached } => {
                self.watch.read(input, cached);
                publication.read_prompt(publication::Prompt { input, cached });
                self.trace.read_prompt(publication::Prompt { input, cached });
            }
            Progress::Output(Delta { tokens, text, logprobs }) => {
                self.watch.wrote(tokens.len() as u64, Instant::now());
                self.trace.output(&self.of);
                let logprobs = logprobs.into_iter().map(|of| with_texts(of, &*self.engine)).collect();
                publication.push(Piece { tokens, text, logprobs });
            }
            Progress::Done(done) => return Some(done),
        }
        None
    }

    /// The ending that the engine's outcome makes.
    fn whole(&mut self, outcome: Outcome) -> Result<Ending, Exit> {
        match outcome {
            Outcome::Text { finish, text } => self.whole_text(finish, &text),
            Outcome::Vectors { vectors, tokens } => {
                self.watch.embedded(tokens);
                let vectors = vectors.iter().map(|vector| ByteBuf::from(little_endian(vector))).collect();
                let output = Box::new(Output { vectors, ..Output::default() });
                let usage = Usage::of([(Meter::EmbeddingTokens, tokens)]);
                Ok(Ending::Completed { finish: Finish::Stop, output, usage })
            }
        }
    }

    /// The engine may release text at the end that no token released.
    fn whole_text(&mut self, finish: Finish, text: &str) -> Result<Ending, Exit> {
        let publication = &mut self.publisher.publication;
        let Some(tail) = text.strip_prefix(publication.text().whole().text.as_str()) else {
            return Err(Ending::broken("the engine's text is not what its tokens released").into());
        };
        if !tail.is_empty() {
            publication.push(Piece { text: tail.to_owned(), ..Piece::default() });
        }
        let Piece { tokens, text, logprobs } = publication.text().whole().clone();
        let output = Box::new(Output { text, tokens, logprobs, vectors: Vec::new() });
        Ok(Ending::Completed { finish, output, usage: publication.usage() })
    }
}

/// Starts the job in the engine: on a thread of its own, if that takes the engine a while.
async fn start(
    engine: Arc<dyn Engine>,
    work: Work,
    sink: Sink,
) -> Result<Result<Running, Failure>, JoinError> {
    if engine.starts_at_once() {
        return Ok(engine.start(work, sink).map(Running));
    }
    spawn_blocking(move || engine.start(work, sink).map(Running)).await
}

/// Waits for an order.
async fn ordered(orders: &mut watch::Receiver<Order>) -> Order {
    let order = orders.wait_for(|order| *order != Order::Proceed).await.map(|order| order.clone());
    match order {
        Ok(order) => order,
        Err(_) => std::future::pending().await,
    }
}

fn with_texts(of: Logprob, engine: &dyn Engine) -> TokenLogprob {
    let top = of.top.into_iter().map(|(token, logprob)| (token, engine.token_text(token), logprob)).collect();
    TokenLogprob { token: of.token, text: engine.token_text(of.token), logprob: of.logprob, top }
}

fn little_endian(vector: &[f32]) -> Vec<u8> {
    vector.iter().flat_map(|value| value.to_le_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    struct Flag(Arc<AtomicBool>);

    impl Cancel for Flag {
        fn cancel(&self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_job_that_nobody_waits_for_is_cancelled_in_the_engine() {
        let cancelled = Arc::new(AtomicBool::new(false));
        drop(Running(Box::new(Flag(Arc::clone(&cancelled)))));
        assert!(cancelled.load(Ordering::Relaxed));
    }

    #[test]
    fn vectors_are_little_endian() {
        assert_eq!(little_endian(&[1.0, -2.0]), [0, 0, 128, 63, 0, 0, 0, 192]);
    }
}
