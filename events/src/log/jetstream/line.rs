//! The connection as the rest of this log sees it: a question, and its answer or why there is none.
//!
//! Three things end a wait early: the server says that the user may not (an event on the connection, not an answer), the
//! connection was made anew (the question or its answer went down with the old one), and nobody listens to the subject.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, OnceLock, PoisonError, atomic::Ordering},
    time::Duration,
};

use async_nats::{
    Client, Event, HeaderMap, Message, Request, RequestErrorKind, Statistics, connection::State,
};
use bytes::Bytes;
use tokio::{sync::watch, time::Instant};

/// How often a connection that somebody else made is looked at.
const WATCH_INTERVAL: Duration = Duration::from_millis(100);
/// Denials remembered, for whoever waits just now.
const DENIALS_KEPT: usize = 64;

/// Why a question has no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unheard {
    /// Nobody listens to the subject.
    Nobody,
    /// The user may not: what the server said.
    Denied(String),
    /// The connection was lost, or the answer did not come in time.
    Lost(String),
    /// The question cannot be asked: too large, or no valid subject.
    Invalid(String),
}

/// A moment on a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    at: Instant,
    connects: u64,
}

struct Denial {
    at: Instant,
    text: String,
}

/// The connection.
pub(super) struct Line {
    client: OnceLock<(Client, Arc<Statistics>)>,
    /// Counts what was heard, to wake those who wait.
    heard: watch::Sender<u64>,
    denials: Mutex<VecDeque<Denial>>,
}

impl Line {
    /// A line whose events are told to [`Line::hear`]; of no use before [`Line::connected_by`].
    pub(super) fn unconnected() -> Arc<Self> {
        Arc::new(Self { client: OnceLock::new(), heard: watch::Sender::new(0), denials: Mutex::default() })
    }

    pub(super) fn connected_by(&self, client: Client) {
        let statistics = client.statistics();
        assert!(self.client.set((client, statistics)).is_ok(), "a line is connected once");
    }

    /// A line over a connection whose events somebody else hears: new connections are noticed by looking.
    pub(super) fn watching(client: Client) -> Arc<Self> {
        let line = Self::unconnected();
        line.connected_by(client);
        let watched = Arc::downgrade(&line);
        let mut connects = line.connects();
        tokio::spawn(async move {
            while let Some(line) = watched.upgrade() {
                if std::mem::replace(&mut connects, line.connects()) != connects {
                    line.wake();
                }
                drop(line);
                tokio::time::sleep(WATCH_INTERVAL).await;
            }
        });
        line
    }

    /// Takes note of what happens on the connection.
    pub(super) fn hear(&self, event: &Event) {
        match event {
            Event::Connected => {
                self.denials.lock().unwrap_or_else(PoisonError::into_inner).clear();
                self.wake();
            }
            Event::ServerError(error) => {
                let text = error.to_string();
                if text.to_lowercase().contains("permissions violation") {
                    self.deny(text);
                } else {
                    tracing::warn!(%error, "the NATS server reports an error");
                }
            }
            Event::Disconnected => {
                tracing::warn!("the connection to NATS is lost; connecting anew until it is back");
            }
            other => tracing::debug!(event = %other, "NATS connection"),
        }
    }

    fn deny(&self, text: String) {
        let mut denials = self.denials.lock().unwrap_or_else(PoisonError::into_inner);
        denials.truncate(DENIALS_KEPT - 1);
        denials.push_front(Denial { at: Instant::now(), text });
        drop(denials);
        self.wake();
    }

    fn wake(&self) {
        self.heard.send_modify(|heard| *heard += 1);
    }

    pub(super) fn client(&self) -> &Client {
        &self.client.get().expect("a line is handed out connected").0
    }

    /// Times that a connection was made.
    pub(super) fn connects(&self) -> u64 {
        self.client.get().expect("a line is handed out connected").1.connects.load(Ordering::Relaxed)
    }

    /// Wakes at new connections and denials from now on.
    pub(super) fn events(&self) -> watch::Receiver<u64> {
        self.heard.subscribe()
    }

    /// Whether the server has denied one of `subjects` since `since`.
    fn denied(&self, since: Instant, subjects: &[&str]) -> Option<String> {
        let denials = self.denials.lock().unwrap_or_else(PoisonError::into_inner);
        let concerned = |denial: &&Denial| {
            let fresh = denial.at >= since && subjects.iter().any(|subject| names(&denial.text, subject));
            fresh || self.deafens(&denial.text)
        };
        denials.iter().find(concerned).map(|denial| denial.text.clone())
    }

    /// Whether the user may not hear any answer, since subscribing to its inbox was denied.
    fn deafens(&self, text: &str) -> bool {
        let inbox = self.client.get().map(|(client, _)| client.new_inbox());
        let prefix = inbox.as_deref().and_then(|inbox| inbox.rsplit_once('.')).map(|(prefix, _)| prefix);
        text.contains("Subscription") && prefix.is_some_and(|prefix| names(text, prefix))
    }

