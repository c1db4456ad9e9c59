//! Tests read: given these events, when this, then these events. This is the "given": a state made of events, facts, and
//! a clock that stands where it is put. Decisions come back as lines of text.

use lowland_events::{
    Draft, Event, EventId, Money, Stored, Subject, Time, TraceContext,
    account::HoldPlaced,
    codec::BodyError,
    event::Unknown,
    id::{AccountId, InstanceId, JobId, ModelId, RegionId, WorkerId},
    instance::{self, Ability},
    job::{self, Finish, Problem, ProblemCode},
    meter::{Meter, Rates, Usage},
    request::{self, CancelRequested, Posted},
};
use lowland_host::State as _;

use crate::{
    config::Config,
    decide::{Decided, Round, decide},
    facts::{Facts, View},
    incoming::{Ask, Incoming},
    key::JobKey,
    liveness::HEARTBEAT_MS,
    state::State,
};

/// The model that instances have unless told otherwise.
pub(crate) const MODEL: &str = "smol";

/// A state, facts and a clock.
pub(crate) struct Given {
    pub(crate) state: State,
    pub(crate) facts: Facts,
    pub(crate) config: Config,
    pub(crate) requests: Vec<Incoming>,
    pub(crate) now: Time,
    sequence: u64,
}

/// `a/j1` as a key.
pub(crate) fn key(name: &str) -> JobKey {
    let (account, job) = name.split_once('/').unwrap();
    JobKey { account: AccountId::new(account).unwrap(), job: JobId::new(job).unwrap() }
}

pub(crate) fn instance(name: &str) -> InstanceId {
    InstanceId::new(name).unwrap()
}

pub(crate) fn hold(of: &JobId) -> HoldPlaced {
    HoldPlaced {
        job: of.clone(),
        model: ModelId::new(MODEL).unwrap(),
        amount: Money(5),
        price_version: "p1".into(),
        rates: Rates::default(),
        bounds: Usage::default(),
        postings: Vec::new(),
    }
}

pub(crate) fn output(tokens: u64) -> Usage {
    Usage::of([(Meter::OutputTokens, tokens)])
}

/// Worker `w1`'s process is `w1-p1`; its instance of the model `w1-p1-m`.
pub(crate) fn ready(worker: &str, process: &str) -> instance::Ready {
    instance::Ready {
        worker: WorkerId::new(worker).unwrap(),
        process: instance(process),
        region: RegionId::new("local").unwrap(),
        ability: Ability::Generate,
        slots: 1,
        context_tokens: 1000,
        ask: Money(10),
        provider: "cpu".into(),
    }
}

pub(crate) fn submitted(deadline: Time) -> job::Submitted {
    job::Submitted {
        model: ModelId::new(MODEL).unwrap(),
        task: job::Task::Completion { prompt: "Hi".into() },
        sampling: None,
        regions: Vec::new(),
        deadline,
        bounds: output(100),
        request_sequence: 0,
    }
}

impl Given {
    /// Nothing, at time 0.
    pub(crate) fn nothing() -> Self {
        Self {
            state: State::default(),
            facts: Facts::default(),
            config: Config::default(),
            requests: Vec::new(),
            now: Time(0),
            sequence: 0,
        }
    }

    /// One worker `w1` with one free slot.
    pub(crate) fn a_worker() -> Self {
        Self::nothing().ready("w1-p1-m", ready("w1", "w1-p1"))
    }

    /// An event happened.
    pub(crate) fn event(mut self, subject: Subject, event: impl Into<Event>) -> Self {
        let cause = format!("test/{}", self.sequence);
        self.fold(&Draft::new(subject, event, &cause, "test", self.now));
        self
    }

    pub(crate) fn fold(&mut self, draft: &Draft) {
        self.sequence += 1;
        self.state.evolve(&Stored {
            stream: "LOG".into(),
            sequence: self.sequence,
            stored_at: self.now,
            subject: draft.subject.clone(),
            meta: draft.meta.clone(),
            event: draft.event.clone(),
        });
    }

