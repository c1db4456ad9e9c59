//! One assignment of a job to this worker: what it is, and how its events are made.

mod ending;
mod standing;

use lowland_events::{
    Draft, Event, EventId, Filter, Stored, Subject, Time, TraceContext,
    id::{AccountId, JobId},
    job::{Assigned, Event as JobEvent},
    token::Published,
};

pub use ending::Ending;
pub use standing::{Standing, standing};

/// A job's name: its account, and its id there.
pub type Key = (AccountId, JobId);

/// A job, assigned to an instance of this worker.
#[derive(Debug, Clone, PartialEq)]
pub struct Assignment {
    /// Which job.
    pub key: Key,
    /// What was assigned.
    pub assigned: Assigned,
    /// Id of the event that assigned it.
    pub id: EventId,
    /// Sequence of that event.
    pub sequence: u64,
    /// When it was stored.
    pub assigned_at: Time,
    /// The trace that the job is part of.
    pub traceparent: Option<String>,
}

impl Assignment {
    /// The assignment that an event makes, if it makes one.
    #[must_use]
    pub fn of(event: &Stored) -> Option<Self> {
        let Event::Job(JobEvent::Assigned(assigned)) = &event.event else { return None };
        Some(Self {
            key: (event.subject.account_id()?, event.subject.job_id()?),
            assigned: assigned.clone(),
            id: event.meta.id,
            sequence: event.sequence,
            assigned_at: event.stored_at,
            traceparent: event.meta.traceparent.clone(),
        })
    }

    /// The job's place in its trace.
    #[must_use]
    pub fn trace(&self) -> Option<TraceContext> {
        self.traceparent.as_ref()?.parse().ok()
    }

    /// The fence.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.assigned.attempt
    }

    /// An event of the job. Its id follows from the assignment and its name, so that one that is sent twice is stored once.
    #[must_use]
    pub fn event(&self, event: impl Into<JobEvent>, source: &str, now: Time) -> Draft {
        let event: JobEvent = event.into();
        let name = event.event_type().name;
        let subject = Subject::job(&self.key.0, &self.key.1, name);
        Draft::new(subject, event, &self.id.to_string(), source, now).traced(self.traceparent.clone())
    }

    /// Record `ordinal` of the tokens of this attempt.
    #[must_use]
    pub fn tokens(&self, record: Published, ordinal: u32, source: &str, now: Time) -> Draft {
        let subject = Subject::token(&self.key.0, &self.key.1, self.attempt());
        let cause = format!("{}/{ordinal}", self.id);
        let mut draft = Draft::new(subject, record, &cause, source, now).traced(self.traceparent.clone());
        draft.meta.causation = Some(self.id);
        draft
    }

    /// The id of that record.
    #[must_use]
    pub fn tokens_id(&self, ordinal: u32) -> EventId {
        let subject = Subject::token(&self.key.0, &self.key.1, self.attempt());
        EventId::derived(&format!("{}/{ordinal}", self.id), &subject.to_string(), 0)
    }

    /// All of the job's events.
    #[must_use]
    pub fn events_filter(&self) -> Filter {
        Filter::aggregate(lowland_events::Domain::Job, self.key.0.as_str(), self.key.1.as_str())
    }

    /// All of the job's token records.
    #[must_use]
    pub fn tokens_filter(&self) -> Filter {
        Filter::aggregate(lowland_events::Domain::Token, self.key.0.as_str(), self.key.1.as_str())
    }
}
