//! What billing tells of jobs to traces, from the events that it folds: setting money aside and charging. Pure: events in,
//! spans out; all times are those at which the server stored the events.

use std::collections::HashMap;

use lowland_events::{
    Event, EventId, Stored, Time, TraceContext,
    account::{Charged, Event as Account, HoldPlaced},
    id::{AccountId, JobId},
    job::Event as Job,
};
use lowland_host::trace::{Kind, Span};

/// Jobs of which something is still to be told; further ones are not told. About 200 bytes each.
pub const JOBS_MAX: usize = 100_000;

type Key = (AccountId, JobId);

/// What is known of jobs that billing is yet to decide on.
#[derive(Debug, Default)]
pub struct Story {
    /// What this process writes under: what others wrote, they tell.
    source: String,
    causes: HashMap<Key, Cause>,
}

/// The job's event that billing reacts to.
#[derive(Debug, Clone, Copy)]
struct Cause {
    id: EventId,
    at: Time,
    /// Whether money is set aside for the job.
    held: bool,
}

impl Story {
    /// A story as `source` tells it.
    #[must_use]
    pub fn new(source: &str) -> Self {
        Self { source: source.to_owned(), causes: HashMap::new() }
    }

    /// Takes an event in; gives the span that it ends, if it ends one of ours.
    pub fn take(&mut self, stored: &Stored) -> Option<Span> {
        let job = stored.meta.trace().filter(|job| job.is_sampled())?;
        let account = stored.subject.account_id()?;
        match &stored.event {
            Event::Job(event) => self.of_job(stored, job, (account, stored.subject.job_id()?), event),
            Event::Account(event) => self.of_account(stored, job, account, event),
            _ => None,
        }
    }

    fn of_account(
        &mut self,
        stored: &Stored,
        job: TraceContext,
        account: AccountId,
        event: &Account,
    ) -> Option<Span> {
        match event {
            Account::HoldPlaced(body) => {
                let key = (account, body.job.clone());
                let span = self.reaction(stored, job, &key, "hold");
                self.causes.entry(key).and_modify(|cause| cause.held = true);
                span.map(|span| held(span, body))
            }
            Account::Charged(body) => {
                let key = (account, body.job.clone());
                let span = self.reaction(stored, job, &key, "charge");
                self.causes.remove(&key);
                span.map(|span| charged(span, body))
            }
            // Beside a charge it is a part of that.
            Account::HoldReleased(body) => {
                let key = (account, body.job.clone());
                let span = self.reaction(stored, job, &key, "release");
                self.causes.remove(&key).and(span)
            }
            Account::ToppedUp(_) => None,
        }
    }

    fn of_job(&mut self, stored: &Stored, job: TraceContext, key: Key, event: &Job) -> Option<Span> {
        match event {
            Job::Submitted(_) if self.causes.len() < JOBS_MAX => {
                self.causes.insert(key, Cause { id: stored.meta.id, at: stored.stored_at, held: false });
                None
            }
            Job::Rejected(body) if stored.meta.source == self.source => {
                let span = self.reaction(stored, job, &key, "hold");
                self.causes.remove(&key);
                span.map(|span| span.failed(body.problem.code.name()))
            }
            Job::Rejected(_) | Job::Completed(_) | Job::Failed(_) | Job::Cancelled(_) | Job::Expired(_) => {
                self.job_ended(key, stored);
                None
            }
            _ => None,
        }
    }

    /// What is set aside is to be charged or given back; where nothing is, nothing is left to tell.
    fn job_ended(&mut self, key: Key, stored: &Stored) {
        if self.causes.get(&key).is_some_and(|cause| cause.held) {
            self.causes.insert(key, Cause { id: stored.meta.id, at: stored.stored_at, held: true });
        } else {
            self.causes.remove(&key);
        }
    }

    /// What billing did about the job's last event, as a span that this event ends; nothing if another process did it. If
    /// that last event was before our time, the span begins when the decision was taken.
    fn reaction(&self, stored: &Stored, job: TraceContext, key: &Key, role: &'static str) -> Option<Span> {
        if stored.meta.source != self.source {
            return None;
        }
        let cause = stored.meta.causation?;
        let known = self.causes.get(key).filter(|known| known.id == cause);
        let start = known.map_or(stored.meta.time, |known| known.at);
        let span = Span::new(job.span(cause, role), role, Kind::Consumer, start, stored.stored_at)
            .below(Some(job))
            .with("messaging.system", "nats")
            .with("messaging.operation.type", "process")
            .with("messaging.destination.name", "LOG")
            .with("messaging.message.id", cause.to_string())
            .with("lowland.account", key.0.to_string())
            .with("lowland.job", key.1.to_string());
        Some(span)
    }
}

fn held(span: Span, body: &HoldPlaced) -> Span {
    span.with("gen_ai.request.model", body.model.to_string())
        .with("lowland.amount", body.amount.to_units())
        .with("lowland.price_version", body.price_version.clone())
}

fn charged(span: Span, body: &Charged) -> Span {
    span.with("gen_ai.request.model", body.model.to_string())
        .with("lowland.amount", body.amount.to_units())
        .with("lowland.price_version", body.price_version.clone())
        .with("lowland.outcome", body.outcome.clone())
}
