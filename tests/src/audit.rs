//! What must be true of the log that a system leaves behind, worked out from its events alone.

use std::{collections::BTreeMap, time::Duration};

use lowland_events::{
    Event, Stored,
    account::{self, Posting},
    job,
    log::SharedLog,
    meter::{Meter, Usage},
    stream,
};

/// Longest wait until every job that has ended is paid for.
const SETTLED_WITHIN: Duration = Duration::from_secs(120);
/// Pause before the log is looked at again.
const LOOK: Duration = Duration::from_millis(100);
/// Records read at once.
const PAGE: usize = 500;

/// Account and job.
type Key = (String, String);

/// What the log says of jobs and money.
#[derive(Debug, Default)]
pub struct Audit {
    /// The names of each job's events, in order.
    pub chains: BTreeMap<Key, Vec<String>>,
    /// What each job that has ended had delivered.
    pub delivered: BTreeMap<Key, Usage>,
    /// The whole text of each job that was completed.
    pub texts: BTreeMap<Key, String>,
    /// What each charge was for; more than one would have been found out.
    pub charged: BTreeMap<Key, Usage>,
    /// What is still set aside for each job.
    open: BTreeMap<Key, i128>,
    balances: BTreeMap<String, i128>,
}

/// Reads the whole log, waiting until every hold of an ended job is closed; panics where the log is not as it must be.
pub async fn settled(log: &SharedLog) -> Audit {
    let settled = async {
        loop {
            let audit = Audit::of(&read(log).await);
            if audit.open.keys().all(|key| !audit.delivered.contains_key(key)) {
                return audit;
            }
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::time::timeout(SETTLED_WITHIN, settled).await.expect("every job that has ended is paid for in time")
}

async fn read(log: &SharedLog) -> Vec<Stored> {
    let mut events = Vec::new();
    loop {
        let from = events.last().map_or(1, |event: &Stored| event.sequence + 1);
        let page = log.read(stream::LOG, &[], from, PAGE).await.expect("the log can be read");
        if page.is_empty() {
            return events;
        }
        events.extend(
            page.iter().map(|record| Stored::try_from(record).expect("the log holds our events alone")),
        );
    }
}

impl Audit {
    fn of(events: &[Stored]) -> Self {
        let mut audit = Self::default();
        events.iter().for_each(|event| audit.take(event));
        audit
    }

    fn take(&mut self, event: &Stored) {
        let scope = event.subject.scope().to_owned();
        match &event.event {
            Event::Job(body) => self.job((scope, event.subject.aggregate().to_owned()), event, body),
            Event::Account(body) => self.money(scope, body),
            _ => {}
        }
    }

    fn job(&mut self, key: Key, event: &Stored, body: &job::Event) {
        assert!(!self.delivered.contains_key(&key), "{key:?} goes on after its end: {event:?}");
        self.chains.entry(key.clone()).or_default().push(event.event.name().to_owned());
        let usage = match body {
            job::Event::Completed(end) => {
                self.texts.insert(key.clone(), end.output.text.clone());
                end.usage.clone()
            }
            job::Event::Failed(end) => end.usage.clone(),
            job::Event::Cancelled(end) => end.usage.clone(),
            job::Event::Expired(end) => end.usage.clone(),
            job::Event::Rejected(_) => Usage::default(),
            _ => return,
        };
        self.delivered.insert(key, usage);
    }

    fn money(&mut self, scope: String, body: &account::Event) {
        match body {
            account::Event::ToppedUp(body) => self.post(&body.postings),
            account::Event::HoldPlaced(body) => {
                self.post(&body.postings);
                let before = self.open.insert((scope, body.job.to_string()), body.amount.0);
                assert_eq!(before, None, "{} is held twice", body.job);
            }
            account::Event::Charged(body) => {
                self.post(&body.postings);
                self.charge((scope, body.job.to_string()), body);
            }
            account::Event::HoldReleased(body) => {
                self.post(&body.postings);
                self.open.remove(&(scope, body.job.to_string()));
            }
        }
    }

    fn charge(&mut self, key: Key, body: &account::Charged) {
        let held = self.open.remove(&key).unwrap_or_else(|| panic!("{key:?} is charged without a hold"));
        let rest = held - body.amount.0;
        assert!(rest >= 0, "{key:?} is charged more than its hold");
        if rest > 0 {
            self.open.insert(key.clone(), rest);
        }
        let usage = Usage::of(body.lines.iter().map(|line| (line.meter, line.quantity)));
        assert_eq!(Some(&usage), self.delivered.get(&key), "{key:?} is charged for what was delivered");
        assert!(self.charged.insert(key.clone(), usage).is_none(), "{key:?} is charged twice");
    }

    fn post(&mut self, postings: &[Posting]) {
        let sum: i128 = postings.iter().map(|posting| posting.amount.0).sum();
        assert_eq!(sum, 0, "debits equal credits in {postings:?}");
        for posting in postings {
            let balance = self.balances.entry(posting.ledger.clone()).or_default();
            *balance += posting.amount.0;
            let owed = posting.ledger != "cash";
            assert!(if owed { *balance <= 0 } else { *balance >= 0 }, "{} is below zero", posting.ledger);
        }
    }

    /// Holds that `job` of `account` ended as `outcome` and was paid for once; gives what it had delivered.
    pub fn paid_once(&self, account: &str, job: &str, outcome: &str) -> &Usage {
        let key = (account.to_owned(), job.to_owned());
        let chain = self.chains.get(&key).unwrap_or_else(|| panic!("{key:?} is not in the log"));
        assert_eq!(chain.last().map(String::as_str), Some(outcome), "{key:?}: {chain:?}");
        let charged = self.charged.get(&key).unwrap_or_else(|| panic!("{key:?} was not charged: {chain:?}"));
        assert!(charged.quantity(Meter::OutputTokens) > 0, "{key:?} delivered something: {charged:?}");
        charged
    }
}