    /// Asks `subject`, and waits at most `wait` for one answer.
    pub(super) async fn ask(
        &self,
        subject: &str,
        headers: Option<HeaderMap>,
        payload: Bytes,
        wait: Duration,
    ) -> Result<Message, Unheard> {
        self.ask_about(&[subject], subject, headers, payload, wait).await
    }

    /// Asks `subject`; a denial of any of `subjects` is the answer as well.
    pub(super) async fn ask_about(
        &self,
        subjects: &[&str],
        subject: &str,
        headers: Option<HeaderMap>,
        payload: Bytes,
        wait: Duration,
    ) -> Result<Message, Unheard> {
        let deadline = Instant::now() + wait;
        let mut events = self.events();
        self.wait_connected(&mut events, deadline).await?;
        let asked = self.now();
        let request = Request { payload: Some(payload), headers, timeout: Some(None), inbox: None };
        tokio::select! {
            biased;
            answer = self.client().send_request(subject.to_owned(), request) => answer.map_err(|error| unheard(&error)),
            why = self.interrupted(&mut events, asked, subjects) => Err(why),
            () = tokio::time::sleep_until(deadline) => Err(silent(subject, wait)),
        }
    }

    /// Waits while there is no connection.
    pub(super) async fn wait_connected(
        &self,
        events: &mut watch::Receiver<u64>,
        deadline: Instant,
    ) -> Result<(), Unheard> {
        while self.client().connection_state() != State::Connected {
            let changed = tokio::time::timeout(WATCH_INTERVAL, events.changed());
            let _ = tokio::time::timeout_at(deadline, changed).await;
            if Instant::now() >= deadline {
                return Err(Unheard::Lost("there is no connection to the NATS server".to_owned()));
            }
        }
        Ok(())
    }

    /// This moment on this connection.
    pub(super) fn now(&self) -> Moment {
        Moment { at: Instant::now(), connects: self.connects() }
    }

    /// Returns once the connection was made anew since `since`, or the server denied one of `subjects`.
    pub(super) async fn interrupted(
        &self,
        events: &mut watch::Receiver<u64>,
        since: Moment,
        subjects: &[&str],
    ) -> Unheard {
        loop {
            if let Some(why) = self.interruption(since, subjects) {
                return why;
            }
            if events.changed().await.is_err() {
                return Unheard::Lost("the connection was closed".to_owned());
            }
        }
    }

    /// Whether the connection was made anew since `since`, or the server denied one of `subjects`.
    pub(super) fn interruption(&self, since: Moment, subjects: &[&str]) -> Option<Unheard> {
        if let Some(text) = self.denied(since.at, subjects) {
            return Some(Unheard::Denied(text));
        }
        let anew = self.connects() != since.connects;
        anew.then(|| Unheard::Lost("the connection was lost and made anew".to_owned()))
    }
}

/// Whether the server's words are about `subject`: it puts subjects in quotation marks.
fn names(text: &str, subject: &str) -> bool {
    text.split('"').nth(1).is_some_and(|named| named == subject || named.starts_with(&format!("{subject}.")))
}

fn silent(subject: &str, wait: Duration) -> Unheard {
    Unheard::Lost(format!(
        "no answer on {subject} within {} ms: is the server busy, may this user publish there and subscribe to its inbox?",
        wait.as_millis()
    ))
}

fn unheard(error: &async_nats::RequestError) -> Unheard {
    match error.kind() {
        RequestErrorKind::NoResponders => Unheard::Nobody,
        RequestErrorKind::InvalidSubject | RequestErrorKind::MaxPayloadExceeded => {
            Unheard::Invalid(error.to_string())
        }
        RequestErrorKind::TimedOut | RequestErrorKind::Other => Unheard::Lost(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn denials_are_told_to_those_concerned() {
        let line = Line::unconnected();
        let before = Instant::now();
        line.hear(&Event::ServerError(async_nats::ServerError::Other(
            "Permissions Violation for Publish to \"lowland.job.a.b.c\"".to_owned(),
        )));
        assert!(line.denied(before, &["lowland.job.a.b.c"]).is_some());
        assert!(line.denied(before, &["lowland.job.a.b"]).is_some());
        assert!(line.denied(before, &["lowland.job.a.b.d"]).is_none());
        assert!(line.denied(Instant::now() + WATCH_INTERVAL, &["lowland.job.a.b.c"]).is_none());
    }

    #[test]
    fn denials_kept_are_bounded() {
        let line = Line::unconnected();
        for _ in 0..DENIALS_KEPT * 2 {
            line.deny("Permissions Violation".to_owned());
        }
        assert_eq!(line.denials.lock().unwrap().len(), DENIALS_KEPT);
    }
}
