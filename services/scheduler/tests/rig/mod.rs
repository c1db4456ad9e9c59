//! A whole scheduler over the log in memory, under tokio's paused clock, with small workers that do what they are told
//! and a stand-in for billing. Every event is a real one.

#![allow(dead_code, unreachable_pub)]

mod worker;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use lowland_events::{
    Domain, Draft, Event, EventId, Filter, Money, Stored, Subject, Time,
    account::HoldPlaced,
    envelope::Headers,
    id::{AccountId, JobId, ModelId},
    job,
    log::{AppendError, Entry, Record, SharedLog, Start, memory::MemoryLog},
    meter::{Rates, Usage},
    stream,
};
use lowland_host::Host;
use lowland_scheduler::{Config, key::JobKey, shell};
use tokio::{task::JoinHandle, time::Instant};
pub use worker::{Behaviour, Worker};

/// Where the clock begins.
pub const BEGAN: Time = Time(1_800_000_000_000_000);

/// The scheduler, its log, and a billing that holds for every job.
pub struct Rig {
    /// The log, where it is the one in memory.
    memory: Option<MemoryLog>,
    pub log: SharedLog,
    clock: Clock,
    scheduler: JoinHandle<()>,
    sent: AtomicU64,
}

/// A clock that stands and goes with tokio's.
#[derive(Clone, Copy)]
pub struct Clock {
    began: Instant,
    at: Time,
}

impl Clock {
    pub fn start_at(at: Time) -> Self {
        Self { began: Instant::now(), at }
    }

    pub fn now(self) -> Time {
        let elapsed = self.began.elapsed().as_micros();
        Time(self.at.0 + i64::try_from(elapsed).unwrap())
    }
}

/// `a/j1` as a key.
pub fn key(name: &str) -> JobKey {
    let (account, job) = name.split_once('/').unwrap();
    JobKey { account: AccountId::new(account).unwrap(), job: JobId::new(job).unwrap() }
}

impl Rig {
    /// A scheduler at work on an empty log.
    pub async fn start() -> Self {
        let memory = MemoryLog::starting_at(BEGAN);
        let rig = Self::over(Arc::new(memory.clone()), Clock::start_at(BEGAN)).await;
        Self { memory: Some(memory), ..rig }
    }

    /// A scheduler at work on any empty log.
    pub async fn over(log: SharedLog, clock: Clock) -> Self {
        for spec in stream::all() {
            log.ensure(&spec).await.unwrap();
        }
        let scheduler = spawn_scheduler(&log, clock);
        tokio::spawn(bill(log.clone(), clock));
        Self { memory: None, log, clock, scheduler, sent: AtomicU64::new(0) }
    }

    /// The log in memory, to make it misbehave.
    pub fn memory(&self) -> &MemoryLog {
        self.memory.as_ref().unwrap()
    }

    /// The scheduler dies, and another starts.
    pub fn restart_scheduler(&mut self) {
        self.scheduler.abort();
        self.scheduler = spawn_scheduler(&self.log, self.clock);
    }

    pub fn kill_scheduler(&self) {
        self.scheduler.abort();
    }

    pub fn now(&self) -> Time {
        self.clock.now()
    }

    pub async fn pass(&self, ms: u64) {
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }

    /// A worker of the model `smol` with `slots` slots.
    pub async fn worker(&self, name: &str, slots: u32, behaviour: Behaviour) -> Worker {
        let worker = Worker::start(self.log.clone(), self.clock, name, slots, behaviour).await;
        self.pass(600).await;
        worker
    }

    /// Posts a body as anybody with a plain client would: no headers, no id.
    pub async fn send(&self, name: &str, event: &str, body: impl Into<Bytes>) -> u64 {
        let key = key(name);
        let subject = Subject::request(&key.account, &key.job, event).to_string();
        let sent = self.sent.fetch_add(1, Ordering::Relaxed);
        let id = EventId::derived(&format!("{subject}/{sent}"), "test", 0);
        let entry = Entry { subject, id, headers: Headers::default(), payload: body.into(), expect: None };
        insist(&self.log, entry).await
    }

