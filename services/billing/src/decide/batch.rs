//! What one account's round writes: its events, which stand or fall together.

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
    drafts: Vec<Draft>,
}

impl<'a> Batch<'a> {
    pub(super) fn new(account: &'a AccountId, last: u64, free: Money, facts: &'a Facts<'a>) -> Self {
        Self { account, free, last, facts, drafts: Vec::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.drafts.is_empty()
    }

    /// Whether a further event may come in.
    pub(super) fn has_room(&self) -> bool {
        self.drafts.len() < EVENTS_MAX
    }

    /// Adds an event.
    pub(super) fn push(&mut self, name: &str, event: impl Into<Event>, cause: &Cause) {
        let draft = self.draft(Subject::account(self.account, name), event, cause);
        self.drafts.push(draft);
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
        let mut drafts = self.drafts.into_iter();
        let first = Decision::one(drafts.next()?, self.last);
        Some(drafts.fold(first, Decision::then))
    }
}
