//! What the scheduler tells of jobs to traces, from the events that it folds: the job as a whole, its admission, each wait
//! for a place, and attempts whose worker could not tell them itself. Pure: events in, spans out; all times are those at
//! which the server stored the events, one clock for all, so that spans lie within each other as what they stand for.

use std::collections::{BTreeMap, HashMap};

use lowland_events::{
    Event, EventId, Stored, Time, TraceContext,
    account::Event as Account,
    id::JobId,
    job::{Assigned, Event as Job, Submitted},
    meter::Usage,
    trace::{ATTEMPT_SPAN, PLACE_SPAN, operation},
};
use lowland_host::trace::{Kind, Span};

use crate::{incoming::Incoming, key::JobKey, state::used};

/// Jobs that are followed at once; further ones are not told. About 500 bytes each.
pub const JOBS_MAX: usize = 100_000;
/// Requests whose job has not begun: more than the desk ever has before it.
const REQUESTS_MAX: usize = 4096;

/// What is known of jobs that have not ended.
#[derive(Debug, Default)]
pub struct Story {
    /// What this process writes under: what others wrote, they tell.
    source: String,
    asked: BTreeMap<EventId, Asked>,
    lives: HashMap<JobKey, Life>,
}

/// A request.
#[derive(Debug, Clone, Copy)]
struct Asked {
    at: Time,
    parent: Option<TraceContext>,
}

/// A job under way.
#[derive(Debug)]
struct Life {
    context: TraceContext,
    asked: Asked,
    model: String,
    operation: &'static str,
    /// Since when it waits for what comes next.
    since: Time,
    attempt: Option<Attempt>,
    attempts: u32,
}

#[derive(Debug)]
struct Attempt {
    context: TraceContext,
    at: Time,
    number: u32,
    worker: String,
    instance: String,
}

/// What an event gave.
#[derive(Debug, Default)]
pub struct Told {
    /// Spans that are over.
    pub spans: Vec<Span>,
    /// A job that ended and whose beginning this process has not seen: its chain is to be read from the log.
    pub unknown: Option<JobKey>,
}

impl Story {
    /// A story as `source` tells it.
    #[must_use]
    pub fn new(source: &str) -> Self {
        Self { source: source.to_owned(), ..Self::default() }
    }

    /// A request arrived: its job's story begins with it.
    pub fn asked(&mut self, incoming: &Incoming) {
        self.asked_at(incoming.id, incoming.stored_at, incoming.traceparent);
    }

    /// The same, of a request that was read again.
    pub fn asked_at(&mut self, id: EventId, at: Time, parent: Option<TraceContext>) {
        if self.asked.len() < REQUESTS_MAX {
            self.asked.insert(id, Asked { at, parent });
        }
    }

    /// A request was settled: if it began a job, that is known by now.
    pub fn settled(&mut self, id: EventId) {
        self.asked.remove(&id);
    }

    /// Takes an event in.
    pub fn take(&mut self, stored: &Stored) -> Told {
        if let Event::Account(Account::HoldPlaced(hold)) = &stored.event {
            self.waits(stored, &hold.job);
        }
        let (Event::Job(event), Some(key)) = (&stored.event, JobKey::of(&stored.subject)) else {
            return Told::default();
        };
        let Some(context) = stored.meta.trace().filter(|context| context.is_sampled()) else {
            return Told::default();
        };
        let spans = match event {
            Job::Submitted(submitted) => self.begin(stored, context, key, submitted),
            Job::Assigned(assigned) => self.assigned(stored, &key, assigned),
            Job::AttemptFailed(failed) => self.attempt_failed(stored, &key, failed.problem.code.as_str()),
            Job::Held(_) | Job::Started(_) | Job::CancelRequested(_) => Vec::new(),
            Job::Rejected(_) | Job::Completed(_) | Job::Failed(_) | Job::Cancelled(_) | Job::Expired(_) => {
                return self.ended(stored, context, key, event);
            }
        };
        Told { spans, unknown: None }
    }