    pub async fn post(&self, name: &str) -> u64 {
        self.send(name, "posted", r#"{"model":"smol","prompt":"Hi"}"#).await
    }

    pub async fn cancel(&self, name: &str) {
        self.send(name, "cancel_requested", r#"{"reason":"bored"}"#).await;
    }

    /// Waits for an event of the job, a minute of the paused clock at most.
    pub async fn reaches(&self, name: &str, event: &str) -> Stored {
        self.wait(stream::LOG, aggregate(Domain::Job, name), name, event).await
    }

    /// Waits until the job has its hold.
    pub async fn is_held(&self, name: &str) -> Stored {
        let account = key(name).account;
        self.wait(stream::LOG, Filter::scope(Domain::Account, account.as_str()), name, "hold_placed").await
    }

    /// Waits for the answer to a request that became no job.
    pub async fn refused(&self, name: &str) -> Stored {
        self.wait(stream::REQUESTS, aggregate(Domain::Request, name), name, "rejected").await
    }

    async fn wait(&self, stream: &str, filter: Filter, name: &str, event: &str) -> Stored {
        let found = tokio::time::timeout(Duration::from_secs(60), async {
            let mut follow = self.log.follow(stream, &[filter], Start::At(0)).await.unwrap();
            loop {
                let record = follow.next().await.unwrap();
                match Stored::try_from(&record) {
                    Ok(stored) if stored.event.name() == event => return stored,
                    _ => {}
                }
            }
        });
        match found.await {
            Ok(stored) => stored,
            Err(_) => panic!("{name} never was {event}: {:?}", self.chain(name).await),
        }
    }

    /// Names of the job's events so far.
    pub async fn chain(&self, name: &str) -> Vec<String> {
        let events = self.records(stream::LOG, aggregate(Domain::Job, name)).await;
        events.iter().map(|r| r.subject.split('.').nth(4).unwrap().to_owned()).collect()
    }

    pub async fn records(&self, stream: &str, filter: Filter) -> Vec<Record> {
        self.log.read(stream, &[filter], 0, 100_000).await.unwrap()
    }

    pub async fn events(&self, stream: &str, filter: Filter) -> Vec<Stored> {
        let records = self.records(stream, filter).await;
        records.iter().filter_map(|record| Stored::try_from(record).ok()).collect()
    }
}

/// Appends as a plain client does: again, while the log does not answer.
async fn insist(log: &SharedLog, entry: Entry) -> u64 {
    loop {
        match log.append(entry.clone()).await {
            Ok(appended) => return appended.sequence,
            Err(AppendError::Unanswered(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

fn aggregate(domain: Domain, name: &str) -> Filter {
    let key = key(name);
    Filter::aggregate(domain, key.account.as_str(), key.job.as_str())
}

fn spawn_scheduler(log: &SharedLog, clock: Clock) -> JoinHandle<()> {
    let host = Host::over(log.clone(), "scheduler");
    tokio::spawn(async move {
        shell::run(host, Config::default(), move || clock.now()).await.unwrap();
    })
}

/// Billing, for jobs whose account is not `poor`: those it leaves waiting.
async fn bill(log: SharedLog, clock: Clock) {
    let submitted = Filter::event(Domain::Job, "submitted");
    let mut follow = log.follow(stream::LOG, &[submitted], Start::At(0)).await.unwrap();
    loop {
        let job = Stored::try_from(&follow.next().await.unwrap()).unwrap();
        if job.subject.scope() == "poor" {
            continue;
        }
        let key = JobKey::of(&job.subject).unwrap();
        let subject = Subject::account(&key.account, "hold_placed");
        let draft = Draft::new(subject, hold(&key), &job.meta.id.to_string(), "billing/test", clock.now());
        let _ = log.append(draft.entry()).await;
    }
}

/// What billing sets aside for a job.
pub fn hold(key: &JobKey) -> HoldPlaced {
    HoldPlaced {
        job: key.job.clone(),
        model: ModelId::new("smol").unwrap(),
        amount: Money(7),
        price_version: "p1".into(),
        rates: Rates::default(),
        bounds: Usage::default(),
        postings: Vec::new(),
    }
}

/// The problem that an event tells of.
pub fn problem(stored: &Stored) -> &job::Problem {
    match &stored.event {
        Event::Job(job::Event::Rejected(event)) => &event.problem,
        Event::Job(job::Event::Failed(event)) => &event.problem,
        Event::Request(lowland_events::request::Event::Rejected(event)) => &event.problem,
        other => panic!("no problem in {other:?}"),
    }
}
