//! A stage for workers: a log in memory, workers with echo engines on it, and a scheduler's part played by hand.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its own part of the stage")]

pub mod gate;

use std::{future::Future, path::PathBuf, sync::Arc, time::Duration};

use gate::Gate;
use lowland_events::{
    Domain, Draft, Event, Filter, Money, Stored, Subject, Time,
    id::{AccountId, InstanceId, JobId, ModelId, RegionId, WorkerId},
    instance::{self, Ability},
    job::{
        self, Assigned, AttemptFailed, CancelRequested, Message, Problem, ProblemCode, Sampling, Submitted,
        Task,
    },
    log::{Record, SharedLog, memory::MemoryLog},
    meter::Usage,
    stream,
    token::{self, Published},
};
use lowland_host::{Host, Service};
use lowland_worker::{
    Config, Source, Worker,
    engine::echo,
    publication::{Piece, Transcript},
};
use tokio::task::JoinHandle;

/// Longest wait for anything: only a hang reaches it.
const PATIENCE: Duration = Duration::from_secs(60);

/// The log, and what stands on it.
pub struct Stage {
    pub log: SharedLog,
    /// The log, if it is in memory.
    pub memory: Option<MemoryLog>,
    pub account: AccountId,
    /// ONNX Runtime, for workers with real models.
    pub library: Option<PathBuf>,
}

/// A worker that runs.
pub struct Cast {
    pub host: Host,
    pub worker: WorkerId,
    pub gate: Arc<Gate>,
    pub task: JoinHandle<Result<(), lowland_host::Error>>,
}

/// Waits until `look` gives something.
pub async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut look: impl FnMut() -> F) -> T {
    let found = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, found).await.unwrap_or_else(|_| panic!("waited in vain for {what}"))
}

/// An echo called `echo` that writes, one token in `step_ms` (0: at once).
pub fn echo(step_ms: u64) -> Source {
    Source::Echo(echo::Config {
        step: Duration::from_millis(step_ms),
        ..echo::Config::new(ModelId::new("echo").unwrap())
    })
}

/// An echo called `vectors` that makes vectors.
pub fn embedder() -> Source {
    let id = ModelId::new("vectors").unwrap();
    Source::Echo(echo::Config { ability: Ability::Embed, ..echo::Config::new(id) })
}

pub fn chat(text: &str) -> Task {
    Task::Chat { messages: vec![Message { role: "user".into(), content: text.into() }] }
}

pub fn sampling() -> Sampling {
    Sampling {
        max_tokens: None,
        temperature: 0.0,
        top_p: 1.0,
        top_k: 0,
        min_p: 0.0,
        repetition_penalty: 1.0,
        presence_penalty: 0.0,
        frequency_penalty: 0.0,
        seed: 7,
        stop: Vec::new(),
        logprobs: None,
    }
}

/// A text of `n` different words.
pub fn words(n: usize) -> String {
    (0..n).map(|i| format!("wörd{i} ")).collect()
}

impl Stage {
    /// A stage on a log in memory.
    pub async fn new() -> Self {
        let memory = MemoryLog::new();
        Self { memory: Some(memory.clone()), ..Self::on(Arc::new(memory)).await }
    }

    /// A stage on any log.
    pub async fn on(log: SharedLog) -> Self {
        for spec in stream::all() {
            log.ensure(&spec).await.unwrap();
        }
        Self { log, memory: None, account: AccountId::new("acme").unwrap(), library: None }
    }

    pub fn memory(&self) -> &MemoryLog {
        self.memory.as_ref().expect("the log is in memory")
    }

    /// Starts a worker; returns once its models are ready.
    pub async fn worker(&self, id: &str, models: Vec<Source>) -> Cast {
        self.worker_on(self.log.clone(), id, models).await
    }

    pub fn config(&self, id: &str, models: Vec<Source>) -> Config {
        Config {
            worker: WorkerId::new(id).unwrap(),
            region: RegionId::new("here").unwrap(),
            models,
            ask: Money(50_000),
            engine: lowland_engine::Config {
                threads: 2,
                library: self.library.clone(),
                ..lowland_engine::Config::default()
            },
        }
    }