    pub(crate) fn ready(mut self, id: &str, ready: instance::Ready) -> Self {
        self.facts.liveness.heard(&ready.process, self.now);
        self.event(Subject::instance(&ModelId::new(MODEL).unwrap(), &instance(id), "ready"), ready)
    }

    pub(crate) fn stopped(self, id: &str) -> Self {
        let subject = Subject::instance(&ModelId::new(MODEL).unwrap(), &instance(id), "stopped");
        self.event(subject, instance::Stopped { reason: "test".into() })
    }

    pub(crate) fn job(self, name: &str, event: impl Into<Event>) -> Self {
        let event = event.into();
        self.event(key(name).subject(event.name()), event)
    }

    /// Accepted, with a deadline in a minute.
    pub(crate) fn submitted(self, name: &str) -> Self {
        let deadline = self.now.plus_ms(60_000);
        self.job(name, submitted(deadline))
    }

    pub(crate) fn held(self, name: &str) -> Self {
        let given = if self.state.job(&key(name)).is_none() { self.submitted(name) } else { self };
        let JobKey { account, job } = key(name);
        given.event(Subject::account(&account, "hold_placed"), hold(&job))
    }

    /// Accepted, held and given to `id` as its next attempt.
    pub(crate) fn assigned(self, name: &str, id: &str) -> Self {
        let given = if self.state.job(&key(name)).is_none() { self.held(name) } else { self };
        let job = given.state.job(&key(name)).unwrap();
        let worker = WorkerId::new(id.split('-').next().unwrap()).unwrap();
        let assigned = job::Assigned {
            worker: worker.clone(),
            instance: instance(id),
            attempt: job.attempt + 1,
            lease_ms: 2000,
            job: (*job.submitted).clone(),
            price_version: "p1".into(),
            considered: Vec::new(),
            considered_more: 0,
            decided_on: Vec::new(),
        };
        given.event(key(name).subject("assigned").to_worker(&worker), assigned)
    }

    fn fence(&self, name: &str) -> (InstanceId, u32) {
        let job = self.state.job(&key(name)).unwrap();
        (job.instance.clone().unwrap(), job.attempt)
    }

    pub(crate) fn started(self, name: &str) -> Self {
        self.resumed(name, 0)
    }

    pub(crate) fn resumed(self, name: &str, resumed_tokens: u32) -> Self {
        let (instance, attempt) = self.fence(name);
        self.job(name, job::Started { instance, attempt, resumed_tokens })
    }

    pub(crate) fn attempt_failed(self, name: &str, retry: bool) -> Self {
        self.attempt_failed_by(name, ProblemCode::WorkerFailed, retry)
    }

    pub(crate) fn attempt_failed_by(self, name: &str, code: ProblemCode, retry: bool) -> Self {
        let (instance, attempt) = self.fence(name);
        let problem = Problem { code, message: "it broke".into(), field: None };
        self.job(name, job::AttemptFailed { instance, attempt, problem, retry })
    }

    pub(crate) fn completed(self, name: &str, used: Usage) -> Self {
        let (instance, attempt) = self.fence(name);
        let (finish, output) = (Finish::Stop, job::Output::default());
        self.job(name, job::Completed { instance, attempt, finish, output, usage: used })
    }

    pub(crate) fn cancel_requested(self, name: &str, reason: &str) -> Self {
        let (instance, attempt) = self.fence(name);
        self.job(name, job::CancelRequested { instance, attempt, reason: reason.into() })
    }

    /// An event of the job that this build does not know.
    pub(crate) fn unknown(self, name: &str) -> Self {
        let unknown = Unknown { name: "annotated".into(), version: 1, body: bytes::Bytes::new() };
        self.event(key(name).subject("annotated"), Event::Unknown(unknown))
    }

    pub(crate) fn delivered(mut self, name: &str, usage: Usage) -> Self {
        self.facts.delivered.insert(key(name), usage);
        self
    }

