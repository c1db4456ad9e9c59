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
            // Beside a charge, in logs of earlier builds, it is a part of that.
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
                span.map(|span| span.failed(body.problem.code.as_str()))
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
            .with("lowland.id.account", key.0.to_string())
            .with("lowland.id.job", key.1.to_string());
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

#[cfg(test)]
mod tests {
    use lowland_events::{
        Draft, Money, Subject,
        account::HoldReleased,
        id::ModelId,
        job::{Cancelled, Problem, ProblemCode, Rejected, Submitted, Task},
        meter::{Rates, Usage},
    };

    use super::*;

    const OURS: &str = "billing/one";

    fn key() -> Key {
        (AccountId::new("acme").unwrap(), JobId::new("j").unwrap())
    }

    fn context() -> TraceContext {
        TraceContext::of_event(EventId::of_record("REQUESTS", 1)).sampled(true)
    }

    fn stored(at: u64, subject: Subject, event: Event, cause: u64, source: &str) -> Stored {
        let cause = EventId::of_record("LOG", cause).to_string();
        let mut meta = Draft::new(subject.clone(), event.clone(), &cause, source, Time(at as i64 - 1)).meta;
        (meta.id, meta.traceparent) = (EventId::of_record("LOG", at), Some(context().to_string()));
        Stored { stream: "LOG".into(), sequence: at, stored_at: Time(at as i64), subject, meta, event }
    }

    fn of_job(at: u64, event: impl Into<Event>, cause: u64, source: &str) -> Stored {
        let event: Event = event.into();
        let subject = Subject::job(&key().0, &key().1, event.name());
        stored(at, subject, event, cause, source)
    }

    fn of_account(at: u64, event: impl Into<Event>, cause: u64) -> Stored {
        let event: Event = event.into();
        let subject = Subject::account(&key().0, event.name());
        stored(at, subject, event, cause, OURS)
    }

    fn submitted() -> Submitted {
        Submitted {
            model: ModelId::new("m").unwrap(),
            task: Task::Completion { prompt: "a".into() },
            sampling: None,
            regions: Vec::new(),
            deadline: Time(9),
            bounds: Usage::default(),
            request_sequence: 1,
        }
    }

    fn placed() -> HoldPlaced {
        HoldPlaced {
            job: key().1,
            model: ModelId::new("m").unwrap(),
            amount: Money(5),
            price_version: "v".into(),
            rates: Rates::default(),
            bounds: Usage::default(),
            postings: Vec::new(),
        }
    }

    fn charged() -> Charged {
        Charged {
            job: key().1,
            model: ModelId::new("m").unwrap(),
            amount: Money(3),
            lines: Vec::new(),
            price_version: "v".into(),
            outcome: "cancelled".into(),
            waived: Money(0),
            released: None,
            postings: Vec::new(),
        }
    }

    fn released() -> HoldReleased {
        HoldReleased { job: key().1, amount: Money(2), postings: Vec::new() }
    }

    fn cancelled() -> Cancelled {
        Cancelled { reason: "x".into(), usage: Usage::default() }
    }

    fn told(events: &[Stored]) -> (Vec<String>, Story) {
        let mut story = Story::new(OURS);
        let spans = events.iter().filter_map(|event| story.take(event));
        let line = |span: Span| {
            let (start, end) = span.times();
            assert_eq!(span.parent(), Some(context()));
            format!("{} {}..{}", span.name(), start.0, end.0)
        };
        (spans.map(line).collect(), story)
    }

    #[test]
    fn a_hold_and_a_charge_are_told_once_each() {
        let (spans, story) = told(&[
            of_job(1, submitted(), 0, "scheduler/one"),
            of_account(4, placed(), 1),
            of_job(7, cancelled(), 6, "worker/one"),
            of_account(9, charged(), 7),
            of_account(10, released(), 7),
        ]);
        assert_eq!(spans, ["hold 1..4", "charge 7..9"]);
        assert!(story.causes.is_empty(), "{story:?}");
    }

    #[test]
    fn what_only_goes_back_is_told_too() {
        let (spans, story) = told(&[
            of_job(1, submitted(), 0, "scheduler/one"),
            of_account(4, placed(), 1),
            of_job(7, cancelled(), 6, "scheduler/one"),
            of_account(10, released(), 7),
        ]);
        assert_eq!(spans, ["hold 1..4", "release 7..10"]);
        assert!(story.causes.is_empty(), "{story:?}");
    }

    #[test]
    fn jobs_that_billing_has_nothing_to_do_with_are_forgotten() {
        let (spans, story) =
            told(&[of_job(1, submitted(), 0, "scheduler/one"), of_job(7, cancelled(), 1, "scheduler/one")]);
        assert!(spans.is_empty() && story.causes.is_empty(), "{story:?}");
    }

    #[test]
    fn a_refusal_is_a_hold_that_failed() {
        let problem = Problem { code: ProblemCode::InsufficientFunds, message: "no".into(), field: None };
        let mut story = Story::new(OURS);
        story.take(&of_job(1, submitted(), 0, "scheduler/one"));
        let span = story.take(&of_job(3, Rejected { problem }, 1, OURS)).unwrap();
        assert_eq!(span.attribute("error.type").as_deref(), Some("insufficient_funds"));
        assert_eq!(span.name(), "hold");
    }

    #[test]
    fn what_began_before_us_is_told_from_the_decision_on_and_what_others_did_not_at_all() {
        assert_eq!(told(&[of_account(9, charged(), 7)]).0, ["charge 8..9"]);
        let mut others = of_account(9, charged(), 7);
        others.meta.source = "billing/two".into();
        assert_eq!(told(&[others]).0, [""; 0]);
    }
}
