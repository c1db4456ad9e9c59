//! What waits for one request: a bounded queue that never holds up whoever fills it.
//!
//! When it is full, it is emptied and marked: its owner then reads the log instead, which has everything. So a client
//! that reads slowly costs the gateway no more than the bound, and costs other clients nothing.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use lowland_events::Stored;
use tokio::sync::Notify;

/// Most events that wait for one request.
pub const MAIL_EVENTS_MAX: usize = 256;
/// Most bytes of event bodies that wait for one request; one event larger than this is still taken.
pub const MAIL_BYTES_MAX: usize = 4 << 20;

/// A bounded queue of events for one request.
#[derive(Default)]
pub struct Mailbox {
    inner: Mutex<Inner>,
    filled: Notify,
}

#[derive(Default)]
struct Inner {
    queue: VecDeque<(Arc<Stored>, usize)>,
    bytes: usize,
    lagged: bool,
}

/// What a mailbox gives out.
#[derive(Debug, Clone, PartialEq)]
pub enum Mail {
    /// The next event.
    Event(Arc<Stored>),
    /// Events were thrown away: read the log.
    Lagged,
}

impl Mailbox {
    /// Puts an event of `bytes` bytes in; false if the box was full and has been emptied.
    pub fn put(&self, event: Arc<Stored>, bytes: usize) -> bool {
        let mut inner = self.lock();
        let fits = inner.queue.len() < MAIL_EVENTS_MAX
            && (inner.queue.is_empty() || inner.bytes + bytes <= MAIL_BYTES_MAX);
        if fits {
            inner.bytes += bytes;
            inner.queue.push_back((event, bytes));
        } else {
            *inner = Inner { lagged: true, ..Inner::default() };
        }
        drop(inner);
        self.filled.notify_one();
        fits
    }

    /// The next event; waits for it. For one caller at a time. Cancel-safe.
    pub async fn next(&self) -> Mail {
        loop {
            if let Some(mail) = self.pop() {
                return mail;
            }
            self.filled.notified().await;
        }
    }

    fn pop(&self) -> Option<Mail> {
        let mut inner = self.lock();
        if std::mem::take(&mut inner.lagged) {
            return Some(Mail::Lagged);
        }
        let (event, bytes) = inner.queue.pop_front()?;
        inner.bytes -= bytes;
        Some(Mail::Event(event))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lowland_events::{
        Event, EventId, Meta, Subject, Time,
        event::Unknown,
        id::{AccountId, JobId},
    };

    fn event(sequence: u64) -> Arc<Stored> {
        let subject = Subject::job(&AccountId::new("a").unwrap(), &JobId::new("j").unwrap(), "x");
        let meta = Meta {
            id: EventId::of_record("LOG", sequence),
            time: Time(0),
            source: String::new(),
            correlation: None,
            causation: None,
            traceparent: None,
        };
        let event = Event::Unknown(Unknown { name: "x".into(), version: 1, body: bytes::Bytes::new() });
        Arc::new(Stored { stream: "LOG".into(), sequence, stored_at: Time(0), subject, meta, event })
    }

    #[tokio::test]
    async fn order_is_kept() {
        let mailbox = Mailbox::default();
        assert!(mailbox.put(event(1), 10) && mailbox.put(event(2), 10));
        assert_eq!(mailbox.next().await, Mail::Event(event(1)));
        assert_eq!(mailbox.next().await, Mail::Event(event(2)));
    }

    #[tokio::test]
    async fn a_full_box_says_so_once_and_goes_on() {
        let mailbox = Mailbox::default();
        for sequence in 0..MAIL_EVENTS_MAX as u64 {
            assert!(mailbox.put(event(sequence), 1));
        }
        assert!(!mailbox.put(event(999), 1));
        mailbox.put(event(1000), 1);
        assert_eq!(mailbox.next().await, Mail::Lagged);
        assert_eq!(mailbox.next().await, Mail::Event(event(1000)));
    }

    #[tokio::test]
    async fn bytes_are_bounded_but_one_event_always_fits() {
        let mailbox = Mailbox::default();
        assert!(mailbox.put(event(1), MAIL_BYTES_MAX + 1));
        assert!(!mailbox.put(event(2), 1));
        assert_eq!(mailbox.next().await, Mail::Lagged);
        assert!(mailbox.put(event(3), 7));
        assert_eq!(mailbox.next().await, Mail::Event(event(3)));
        assert_eq!(mailbox.lock().bytes, 0);
    }

    #[tokio::test]
    async fn a_waiter_is_woken() {
        let mailbox = Arc::new(Mailbox::default());
        let waiting = tokio::spawn({
            let mailbox = mailbox.clone();
            async move { mailbox.next().await }
        });
        tokio::task::yield_now().await;
        mailbox.put(event(1), 1);
        assert_eq!(waiting.await.unwrap(), Mail::Event(event(1)));
    }
}
