//! What must be true of the log that a system leaves behind, worked out from its events alone: no service's code, no
//! service's word. Whatever does not hold ends the test.

mod jobs;
mod ledger;
mod prices;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use lowland_events::{
    Event, Stored,
    envelope::Undecodable,
    job,
    log::{Error, SharedLog},
    meter::{Meter, Usage},
    request, stream,
};

pub use jobs::{End, Job};
pub use ledger::{Account, Ledger};
pub use prices::Prices;

/// Longest wait until every job that has ended is paid for.
const SETTLED_WITHIN: Duration = Duration::from_secs(180);
/// Pause before the log is looked at again.
const LOOK: Duration = Duration::from_millis(100);
/// Records read at once.
const PAGE: usize = 500;
/// Of what is still missing, so much is named.
const NAMED: usize = 5;

/// Account and job.
pub type Key = (String, String);

/// What the log says of jobs and money.
#[derive(Debug, Default)]
pub struct Audit {
    /// Each job's life.
    pub jobs: BTreeMap<Key, Job>,
    /// The books.
    pub ledger: Ledger,
    /// What was asked for, with the sequences at which it was.
    posted: BTreeMap<Key, BTreeSet<u64>>,
    /// Top-ups that were asked for, with their amounts.
    topups: BTreeMap<Key, i128>,
    log_read: u64,
    requests_read: u64,
}

/// Reads the whole log, waiting until every hold of an ended job is closed.
pub async fn settled(log: &SharedLog) -> Audit {
    Audit::default().wait(log, Audit::unpaid).await
}

/// Reads the whole log, waiting until whatever was asked for has ended and is paid for at the prices of `prices`.
pub async fn finished(log: &SharedLog, prices: Prices) -> Audit {
    let audit = Audit { ledger: Ledger::priced(prices), ..Audit::default() };
    let audit = audit.wait(log, |audit| [audit.unfinished(), audit.unpaid()].concat()).await;
    audit.holds_at_the_end();
    audit
}

impl Audit {
    async fn wait(mut self, log: &SharedLog, missing: impl Fn(&Self) -> Vec<String>) -> Self {
        let waited = async {
            loop {
                self.read(log).await;
                if missing(&self).is_empty() {
                    return;
                }
                tokio::time::sleep(LOOK).await;
            }
        };
        if tokio::time::timeout(SETTLED_WITHIN, waited).await.is_err() {
            let missing = missing(&self);
            let named = missing.iter().take(NAMED).collect::<Vec<_>>();
            panic!("not done after {SETTLED_WITHIN:?}: {} of them, such as {named:#?}", missing.len());
        }
        self
    }

    /// Takes in what has come since it was last called.
    async fn read(&mut self, log: &SharedLog) {
        for record in records(log, stream::REQUESTS, &mut self.requests_read).await {
            match Stored::try_from(&record) {
                Ok(event) => self.request(&event),
                Err(Undecodable::Body { subject, .. }) if subject.event() == "posted" => {
                    let key = (subject.scope().to_owned(), subject.aggregate().to_owned());
                    self.posted.entry(key).or_default().insert(record.sequence);
                }
                Err(_) => {}
            }
        }
        for record in records(log, stream::LOG, &mut self.log_read).await {
            let event = Stored::try_from(&record).expect("the log holds our events alone");
            self.take(&event);
        }
    }

    fn request(&mut self, event: &Stored) {
        let key = key(event);
        match &event.event {
            Event::Request(request::Event::Posted(_)) => {
                self.posted.entry(key).or_default().insert(event.sequence);
            }
            Event::Request(request::Event::TopupPosted(body)) if body.amount.0 > 0 => {
                self.topups.entry(key).or_insert(body.amount.0);
            }
            _ => {}
        }
    }

    fn take(&mut self, event: &Stored) {
        match &event.event {
            Event::Job(body) => {
                let key = key(event);
                self.jobs.entry(key.clone()).or_default().take(&key, event, body);
                if let job::Event::Assigned(body) = body {
                    self.ledger.pays_for(&key, body);
                }
            }
            Event::Account(body) => self.ledger.take(event.subject.scope(), body, &self.jobs),
            _ => {}
        }
    }

    fn unpaid(&self) -> Vec<String> {
        let ended = |key: &Key| self.jobs.get(key).is_some_and(|job| job.end.is_some());
        let open = self.ledger.open().filter(|key| ended(key));
        open.map(|key| format!("{key:?} has ended, and its hold is open")).collect()
    }

    fn unfinished(&self) -> Vec<String> {
        let jobs = self.posted.keys().filter_map(|key| match self.jobs.get(key) {
            None => Some(format!("{key:?} was asked for, and nothing came of it")),
            Some(job) if job.end.is_none() => Some(format!("{key:?} has not ended: {:?}", job.names)),
            Some(_) => None,
        });
        let topups = self.topups.keys().filter(|key| !self.ledger.topups.contains_key(*key));
        jobs.chain(topups.map(|key| format!("top-up {key:?} was not entered"))).collect()
    }

    /// What holds when there is nothing left to do.
    fn holds_at_the_end(&self) {
        for (key, job) in &self.jobs {
            if let Some(submitted) = &job.submitted {
                let posted = self.posted.get(key).is_some_and(|at| at.contains(&submitted.request_sequence));
                assert!(
                    posted,
                    "{key:?} comes from request {}, which is another's",
                    submitted.request_sequence
                );
            }
            self.ledger.paid(key, job);
        }
        assert_eq!(self.topups, self.ledger.topups, "each top-up is entered, once");
    }

    /// What was entered for a top-up.
    #[must_use]
    pub fn topup(&self, key: &Key) -> Option<i128> {
        self.ledger.topups.get(key).copied()
    }

    /// Holds that `job` of `account` ended as `outcome` and was paid for once; gives what it had delivered.
    pub fn paid_once(&self, account: &str, job: &str, outcome: &str) -> &Usage {
        let key = (account.to_owned(), job.to_owned());
        let life = self.jobs.get(&key).unwrap_or_else(|| panic!("{key:?} is not in the log"));
        let end = life.end.as_ref().unwrap_or_else(|| panic!("{key:?} has not ended: {:?}", life.names));
        assert_eq!(end.name, outcome, "{key:?}: {:?}", life.names);
        self.ledger.paid(&key, life);
        assert!(end.usage.quantity(Meter::OutputTokens) > 0, "{key:?} delivered something: {end:?}");
        &end.usage
    }
}

fn key(event: &Stored) -> Key {
    (event.subject.scope().to_owned(), event.subject.aggregate().to_owned())
}

/// What a stream has got beyond `read`, which moves on.
async fn records(log: &SharedLog, stream: &str, read: &mut u64) -> Vec<lowland_events::log::Record> {
    let mut records = Vec::new();
    loop {
        let page = match log.read(stream, &[], *read + 1, PAGE).await {
            Ok(page) => page,
            Err(Error::Unanswered(_)) => return records,
            Err(error) => panic!("{stream} can be read: {error}"),
        };
        let Some(last) = page.last() else { return records };
        *read = last.sequence;
        records.extend(page);
    }
}