    /// Starts a worker that has a connection of its own.
    pub async fn worker_on(&self, log: SharedLog, id: &str, models: Vec<Source>) -> Cast {
        let gate = Arc::new(Gate::new(log));
        let log: SharedLog = gate.clone();
        let host = Host::over(log, Worker::NAME);
        let worker = WorkerId::new(id).unwrap();
        let config = self.config(id, models);
        let task = tokio::spawn(Worker::serve(host.clone(), config));
        let cast = Cast { host, worker, gate, task };
        until("a worker that is ready", async || {
            assert!(!cast.task.is_finished(), "the worker ended before it was ready");
            cast.host.health.problem().is_none().then_some(())
        })
        .await;
        cast
    }

    /// Every event of a stream that `filter` selects.
    pub async fn events(&self, stream: &str, filter: Filter) -> Vec<Stored> {
        let mut records = Vec::new();
        loop {
            let from = records.last().map_or(0, |last: &Record| last.sequence + 1);
            let page =
                self.log.read(stream, std::slice::from_ref(&filter), from, 500).await.unwrap_or_default();
            if page.is_empty() {
                return records.iter().map(|record| Stored::try_from(record).unwrap()).collect();
            }
            records.extend(page);
        }
    }

    /// The instances of a worker that are announced and not stopped or lost, with what they said.
    pub async fn instances(&self, worker: &WorkerId) -> Vec<(InstanceId, instance::Ready)> {
        let mut live = Vec::new();
        for event in self.events(stream::LOG, Filter::domain(Domain::Instance)).await {
            let id = InstanceId::new(event.subject.aggregate()).unwrap();
            match event.event {
                Event::Instance(instance::Event::Ready(ready)) if ready.worker == *worker => {
                    live.push((id, ready));
                }
                Event::Instance(instance::Event::Ready(_)) => {}
                _ => live.retain(|(other, _)| *other != id),
            }
        }
        live
    }

    /// Assigns a job to the worker's first instance, as attempt `attempt`.
    pub async fn assign(&self, to: &Cast, job: &str, task: Task, attempt: u32) -> u64 {
        self.assign_with(to, job, task, Some(sampling()), attempt).await
    }

    pub async fn assign_with(
        &self,
        to: &Cast,
        job: &str,
        task: Task,
        sampling: Option<Sampling>,
        attempt: u32,
    ) -> u64 {
        let (instance, _) = self.instances(&to.worker).await.remove(0);
        self.assign_to(&to.worker, instance, job, task, sampling, attempt).await
    }

    pub async fn assign_to(
        &self,
        worker: &WorkerId,
        instance: InstanceId,
        job: &str,
        task: Task,
        sampling: Option<Sampling>,
        attempt: u32,
    ) -> u64 {
        let submitted = Submitted {
            model: ModelId::new("echo").unwrap(),
            task,
            sampling,
            regions: Vec::new(),
            deadline: Time(77),
            bounds: Usage::default(),
            request_sequence: 1,
        };
        let assigned = Assigned {
            worker: worker.clone(),
            instance,
            attempt,
            lease_ms: 2000,
            job: submitted,
            price_version: "v1".into(),
            considered: Vec::new(),
            considered_more: 0,
            decided_on: Vec::new(),
        };
        let subject = Subject::job(&self.account, &id(job), "assigned").to_worker(worker);
        self.say(job, subject, job::Event::Assigned(assigned)).await
    }

    /// The scheduler takes the job from attempt `attempt`.
    pub async fn write_off(&self, job: &str, attempt: u32) {
        let failed = AttemptFailed {
            instance: InstanceId::new("whichever").unwrap(),
            attempt,
            problem: Problem { code: ProblemCode::WorkerLost, message: "silent".into(), field: None },
            retry: true,
        };
        let subject = Subject::job(&self.account, &id(job), "attempt_failed");
        self.say(job, subject, job::Event::AttemptFailed(failed)).await;
    }

