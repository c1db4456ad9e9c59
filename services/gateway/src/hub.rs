//! One reader of jobs and one of tokens for the whole process, and a mailbox for each request that waits.
//!
//! Whoever wants a job's events registers first and posts or reads afterwards, so there is no moment at which an event
//! could pass unseen. The hub never waits for a mailbox: one that is full is emptied, and its owner reads the log.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use lowland_events::{
    Domain, Stored, Subject,
    id::{AccountId, JobId},
    log::Record,
};
use lowland_host::figures::{Counter, Figures};

use crate::mailbox::{Mail, Mailbox};

/// A job, within its account: no request ever sees another account's.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key {
    /// The account.
    pub account: AccountId,
    /// The job.
    pub job: JobId,
}

/// Which of a job's events a request waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interest {
    /// What becomes of it.
    Job,
    /// That, and its tokens.
    JobAndTokens,
}

/// Hands events to the requests that wait for them. Clones share the requests.
#[derive(Clone)]
pub struct Hub {
    waiting: Arc<Mutex<HashMap<Key, Vec<Waiter>>>>,
    lagged: Counter,
}

struct Waiter {
    interest: Interest,
    mailbox: Arc<Mailbox>,
}

/// A request that waits for a job's events, until dropped.
pub struct Registration {
    hub: Hub,
    key: Key,
    mailbox: Arc<Mailbox>,
}

impl Hub {
    /// A hub that nobody waits at.
    #[must_use]
    pub fn new(figures: &Figures) -> Self {
        Self { waiting: Arc::default(), lagged: figures.bound("mailbox") }
    }

    /// Waits for events of `key` from now on.
    #[must_use]
    pub fn register(&self, key: &Key, interest: Interest) -> Registration {
        let mailbox = Arc::new(Mailbox::default());
        let waiter = Waiter { interest, mailbox: mailbox.clone() };
        self.lock().entry(key.clone()).or_default().push(waiter);
        Registration { hub: self.clone(), key: key.clone(), mailbox }
    }

    /// Whether any request waits for events of `key`.
    #[must_use]
    pub fn awaited(&self, key: &Key) -> bool {
        self.lock().contains_key(key)
    }

    /// Hands a record to whoever waits for it. Its body is only read if somebody does.
    pub fn deliver(&self, record: &Record) {
        let Some((key, domain)) = address(record) else { return };
        let mailboxes = self.mailboxes(&key, domain);
        if mailboxes.is_empty() {
            return;
        }
        match Stored::try_from(record) {
            Ok(event) => {
                let event = Arc::new(event);
                for mailbox in mailboxes {
                    if !mailbox.put(event.clone(), record.payload.len()) {
                        self.lagged.add(1);
                    }
                }
            }
            Err(error) => tracing::warn!(subject = record.subject, %error, "skipping a record"),
        }
    }

    fn mailboxes(&self, key: &Key, domain: Domain) -> Vec<Arc<Mailbox>> {
        let wants = |waiter: &&Waiter| domain == Domain::Job || waiter.interest == Interest::JobAndTokens;
        let waiting = self.lock();
        let of_key = waiting.get(key).map(Vec::as_slice).unwrap_or_default();
        of_key.iter().filter(wants).map(|waiter| waiter.mailbox.clone()).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Key, Vec<Waiter>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Registration {
    /// The next event; waits for it. Cancel-safe.
    pub async fn next(&mut self) -> Mail {
        self.mailbox.next().await
    }

    /// What is waited for.
    #[must_use]
    pub fn key(&self) -> &Key {
        &self.key
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let mut waiting = self.hub.lock();
        if let Some(waiters) = waiting.get_mut(&self.key) {
            waiters.retain(|waiter| !Arc::ptr_eq(&waiter.mailbox, &self.mailbox));
            if waiters.is_empty() {
                waiting.remove(&self.key);
            }
        }
    }
}

fn address(record: &Record) -> Option<(Key, Domain)> {
    let subject: Subject = record.subject.parse().ok()?;
    let key = Key { account: subject.account_id()?, job: subject.job_id()? };
    Some((key, subject.domain()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use lowland_events::{Draft, Money, Time, job::Held, meter::Usage, token::Published};

    fn key(account: &str, job: &str) -> Key {
        Key { account: AccountId::new(account).unwrap(), job: JobId::new(job).unwrap() }
    }

    fn record(draft: &Draft, stream: &str, sequence: u64) -> Record {
        let entry = draft.entry();
        Record {
            stream: stream.into(),
            sequence,
            subject: entry.subject,
            headers: entry.headers,
            payload: entry.payload,
            stored_at: Time(0),
        }
    }

    fn held(key: &Key) -> Record {
        let subject = Subject::job(&key.account, &key.job, "held");
        let held = Held { amount: Money(1), price_version: "v".into() };
        record(&Draft::new(subject, held, "c", "s", Time(0)), "LOG", 7)
    }

    fn token(key: &Key) -> Record {
        let subject = Subject::token(&key.account, &key.job, 1);
        let published = Published {
            attempt: 1,
            first: 0,
            tokens: vec![1],
            text: "a".into(),
            logprobs: Vec::new(),
            usage: Usage::default(),
        };
        record(&Draft::new(subject, published, "c", "s", Time(0)), "TOKENS", 8)
    }

    async fn next_sequence(registration: &mut Registration) -> u64 {
        match registration.next().await {
            Mail::Event(event) => event.sequence,
            Mail::Lagged => panic!("nothing was to be lost"),
        }
    }

    #[tokio::test]
    async fn each_gets_what_it_waits_for() {
        let hub = Hub::new(&Figures::default());
        let (mine, other) = (key("a", "j"), key("b", "j"));
        let mut whole = hub.register(&mine, Interest::Job);
        let mut stream = hub.register(&mine, Interest::JobAndTokens);
        hub.deliver(&token(&other));
        hub.deliver(&held(&other));
        hub.deliver(&token(&mine));
        hub.deliver(&held(&mine));
        assert_eq!(next_sequence(&mut whole).await, 7);
        assert_eq!(next_sequence(&mut stream).await, 8);
        assert_eq!(next_sequence(&mut stream).await, 7);
    }

    #[test]
    fn whoever_leaves_takes_no_room() {
        let hub = Hub::new(&Figures::default());
        let key = key("a", "j");
        let (first, second) = (hub.register(&key, Interest::Job), hub.register(&key, Interest::Job));
        drop(first);
        assert!(hub.awaited(&key));
        drop(second);
        assert!(!hub.awaited(&key) && hub.lock().is_empty());
    }
}
