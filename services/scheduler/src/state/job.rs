//! One open job, and how its events change it.

use std::sync::Arc;

use lowland_events::{
    EventId, Stored, Time,
    account::HoldPlaced,
    id::InstanceId,
    job::{DEADLINE_REASON, Event, Problem, ProblemCode, Submitted},
    meter::Usage,
};
use serde::{Deserialize, Serialize};

use crate::{
    lifecycle::Phase,
    queue::{self, Regions},
};

/// Attempts in a row that bring no token before a job is given up.
pub const ATTEMPTS_BARREN_MAX: u32 = 4;
/// Attempts of any kind before a job is given up: it may move often (workers that stop in good order, attempts that each
/// bring a few tokens), but not for ever.
pub const ATTEMPTS_MAX: u32 = 64;
/// Time that a worker has to begin a job that it was given, in milliseconds, while the bus is open.
pub const START_MS: u64 = 15_000;
/// Time that a worker has to answer a cancel request before the job is ended over its head, in milliseconds.
pub const CANCEL_ANSWER_MS: u64 = 10_000;

/// A job that has not ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// Where it stands.
    pub phase: Phase,
    /// Sequence of its last event: what the next append expects.
    pub last: u64,
    /// Id of its last event, or of its hold: what the next one follows from.
    pub last_id: EventId,
    /// Id of the request that it came from.
    pub origin: EventId,
    /// W3C trace context, handed on to every event.
    pub traceparent: Option<String>,
    /// What is to be done.
    pub submitted: Arc<Submitted>,
    /// Bytes of its texts: what it costs in memory here, about.
    pub bytes: u64,
    /// Allowed regions in order, each once.
    pub regions: Regions,
    /// Its place in line: sequence of its first event.
    pub ticket: u64,
    /// Version of the price book, once it is paid for in advance.
    pub price_version: Option<String>,
    /// The fence of the last attempt; 0 before the first.
    pub attempt: u32,
    /// Attempts in a row, with the one under way, of which no token is known.
    pub barren: u32,
    /// Tokens that the latest attempt to begin has taken over.
    pub resumed_tokens: u32,
    /// When the last attempt was given out; before the first, when the job was accepted.
    pub assigned_at: Time,
    /// Where the last attempt was given.
    pub instance: Option<InstanceId>,
    /// Where attempts came to nothing.
    pub failed_on: Vec<InstanceId>,
    /// Whether any attempt began, so that something may have been delivered.
    pub has_started: bool,
    /// The wish to end it, once a worker was told.
    pub cancel: Option<Cancel>,
    /// What became of the last attempt.
    pub failure: Option<Failure>,
}

/// A wish to end a job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cancel {
    /// Why.
    pub reason: String,
    /// When the worker was told.
    pub asked_at: Time,
}

impl Cancel {
    /// Whether it is the deadline's, rather than the caller's.
    #[must_use]
    pub fn is_deadline(&self) -> bool {
        self.reason == DEADLINE_REASON
    }
}

/// What became of an attempt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// Why it came to nothing.
    pub problem: Problem,
    /// Whether another attempt could succeed.
    pub retry: bool,
}

impl Job {
    /// A job as its first event describes it.
    pub(super) fn new(stored: &Stored, submitted: &Submitted) -> Self {
        let mut regions = submitted.regions.clone();
        regions.sort();
        regions.dedup();
        Self {
            phase: Phase::Submitted,
            last: stored.sequence,
            last_id: stored.meta.id,
            origin: origin(stored),
            traceparent: stored.meta.traceparent.clone(),
            submitted: Arc::new(submitted.clone()),
            bytes: submitted.task.bytes(),
            regions,
            ticket: stored.sequence,
            price_version: None,
            attempt: 0,
            barren: 0,
            resumed_tokens: 0,
            assigned_at: stored.meta.time,
            instance: None,
            failed_on: Vec::new(),
            has_started: false,
            cancel: None,
            failure: None,
        }
    }

    /// Whether an event of an attempt carries the fence that is valid now.
    pub(super) fn has_fence_of(&self, event: &Event) -> bool {
        let (instance, attempt) = match event {
            Event::Assigned(event) => return event.attempt > self.attempt,
            Event::Started(event) => (&event.instance, event.attempt),
            Event::AttemptFailed(event) => (&event.instance, event.attempt),
            Event::CancelRequested(event) => (&event.instance, event.attempt),
            Event::Completed(event) => (&event.instance, event.attempt),
            _ => return true,
        };
        self.attempt == attempt && self.instance.as_ref() == Some(instance)
    }

    /// Takes in that it is paid for in advance: what follows, follows from that.
    pub(super) fn hold(&mut self, stored: &Stored, hold: &HoldPlaced) {
        self.phase = Phase::Held;
        self.price_version = Some(hold.price_version.clone());
        self.last_id = stored.meta.id;
    }

    /// Takes in an event that leaves the job open.
    pub(super) fn go_on(&mut self, phase: Phase, stored: &Stored, event: &Event) {
        self.phase = phase;
        match event {
            Event::Assigned(assigned) => {
                self.attempt = assigned.attempt;
                self.assigned_at = stored.meta.time;
                self.barren += 1;
                self.instance = Some(assigned.instance.clone());
                self.failure = None;
            }
            Event::Started(started) => {
                self.has_started = true;
                if started.resumed_tokens > self.resumed_tokens {
                    self.resumed_tokens = started.resumed_tokens;
                    self.barren = 1;
                }
            }
            Event::AttemptFailed(failed) => {
                if failed.problem.code == ProblemCode::WorkerStopped {
                    self.barren = self.barren.saturating_sub(1);
                }
                self.failed_on.push(failed.instance.clone());
                self.failure = Some(Failure { problem: failed.problem.clone(), retry: failed.retry });
            }
            Event::CancelRequested(cancel) => {
                self.cancel = Some(Cancel { reason: cancel.reason.clone(), asked_at: stored.meta.time });
            }
            _ => {}
        }
    }

    /// Whether it waits for a place: paid for, and worth another attempt.
    #[must_use]
    pub fn wants_place(&self) -> bool {
        match self.phase {
            Phase::Held => true,
            Phase::AttemptFailed => {
                let retry = self.failure.as_ref().is_some_and(|failure| failure.retry);
                retry && self.cancel.is_none() && !self.is_spent()
            }
            _ => false,
        }
    }

    /// Whether no further attempt is worth it.
    #[must_use]
    pub fn is_spent(&self) -> bool {
        self.barren >= ATTEMPTS_BARREN_MAX || self.attempt >= ATTEMPTS_MAX
    }

    /// By when the worker that was given the job must have begun.
    #[must_use]
    pub fn start_due(&self) -> Time {
        self.assigned_at.plus_ms(START_MS)
    }

    /// The service that its bounds stand for.
    #[must_use]
    pub fn bounds(&self) -> u64 {
        queue::service(&self.submitted.bounds)
    }
}

/// Id of the request that a first event came from.
pub(super) fn origin(first: &Stored) -> EventId {
    first.meta.causation.unwrap_or(first.meta.id)
}

/// What a terminal event says was used.
pub(crate) fn used(event: &Event) -> Option<&Usage> {
    match event {
        Event::Completed(event) => Some(&event.usage),
        Event::Failed(event) => Some(&event.usage),
        Event::Cancelled(event) => Some(&event.usage),
        Event::Expired(event) => Some(&event.usage),
        _ => None,
    }
}