    fn begin(
        &mut self,
        stored: &Stored,
        context: TraceContext,
        key: JobKey,
        submitted: &Submitted,
    ) -> Vec<Span> {
        let asked = self.request_of(stored);
        let admitted = self.admission(stored, context, asked, None);
        if self.lives.len() < JOBS_MAX {
            let life = Life {
                context,
                asked,
                model: submitted.model.to_string(),
                operation: operation(&submitted.task),
                since: stored.stored_at,
                attempt: None,
                attempts: 0,
            };
            self.lives.insert(key, life);
        }
        admitted.into_iter().collect()
    }

    /// The request that a job's first event came from; if it was not seen, the job begins with that event.
    fn request_of(&mut self, first: &Stored) -> Asked {
        let asked = first.meta.causation.and_then(|request| self.asked.remove(&request));
        asked.unwrap_or(Asked { at: first.stored_at, parent: None })
    }

    fn admission(
        &self,
        first: &Stored,
        context: TraceContext,
        asked: Asked,
        failure: Option<&str>,
    ) -> Option<Span> {
        let request = first.meta.causation?;
        let span = self.own(first, context.span(request, "admit"), "admit", Kind::Consumer, asked.at)?;
        Some(consumed(span.below(Some(context)), "REQUESTS", request).failed_if(failure))
    }

    /// Paid for, the job waits for its place.
    fn waits(&mut self, hold: &Stored, job: &JobId) {
        let key = hold.subject.account_id().map(|account| JobKey { account, job: job.clone() });
        if let Some(life) = key.and_then(|key| self.lives.get_mut(&key)) {
            life.since = hold.stored_at;
        }
    }

    fn assigned(&mut self, stored: &Stored, key: &JobKey, assigned: &Assigned) -> Vec<Span> {
        let ours = self.is_ours(stored);
        let Some(life) = self.lives.get_mut(key) else { return Vec::new() };
        let attempt = Attempt {
            context: life.context.span(stored.meta.id, ATTEMPT_SPAN),
            at: stored.stored_at,
            number: assigned.attempt,
            worker: assigned.worker.to_string(),
            instance: assigned.instance.to_string(),
        };
        let considered = assigned.considered.len() + assigned.considered_more as usize;
        let span = life
            .place(stored)
            .with("lowland.attempt", i64::from(assigned.attempt))
            .with("lowland.worker", attempt.worker.clone())
            .with("lowland.candidates", i64::try_from(considered).unwrap_or(i64::MAX));
        life.attempts = assigned.attempt;
        life.attempt = Some(attempt);
        if ours { vec![span] } else { Vec::new() }
    }

    fn attempt_failed(&mut self, stored: &Stored, key: &JobKey, failure: &str) -> Vec<Span> {
        let ours = self.is_ours(stored);
        let Some(life) = self.lives.get_mut(key) else { return Vec::new() };
        life.since = stored.stored_at;
        let attempt = life.attempt.take();
        let span =
            attempt.filter(|_| ours).map(|attempt| life.lost(key, &attempt, stored.stored_at, failure));
        span.into_iter().collect()
    }

    /// The job has ended: whoever wrote that, the job's own span is ours to tell.
    fn ended(&mut self, stored: &Stored, context: TraceContext, key: JobKey, event: &Job) -> Told {
        let ours = self.is_ours(stored);
        let failure = failure(event);
        let Some(life) = self.lives.remove(&key) else {
            return self.ended_unseen(stored, context, key, failure);
        };
        let mut spans = Vec::new();
        match &life.attempt {
            Some(attempt) if ours => {
                let outcome = stored.event.name().to_owned();
                spans.push(life.lost(&key, attempt, stored.stored_at, failure.unwrap_or(&outcome)));
            }
            None if ours => spans.push(life.place(stored).failed(stored.event.name())),
            Some(_) | None => {}
        }
        let span = job(&key, life.context, life.asked, stored)
            .with("gen_ai.operation.name", life.operation)
            .with("gen_ai.request.model", life.model)
            .with("lowland.attempts", i64::from(life.attempts))
            .failed_if(failure);
        spans.push(used(event).map_or(span.clone(), |usage| with_usage(span, usage)));
        Told { spans, unknown: None }
    }

