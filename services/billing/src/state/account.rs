//! One customer: what waits, what is held, what has ended, which top-ups counted. An event that does not fit is refused,
//! and the caller then leaves the ledger as it is.

use std::collections::{BTreeMap, BTreeSet};

use lowland_events::{
    EventId, Money, Stored, Time,
    account::{Charged, Event, HoldPlaced, HoldReleased, ToppedUp},
    id::{JobId, ModelId},
    job,
    meter::{Rates, Usage},
};
use serde::{Deserialize, Serialize};

/// How a job ended that was over before its hold was stored.
const OVER: &str = "over";

/// One customer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Account {
    /// Sequence of the last event of the account's aggregate.
    pub last: u64,
    /// Top-ups that counted, with the id of the request that asked for each.
    pub topups: BTreeMap<JobId, Option<Cause>>,
    /// Jobs that wait for their hold, by the sequence of their `submitted`.
    pub waiting: BTreeMap<u64, Waiting>,
    /// The same jobs' sequences by id.
    waiting_jobs: BTreeMap<JobId, u64>,
    /// Open holds.
    pub holds: BTreeMap<JobId, Hold>,
    /// Jobs that have ended and whose hold is still open.
    pub ended: BTreeSet<JobId>,
}

/// A job that waits for its hold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Waiting {
    /// The job.
    pub job: JobId,
    /// Sequence of the last event of the job's aggregate.
    pub last: u64,
    /// The model.
    pub model: ModelId,
    /// The most that it can use.
    pub bounds: Usage,
    /// When it was submitted: what decides on the version of the price book.
    pub submitted_at: Time,
    /// Its `submitted`.
    pub cause: Cause,
}

/// Money set aside for a job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hold {
    /// The job's model.
    pub model: ModelId,
    /// What of it is still set aside.
    pub amount: Money,
    /// Version of the price book.
    pub price_version: String,
    /// Prices.
    pub rates: Rates,
    /// Whether the job has been charged, and only the rest is to go back.
    pub charged: bool,
    /// How the job ended, once it has.
    pub end: Option<End>,
}

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct End {
    /// The terminal event's name.
    pub outcome: String,
    /// What was delivered.
    pub usage: Usage,
    /// The terminal event.
    pub cause: Cause,
}

/// An event that leads to another: its id and its trace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// The event's id, as text.
    pub id: String,
    /// W3C trace context.
    pub traceparent: Option<String>,
}

impl Cause {
    /// The cause that `event` is.
    #[must_use]
    pub fn of(event: &Stored) -> Self {
        Self::new(event.meta.id, event.meta.traceparent.clone())
    }

    fn new(id: EventId, traceparent: Option<String>) -> Self {
        Self { id: id.to_string(), traceparent }
    }
}

impl Account {
    /// Whether there is something to decide.
    pub(super) fn is_due(&self) -> bool {
        !self.waiting.is_empty() || !self.ended.is_empty()
    }

    pub(super) fn wait(&mut self, job: JobId, submitted: &job::Submitted, event: &Stored) {
        self.waiting_jobs.insert(job.clone(), event.sequence);
        let waiting = Waiting {
            job,
            last: event.sequence,
            model: submitted.model.clone(),
            bounds: submitted.bounds.clone(),
            submitted_at: event.meta.time,
            cause: Cause::of(event),
        };
        self.waiting.insert(event.sequence, waiting);
    }

    /// Whether it has waited.
    pub(super) fn no_longer_waiting(&mut self, job: &JobId) -> bool {
        let sequence = self.waiting_jobs.remove(job);
        sequence.is_some_and(|sequence| self.waiting.remove(&sequence).is_some())
    }

    pub(super) fn job_moved(&mut self, job: &JobId, sequence: u64) {
        if let Some(waiting) = self.waiting_jobs.get(job).and_then(|at| self.waiting.get_mut(at)) {
            waiting.last = sequence;
        }
    }

    pub(super) fn job_ended(&mut self, job: &JobId, event: &Stored, usage: &Usage) {
        self.no_longer_waiting(job);
        if let Some(hold) = self.holds.get_mut(job).filter(|hold| hold.end.is_none()) {
            let outcome = event.event.name().to_owned();
            hold.end = Some(End { outcome, usage: usage.clone(), cause: Cause::of(event) });
            self.ended.insert(job.clone());
        }
    }

    /// Takes an event in, unless it does not fit.
    pub(super) fn take(&mut self, body: &Event, event: &Stored) -> bool {
        match body {
            Event::ToppedUp(body) => self.top_up(body, event),
            Event::HoldPlaced(body) => self.place(body, event),
            Event::Charged(body) => self.charge(body),
            Event::HoldReleased(body) => self.release(body),
        }
    }

    fn top_up(&mut self, body: &ToppedUp, event: &Stored) -> bool {
        let new = !self.topups.contains_key(&body.topup);
        if new {
            let cause = event.meta.causation.map(|id| Cause::new(id, None));
            self.topups.insert(body.topup.clone(), cause);
        }
        new
    }

    /// A job that ended before its hold was stored does not wait for one: what is set aside goes back.
    fn place(&mut self, body: &HoldPlaced, event: &Stored) -> bool {
        let new = !self.holds.contains_key(&body.job);
        if new {
            let waited = self.no_longer_waiting(&body.job);
            let nothing =
                || End { outcome: OVER.to_owned(), usage: Usage::default(), cause: Cause::of(event) };
            if !waited {
                self.ended.insert(body.job.clone());
            }
            let hold = Hold {
                model: body.model.clone(),
                amount: body.amount,
                price_version: body.price_version.clone(),
                rates: body.rates.clone(),
                charged: false,
                end: (!waited).then(nothing),
            };
            self.holds.insert(body.job.clone(), hold);
        }
        new
    }

    fn charge(&mut self, body: &Charged) -> bool {
        let rest = |hold: &Hold| hold.amount - body.amount;
        let fits = |hold: &&mut Hold| {
            !hold.charged && rest(hold) >= Money::ZERO && body.released.is_none_or(|back| back == rest(hold))
        };
        let Some(hold) = self.holds.get_mut(&body.job).filter(fits) else { return false };
        hold.charged = true;
        hold.amount = rest(hold) - body.released.unwrap_or_default();
        if hold.amount == Money::ZERO {
            self.close(&body.job);
        }
        true
    }

    fn release(&mut self, body: &HoldReleased) -> bool {
        let fits = self.holds.get(&body.job).is_some_and(|hold| hold.amount == body.amount);
        if fits {
            self.close(&body.job);
        }
        fits
    }

    fn close(&mut self, job: &JobId) {
        self.holds.remove(job);
        self.ended.remove(job);
    }
}
