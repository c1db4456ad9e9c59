//! A worker without a model: it announces itself, beats, and does with each job what it was told to.

use std::time::Duration;

use lowland_events::{
    Domain, Draft, Event, Filter, Money, Stored, Subject,
    id::{InstanceId, ModelId, RegionId, ServiceId, WorkerId},
    instance::{self, Ability},
    job::{self, DEADLINE_REASON, Finish, Problem, ProblemCode},
    log::{AppendError, SharedLog, Start},
    meter::{Meter, Usage},
    metric::Sampled,
    stream, token,
};
use lowland_scheduler::key::JobKey;
use tokio::{task::JoinHandle, time::sleep};

use super::Clock;

/// What a worker does with a job.
#[derive(Clone, Copy, PartialEq)]
pub enum Behaviour {
    /// Starts and completes it.
    Complete,
    /// Starts it, publishes three tokens, and goes on until it is told to stop.
    GoOn,
    /// Starts it, publishes three tokens, and says that it can't be done.
    Fail,
    /// Starts it and does not answer when told to stop.
    Deaf,
}

/// A running worker.
pub struct Worker {
    pub process: InstanceId,
    tasks: Vec<JoinHandle<()>>,
}

#[derive(Clone)]
struct Bench {
    log: SharedLog,
    clock: Clock,
    worker: WorkerId,
    instance: InstanceId,
    behaviour: Behaviour,
}

impl Worker {
    pub async fn start(log: SharedLog, clock: Clock, name: &str, slots: u32, behaviour: Behaviour) -> Self {
        let worker = WorkerId::new(name).unwrap();
        let process = InstanceId::new(format!("{name}-{}", clock.now().0)).unwrap();
        let instance = InstanceId::new(format!("{process}-m")).unwrap();
        let bench = Bench { log: log.clone(), clock, worker: worker.clone(), instance, behaviour };
        let filters = ["assigned", "cancel_requested"].map(|e| Filter::for_worker(Domain::Job, e, &worker));
        let mut jobs = log.follow(stream::LOG, &filters, Start::New).await.unwrap();
        bench.announce(&process, slots).await;
        let beats = tokio::spawn(beat(log, clock, process.clone()));
        let work = tokio::spawn(async move {
            loop {
                let event = Stored::try_from(&jobs.next().await.unwrap()).unwrap();
                bench.clone().work(event).await;
            }
        });
        Self { process, tasks: vec![beats, work] }
    }

    /// Dies without a word.
    pub fn kill(&self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

async fn beat(log: SharedLog, clock: Clock, process: InstanceId) {
    let subject = Subject::metric(&ServiceId::new("worker").unwrap(), &process, "sampled");
    for n in 0_u64.. {
        let cause = format!("{process}/{n}");
        let draft = Draft::new(subject.clone(), Sampled::default(), &cause, "worker/test", clock.now());
        let _ = log.append(draft.entry()).await;
        sleep(Duration::from_millis(500)).await;
    }
}

impl Bench {
    async fn announce(&self, process: &InstanceId, slots: u32) {
        let ready = instance::Ready {
            worker: self.worker.clone(),
            process: process.clone(),
            region: RegionId::new("local").unwrap(),
            ability: Ability::Generate,
            slots,
            context_tokens: 1000,
            ask: Money(10),
            provider: "cpu".into(),
        };
        let subject = Subject::instance(&ModelId::new("smol").unwrap(), &self.instance, "ready");
        let draft = Draft::new(subject, ready, self.instance.as_str(), "worker/test", self.clock.now());
        self.log.append(draft.entry_after(0)).await.unwrap();
    }

    async fn work(self, event: Stored) {
        let key = JobKey::of(&event.subject).unwrap();
        match &event.event {
            Event::Job(job::Event::Assigned(assigned)) if assigned.instance == self.instance => {
                self.run(&key, event.sequence, assigned.attempt).await;
            }
            Event::Job(job::Event::CancelRequested(cancel)) if cancel.instance == self.instance => {
                self.stop(&key, event.sequence, &cancel.reason).await;
            }
            _ => {}
        }
    }

    async fn run(&self, key: &JobKey, last: u64, attempt: u32) {
        let instance = self.instance.clone();
        let started = job::Started { instance: instance.clone(), attempt, resumed_tokens: 0 };
        let last = self.append(key, started, last).await;
        match self.behaviour {
            Behaviour::Complete => {
                let (output, usage) = (job::Output { text: "Hello".into(), ..Default::default() }, used());
                self.append(
                    key,
                    job::Completed { instance, attempt, finish: Finish::Stop, output, usage },
                    last,
                )
                .await;
            }
            Behaviour::GoOn => self.publish(key, attempt).await,
            Behaviour::Deaf => {}
            Behaviour::Fail => {
                self.publish(key, attempt).await;
                let (code, message) = (ProblemCode::ContextLengthExceeded, "too long".to_owned());
                let problem = Problem { code, message, field: None };
                self.append(key, job::AttemptFailed { instance, attempt, problem, retry: false }, last).await;
            }
        }
    }

    async fn stop(&self, key: &JobKey, last: u64, reason: &str) {
        if self.behaviour == Behaviour::Deaf {
            return;
        }
        let usage = used();
        let event: Event = if reason == DEADLINE_REASON {
            job::Expired { deadline: self.clock.now(), usage }.into()
        } else {
            job::Cancelled { reason: reason.to_owned(), usage }.into()
        };
        self.append(key, event, last).await;
    }

    async fn append(&self, key: &JobKey, event: impl Into<Event>, last: u64) -> u64 {
        let event = event.into();
        let cause = format!("{key}/{last}");
        let draft = Draft::new(key.subject(event.name()), event, &cause, "worker/test", self.clock.now());
        loop {
            match self.log.append(draft.entry_after(last)).await {
                Ok(appended) => return appended.sequence,
                Err(AppendError::Unanswered(_)) => {}
                Err(_) => return 0,
            }
        }
    }

    async fn publish(&self, key: &JobKey, attempt: u32) {
        let published = token::Published {
            attempt,
            first: 0,
            tokens: vec![1, 2, 3],
            text: "abc".into(),
            logprobs: Vec::new(),
            usage: used(),
        };
        let subject = Subject::token(&key.account, &key.job, attempt);
        let draft =
            Draft::new(subject, published, &format!("{key}/{attempt}"), "worker/test", self.clock.now());
        // As with a real worker, what the bus loses with its memory is no reason to stop.
        let _ = self.log.append(draft.entry()).await;
    }
}

/// What every fake job uses.
pub fn used() -> Usage {
    Usage::of([(Meter::InputTokens, 2), (Meter::OutputTokens, 3)])
}
