//! From what is known to what is to happen: pure, and without an edge to miss. Whatever is due is decided each time, until
//! the state says that it has happened; a decision that is taken again has the same event id.
//!
//! Nothing in here awaits, reads a clock or looks at a job about which nothing is due.

mod assign;
mod endings;
mod lost;
mod requests;

use std::collections::BTreeSet;

use lowland_events::{Draft, Event, Subject};
use lowland_host::Decision;

use crate::{
    facts::View,
    incoming::Incoming,
    key::JobKey,
    state::{Instance, Job},
};

pub use requests::CANCEL_DELIVERIES_MAX;

/// Decisions in one round: enough to fill the log's pipeline, few enough to look up between rounds.
pub const ROUND_DECISIONS_MAX: usize = 256;

/// An event to store, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Decided {
    /// What is to be stored.
    pub decision: Decision,
    /// Why, for people.
    pub why: String,
}

/// What is to happen now.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Round {
    /// Events for the log.
    pub decided: Vec<Decided>,
    /// Answers on the request stream, by the request's sequence.
    pub replies: Vec<(u64, Decided)>,
    /// Requests whose outcome stands in the log.
    pub settled: Vec<u64>,
    /// Requests that are to be delivered again: what they are about may yet arrive.
    pub later: Vec<u64>,
    /// Jobs of which it has to be known what was delivered before they can be ended.
    pub wanted: BTreeSet<JobKey>,
    touched: BTreeSet<JobKey>,
}

/// Decides everything that is due, of `requests` too.
#[must_use]
pub fn decide(view: &View<'_>, requests: &[&Incoming]) -> Round {
    let mut round = Round::default();
    lost::instances(view, &mut round);
    endings::orphans(view, &mut round);
    endings::starts(view, &mut round);
    endings::endings(view, &mut round);
    endings::answers(view, &mut round);
    endings::deadlines(view, &mut round);
    requests::requests(view, requests, &mut round);
    assign::assignments(view, &mut round);
    round
}

impl Round {
    fn is_full(&self) -> bool {
        self.decided.len() + self.replies.len() + self.wanted.len() >= ROUND_DECISIONS_MAX
    }

    /// Whether the round may decide on this job: there is room, and nothing was decided on it yet.
    fn is_open_to(&self, key: &JobKey) -> bool {
        !self.is_full() && !self.touched.contains(key) && !self.wanted.contains(key)
    }

    fn push(&mut self, key: &JobKey, decided: Decided) {
        self.touched.insert(key.clone());
        self.decided.push(decided);
    }
}

impl View<'_> {
    /// An event that follows from the job's last one.
    fn on_job(
        &self,
        job: &Job,
        subject: Subject,
        event: impl Into<Event>,
        why: impl Into<String>,
    ) -> Decided {
        self.on_job_because(&job.last_id.to_string(), job, subject, event, why)
    }

    /// An event of a job that `cause` leads to.
    fn on_job_because(
        &self,
        cause: &str,
        job: &Job,
        subject: Subject,
        event: impl Into<Event>,
        why: impl Into<String>,
    ) -> Decided {
        let last = self.last(&subject, job.last);
        let draft = Draft::new(subject, event, cause, self.source, self.now).traced(job.traceparent.clone());
        Decided { decision: Decision::one(draft, last), why: why.into() }
    }

    /// An event that follows from the instance's last one.
    fn on_instance(
        &self,
        instance: &Instance,
        subject: Subject,
        event: impl Into<Event>,
        why: impl Into<String>,
    ) -> Decided {
        let last = self.last(&subject, instance.last);
        let draft = Draft::new(subject, event, &instance.last_id.to_string(), self.source, self.now);
        Decided { decision: Decision::one(draft, last), why: why.into() }
    }

    /// The aggregate's last sequence: the state's, unless the log holds something later that the state cannot read.
    fn last(&self, subject: &Subject, known: u64) -> u64 {
        if self.facts.moved.is_empty() {
            return known;
        }
        self.facts.moved.get(&subject.aggregate_filter()).map_or(known, |moved| known.max(*moved))
    }
}

#[cfg(test)]
mod tests;