    /// The scheduler asks for the job's end.
    pub async fn ask_to_end(&self, of: &Cast, job: &str, attempt: u32, reason: &str) {
        let (instance, _) = self.instances(&of.worker).await.remove(0);
        let asked = CancelRequested { instance, attempt, reason: reason.into() };
        let subject = Subject::job(&self.account, &id(job), "cancel_requested").to_worker(&of.worker);
        self.say(job, subject, job::Event::CancelRequested(asked)).await;
    }

    /// The scheduler takes an instance for lost.
    pub async fn lose(&self, instance: &InstanceId, model: &str) {
        let lost = instance::Lost { silent_ms: 2500, reason: "silent".into() };
        let subject = Subject::instance(&ModelId::new(model).unwrap(), instance, "lost");
        let event = instance::Event::Lost(lost);
        let draft = Draft::new(subject, event, instance.as_str(), "test", Time(1));
        self.log.append(draft.entry()).await.unwrap();
    }

    async fn say(&self, job: &str, subject: Subject, event: job::Event) -> u64 {
        let last = self.job(job).await.last().map_or(0, |last| last.sequence);
        let draft = Draft::new(subject, event, &format!("{job}/{last}"), "test", Time(1));
        let draft = draft.traced(Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into()));
        until("an answer", async || self.log.append(draft.entry_after(last)).await.ok()).await.sequence
    }

    /// Every event of a job.
    pub async fn job(&self, job: &str) -> Vec<Stored> {
        self.events(stream::LOG, Filter::aggregate(Domain::Job, self.account.as_str(), job)).await
    }

    /// The names of a job's events.
    pub async fn chain(&self, job: &str) -> Vec<String> {
        self.job(job).await.iter().map(|event| event.subject.event().to_owned()).collect()
    }

    /// Waits for an event of a job.
    pub async fn wait(&self, job: &str, name: &str) -> job::Event {
        until(&format!("{job} {name}"), async || {
            let found = self.job(job).await.into_iter().rev().find(|event| event.subject.event() == name)?;
            match found.event {
                Event::Job(event) => Some(event),
                other => panic!("{other:?}"),
            }
        })
        .await
    }

    /// Waits for a job to be completed.
    pub async fn completed(&self, job: &str) -> job::Completed {
        match self.wait(job, "completed").await {
            job::Event::Completed(completed) => completed,
            other => panic!("{other:?}"),
        }
    }

    /// Every token record of a job, with its sequence.
    pub async fn records(&self, job: &str) -> Vec<(u64, Published)> {
        let filter = Filter::aggregate(Domain::Token, self.account.as_str(), job);
        let events = self.events(stream::TOKENS, filter).await;
        let published = |event: Stored| match event.event {
            Event::Token(token::Event::Published(published)) => (event.sequence, published),
            other => panic!("{other:?}"),
        };
        events.into_iter().map(published).collect()
    }

    /// The job's text, as a reader that comes now reads it.
    pub async fn read(&self, job: &str) -> Piece {
        let mut transcript = Transcript::default();
        for (sequence, record) in self.records(job).await {
            transcript.take(record, sequence);
        }
        transcript.text().expect("no records are missing").whole().clone()
    }

    /// Waits until a reader can read at least `tokens` tokens of the job.
    pub async fn wait_for_tokens(&self, job: &str, tokens: usize) -> Piece {
        until(&format!("{tokens} tokens of {job}"), async || {
            let piece = self.read(job).await;
            (piece.tokens.len() >= tokens).then_some(piece)
        })
        .await
    }
}

impl Cast {
    /// Waits until the worker has no job in hand.
    pub async fn idle(&self) {
        until("an idle worker", async || {
            let gauges = self.host.figures.sample(0).gauges;
            let running = gauges.iter().filter(|(series, _)| series.starts_with("vllm:num_requests_running"));
            running.map(|(_, jobs)| jobs).all(|jobs| *jobs == 0).then_some(())
        })
        .await;
    }

    /// Stops the worker in an orderly way.
    pub async fn stop(self) {
        self.host.stop.cancel();
        tokio::time::timeout(PATIENCE, self.task).await.expect("the worker stops").unwrap().unwrap();
    }
}

fn id(job: &str) -> JobId {
    JobId::new(job).unwrap()
}