    /// It was rejected at once, or began before this process did.
    fn ended_unseen(
        &mut self,
        stored: &Stored,
        context: TraceContext,
        key: JobKey,
        failure: Option<&str>,
    ) -> Told {
        let asked = stored.meta.causation.and_then(|request| self.asked.remove(&request));
        let Some(asked) = asked else { return Told { spans: Vec::new(), unknown: Some(key) } };
        let admission = self.admission(stored, context, asked, failure);
        let job = job(&key, context, asked, stored).failed_if(failure);
        Told { spans: admission.into_iter().chain([job]).collect(), unknown: None }
    }

    fn is_ours(&self, stored: &Stored) -> bool {
        stored.meta.source == self.source
    }

    /// A span that ends with an event, if that is ours.
    fn own(
        &self,
        stored: &Stored,
        context: TraceContext,
        name: &'static str,
        kind: Kind,
        start: Time,
    ) -> Option<Span> {
        self.is_ours(stored).then(|| Span::new(context, name, kind, start, stored.stored_at))
    }
}

impl Life {
    /// The wait for a place, which this event ends; named by the event, of which there is one a wait.
    fn place(&self, stored: &Stored) -> Span {
        let context = self.context.span(stored.meta.id, PLACE_SPAN);
        Span::new(context, "place", Kind::Internal, self.since, stored.stored_at)
            .below(Some(self.context))
            .with("gen_ai.request.model", self.model.clone())
    }

    /// An attempt that its worker did not live to tell.
    fn lost(&self, key: &JobKey, attempt: &Attempt, end: Time, failure: &str) -> Span {
        let name = format!("{} {}", self.operation, self.model);
        Span::new(attempt.context, name, Kind::Internal, attempt.at, end)
            .below(Some(self.context))
            .with("gen_ai.operation.name", self.operation)
            .with("gen_ai.provider.name", "lowland")
            .with("gen_ai.request.model", self.model.clone())
            .with("lowland.id.account", key.account.to_string())
            .with("lowland.id.job", key.job.to_string())
            .with("lowland.attempt", i64::from(attempt.number))
            .with("lowland.worker", attempt.worker.clone())
            .with("lowland.worker.instance", attempt.instance.clone())
            .failed(failure)
    }
}

/// The job as a whole: from its request to its end.
fn job(key: &JobKey, context: TraceContext, asked: Asked, end: &Stored) -> Span {
    Span::new(context, "job", Kind::Internal, asked.at, end.stored_at)
        .below(asked.parent)
        .with("lowland.id.account", key.account.to_string())
        .with("lowland.id.job", key.job.to_string())
        .with("lowland.outcome", end.event.name().to_owned())
}

/// A message of `stream` that something reacts to.
fn consumed(span: Span, stream: &'static str, id: EventId) -> Span {
    span.with("messaging.system", "nats")
        .with("messaging.operation.type", "process")
        .with("messaging.destination.name", stream)
        .with("messaging.message.id", id.to_string())
}

fn with_usage(span: Span, usage: &Usage) -> Span {
    let int = |value| i64::try_from(value).unwrap_or(i64::MAX);
    span.with("gen_ai.usage.input_tokens", int(usage.prompt_tokens()))
        .with("gen_ai.usage.output_tokens", int(usage.output_tokens()))
}

/// The kind of failure that an end is; one that was asked for is none.
fn failure(event: &Job) -> Option<&'static str> {
    match event {
        Job::Rejected(event) => Some(event.problem.code.as_str()),
        Job::Failed(event) => Some(event.problem.code.as_str()),
        Job::Expired(_) => Some("expired"),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
