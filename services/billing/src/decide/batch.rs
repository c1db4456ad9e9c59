//! What one account's round writes, as one atomic batch: the account's events, then those of its jobs.

use lowland_events::{
    Draft, Event, Money, Subject,
    id::{AccountId, JobId},
};
use lowland_host::Decision;

use super::Facts;
use crate::state::Cause;

/// Most events in a batch. The server takes ten times as many; the rest follows in the next round.
const EVENTS_MAX: usize = 100;

pub(super) struct Batch<'a> {
    pub(super) account: &'a AccountId,
    /// What may be spent once everything in this batch stands.
    pub(super) free: Money,
    last: u64,
    facts: &'a Facts<'a>,
    on_account: Vec<Draft>,
    on_jobs: Vec<(Draft, u64)>,
}

impl<'a> Batch<'a> {
    pub(super) fn new(account: &'a AccountId, last: u64, free: Money, facts: &'a Facts<'a>) -> Self {
        Self { account, free, last, facts, on_account: Vec::new(), on_jobs: Vec::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.on_account.is_empty()
    }

    /// Whether `events` more may come in.
    pub(super) fn has_room(&self, events: usize) -> bool {
        self.on_account.len() + self.on_jobs.len() + events <= EVENTS_MAX
    }

    /// Adds an event of the account.
    pub(super) fn on_account(&mut self, name: &str, event: impl Into<Event>, cause: &Cause) {
        let draft = self.draft(Subject::account(self.account, name), event, cause);
        self.on_account.push(draft);
    }

    /// Adds an event of a job whose last sequence is `last`.
    pub(super) fn on_job(&mut self, draft: Draft, last: u64) {
        self.on_jobs.push((draft, last));
    }

    /// An event of a job, caused by one of its own.
    pub(super) fn job_draft(&self, job: &JobId, name: &str, event: impl Into<Event>, cause: &Cause) -> Draft {
        self.draft(Subject::job(self.account, job, name), event, cause)
    }

    fn draft(&self, subject: Subject, event: impl Into<Event>, cause: &Cause) -> Draft {
        Draft::new(subject, event, &cause.id, self.facts.source, self.facts.now)
            .traced(cause.traceparent.clone())
    }

    pub(super) fn into_decision(self) -> Option<Decision> {
        let mut on_account = self.on_account.into_iter();
        let first = Decision::one(on_account.next()?, self.last);
        let decision = on_account.fold(first, Decision::then);
        Some(self.on_jobs.into_iter().fold(decision, |decision, (draft, last)| decision.and(draft, last)))
    }
}
