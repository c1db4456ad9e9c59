//! What billing knows, and how an event changes it.
//!
//! Jobs are kept only between `submitted` and their hold, holds only until they are closed. What stays for ever is one ledger
//! balance a customer and the ids of top-ups: each id counts once, and no window forgets it.

mod account;

use std::collections::{BTreeMap, BTreeSet};

use lowland_events::{Domain, Event, Filter, Stored, account as money, id::AccountId, job, meter::Usage};
use lowland_host::fold;
use serde::{Deserialize, Serialize};

use crate::ledger::Ledger;
pub use account::{Account, Cause, End, Hold, Waiting};

/// All of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Every balance.
    pub ledger: Ledger,
    accounts: BTreeMap<AccountId, Account>,
    /// Accounts with something to decide: deciding costs in proportion to these, whatever else there is.
    due: BTreeSet<AccountId>,
    /// Events of ours that did not fit and were ignored.
    pub misfits: u64,
}

impl State {
    /// A customer, if anything is known of it.
    #[must_use]
    pub fn account(&self, account: &AccountId) -> Option<&Account> {
        self.accounts.get(account)
    }

    /// Every customer.
    pub fn accounts(&self) -> impl Iterator<Item = (&AccountId, &Account)> {
        self.accounts.iter()
    }

    /// Customers with jobs that wait for a hold or with holds that are to be closed.
    #[must_use]
    pub fn due(&self) -> &BTreeSet<AccountId> {
        &self.due
    }

    fn job_event(&mut self, account_id: &AccountId, event: &Stored, body: &job::Event) {
        let Some(job) = event.subject.job_id() else { return };
        let account = self.accounts.entry(account_id.clone()).or_default();
        match body {
            job::Event::Submitted(submitted) => account.wait(job, submitted, event),
            job::Event::Completed(end) => account.job_ended(&job, event, &end.usage),
            job::Event::Failed(end) => account.job_ended(&job, event, &end.usage),
            job::Event::Cancelled(end) => account.job_ended(&job, event, &end.usage),
            job::Event::Expired(end) => account.job_ended(&job, event, &end.usage),
            job::Event::Rejected(_) => account.job_ended(&job, event, &Usage::default()),
            job::Event::Held(_)
            | job::Event::Assigned(_)
            | job::Event::Started(_)
            | job::Event::AttemptFailed(_)
            | job::Event::CancelRequested(_) => account.job_moved(&job, event.sequence),
        }
        self.note_due(account_id);
    }

    fn account_event(&mut self, account_id: &AccountId, event: &Stored, body: &money::Event) {
        self.touch(account_id).last = event.sequence;
        if self.ledger.fits(postings(body)) && self.touch(account_id).take(body, event) {
            self.ledger.post(postings(body));
        } else {
            self.misfits += 1;
        }
        self.note_due(account_id);
    }

    /// An event of a later build still moves its aggregate on.
    fn unknown(&mut self, account: &AccountId, event: &Stored) {
        let account = self.touch(account);
        match event.subject.job_id() {
            Some(job) => account.job_moved(&job, event.sequence),
            None => account.last = event.sequence,
        }
    }

    fn touch(&mut self, account: &AccountId) -> &mut Account {
        self.accounts.entry(account.clone()).or_default()
    }

    fn note_due(&mut self, id: &AccountId) {
        let due = self.accounts.get(id).is_some_and(Account::is_due);
        if due {
            self.due.insert(id.clone());
        } else {
            self.due.remove(id);
        }
    }
}

impl lowland_host::Keep for State {
    const LOGIC_VERSION: u32 = 2;

    fn filters() -> Vec<Filter> {
        [Domain::Job, Domain::Account].map(Filter::domain).into()
    }
}

impl fold::State for State {
    fn evolve(&mut self, event: &Stored) {
        let Some(account) = event.subject.account_id() else { return };
        match &event.event {
            Event::Job(body) => self.job_event(&account, event, body),
            Event::Account(body) => self.account_event(&account, event, body),
            Event::Unknown(_) => self.unknown(&account, event),
            _ => {}
        }
    }
}

fn postings(event: &money::Event) -> &[money::Posting] {
    match event {
        money::Event::ToppedUp(body) => &body.postings,
        money::Event::HoldPlaced(body) => &body.postings,
        money::Event::Charged(body) => &body.postings,
        money::Event::HoldReleased(body) => &body.postings,
    }
}