    /// Time passes; everybody but `silent` is heard, our own echo too.
    pub(crate) fn pass(mut self, ms: u64, silent: &[&str]) -> Self {
        let end = self.now.plus_ms(ms);
        while self.now < end {
            self.now = self.now.plus_ms(HEARTBEAT_MS.min(end.ms_since(self.now)));
            self.facts.liveness.echoed(self.now);
            for process in self.state.fleet().processes().filter(|p| !silent.contains(&p.as_str())) {
                self.facts.liveness.heard(process, self.now);
            }
        }
        self
    }

    fn request(mut self, sequence: u64, name: &str, ask: Ask) -> Self {
        self.requests.push(Incoming {
            id: EventId::of_record("REQUESTS", sequence),
            sequence,
            stored_at: self.now,
            traceparent: Some(TraceContext::of_event(EventId::of_record("REQUESTS", 100 + sequence))),
            key: key(name),
            ask,
            delivered: 1,
        });
        self
    }

    /// Request `sequence` posts a job.
    pub(crate) fn posted(self, sequence: u64, name: &str, posted: Posted) -> Self {
        self.request(sequence, name, Ask::Post(Box::new(Ok(posted))))
    }

    pub(crate) fn posted_badly(self, sequence: u64, name: &str, error: BodyError) -> Self {
        self.request(sequence, name, Ask::Post(Box::new(Err(error))))
    }

    pub(crate) fn cancelled(self, sequence: u64, name: &str, reason: &str) -> Self {
        self.request(sequence, name, Ask::Cancel(Ok(CancelRequested { reason: Some(reason.into()) })))
    }

    pub(crate) fn round(&self) -> Round {
        let view = View {
            state: &self.state,
            facts: &self.facts,
            config: &self.config,
            source: "scheduler/test",
            now: self.now,
        };
        decide(&view, &self.requests.iter().collect::<Vec<_>>())
    }

    /// What is decided now, as text.
    pub(crate) fn when(&self) -> Vec<String> {
        let round = self.round();
        round.decided.iter().chain(round.replies.iter().map(|(_, reply)| reply)).map(line).collect()
    }

    /// What is decided until nothing is, each decision taken in.
    pub(crate) fn settle(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            let round = self.round();
            self.requests.retain(|request| !round.settled.contains(&request.sequence));
            if round.decided.is_empty() {
                return lines;
            }
            for decided in &round.decided {
                lines.push(line(decided));
                decided.decision.drafts().for_each(|draft| self.fold(draft));
            }
        }
    }
}

/// A decision as text: its subject without the root, and what matters of its body.
pub(crate) fn line(decided: &Decided) -> String {
    let draft = decided.decision.drafts().next().unwrap();
    let subject = draft.subject.to_string();
    let subject = subject.trim_start_matches("lowland.");
    match body(&draft.event) {
        body if body.is_empty() => subject.to_owned(),
        body => format!("{subject}: {body}"),
    }
}

fn body(event: &Event) -> String {
    let said = |problem: &Problem| format!("{:?}: {}", problem.code, problem.message);
    match event {
        Event::Job(job::Event::Assigned(e)) => format!("{} attempt {}", e.instance, e.attempt),
        Event::Job(job::Event::AttemptFailed(e)) => {
            format!("attempt {} {:?} retry {}", e.attempt, e.problem.code, e.retry)
        }
        Event::Job(job::Event::CancelRequested(e)) => format!("attempt {} {}", e.attempt, e.reason),
        Event::Job(job::Event::Rejected(e)) => said(&e.problem),
        Event::Job(job::Event::Failed(e)) => format!("{} after {}", said(&e.problem), e.attempts),
        Event::Job(job::Event::Cancelled(e)) => format!("{} used {}", e.reason, e.usage.output_tokens()),
        Event::Job(job::Event::Expired(e)) => format!("used {}", e.usage.output_tokens()),
        Event::Instance(instance::Event::Lost(e)) => e.reason.clone(),
        Event::Request(request::Event::Rejected(e)) => said(&e.problem),
        _ => String::new(),
    }
}
