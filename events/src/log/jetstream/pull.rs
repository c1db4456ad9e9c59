//! Pulling: asking a consumer for messages in bulk, and noticing when it has fallen silent.
//!
//! A pull is answered by messages, heartbeats while there are none, and a status when it ends. Whoever reads slowly asks
//! seldom: what lies here unread is bounded by what was asked for.

use std::time::Duration;

use async_nats::{Message, StatusCode, Subscriber};
use futures::{FutureExt, StreamExt};
use serde_json::json;
use tokio::{sync::watch, time::Instant};

use super::{
    api,
    line::{Line, Moment, Unheard},
    message::PULL_PENDING,
};

/// How long a pull lasts.
const PULL_LASTS: Duration = Duration::from_secs(30);
/// How often the server says that it is there while there are no messages.
const HEARTBEAT: Duration = Duration::from_millis(1000);
/// Silence that means that the consumer is gone.
const SILENCE_MAX: Duration = Duration::from_millis(2500);
/// Time that a reader who comes late is given to find what has come.
const GRACE: Duration = Duration::from_millis(50);
/// Most bytes of one pull; more than the largest message that a server takes by default (1 MiB).
const PULL_BYTES_MAX: usize = 8 << 20;

/// What a pull brings.
pub(super) enum Pulled {
    /// A message.
    Message(Message),
    /// There is none just now; the consumer is there.
    Idle,
    /// Pulls have ended; ask again.
    Ended,
    /// The consumer or the connection is gone, and why.
    Lost(String),
    /// The user may not.
    Denied(String),
}

/// Pulls from one consumer.
pub(super) struct Pull {
    stream: String,
    subject: String,
    inbox: String,
    /// None once taken away.
    messages: Option<Subscriber>,
    events: watch::Receiver<u64>,
    began: Moment,
    /// When something was last heard, or asked.
    heard: Instant,
    outstanding: usize,
}

impl Pull {
    /// Pulls from `consumer`; nothing is asked for yet.
    pub(super) async fn from(line: &Line, stream: &str, consumer: &str) -> Result<Self, Unheard> {
        let inbox = line.client().new_inbox();
        let events = line.events();
        let began = line.now();
        let messages = line.client().subscribe(inbox.clone()).await;
        Ok(Self {
            stream: stream.to_owned(),
            subject: api::subject(&format!("CONSUMER.MSG.NEXT.{stream}.{consumer}")),
            inbox,
            messages: Some(messages.map_err(|error| Unheard::Lost(error.to_string()))?),
            events,
            began,
            heard: Instant::now(),
            outstanding: 0,
        })
    }

    /// Messages that were asked for and have not come yet.
    pub(super) fn outstanding(&self) -> usize {
        self.outstanding
    }

    /// Asks for `batch` more messages.
    pub(super) async fn request(&mut self, line: &Line, batch: usize) -> Result<(), Unheard> {
        let question = json!({
            "batch": batch,
            "max_bytes": PULL_BYTES_MAX.max(line.client().max_payload() * 2),
            "expires": u64::try_from(PULL_LASTS.as_nanos()).unwrap_or(u64::MAX),
            "idle_heartbeat": u64::try_from(HEARTBEAT.as_nanos()).unwrap_or(u64::MAX),
        });
        let published = line.client().publish_with_reply(
            self.subject.clone(),
            self.inbox.clone(),
            question.to_string().into(),
        );
        published.await.map_err(|error| Unheard::Lost(error.to_string()))?;
        self.outstanding += batch;
        self.heard = Instant::now();
        Ok(())
    }

    /// Begins anew on a new connection: what was asked for on the old one is forgotten, what came is kept.
    pub(super) fn reconnected(&mut self, line: &Line) {
        self.outstanding = 0;
        self.began = line.now();
    }

    /// What has come already. A closed connection has nothing to give, again and again: [`Pull::next`] reports it.
    pub(super) fn ready(&mut self) -> Option<Pulled> {
        let message = self.messages.as_mut()?.next().now_or_never()??;
        Some(self.sort(Some(message)))
    }

    /// Takes away what is still to come: this pull gives nothing any more.
    pub(super) fn abandon(&mut self) -> Option<Subscriber> {
        self.messages.take()
    }

    /// The next that comes. Cancel-safe.
    pub(super) async fn next(&mut self, line: &Line) -> Pulled {
        let silent = (self.heard + SILENCE_MAX).max(Instant::now() + GRACE);
        loop {
            let Some(messages) = &mut self.messages else { return self.sort(None) };
            tokio::select! {
                biased;
                message = messages.next() => return self.sort(message),
                open = self.events.changed() => if let Some(why) = self.interruption(line, open.is_ok()) {
                    return why;
                },
                () = tokio::time::sleep_until(silent) => {
                    return Pulled::Lost(format!("no heartbeat for {} ms", SILENCE_MAX.as_millis()));
                }
            }
        }
    }

    fn interruption(&self, line: &Line, open: bool) -> Option<Pulled> {
        if !open {
            return Some(Pulled::Lost("the connection was closed".to_owned()));
        }
        line.interruption(self.began, &[&self.subject, &self.inbox]).map(|unheard| match unheard {
            Unheard::Denied(text) => Pulled::Denied(text),
            other => Pulled::Lost(format!("{other:?}")),
        })
    }

    fn sort(&mut self, message: Option<Message>) -> Pulled {
        let Some(message) = message else {
            return Pulled::Lost("the connection was closed".to_owned());
        };
        self.heard = Instant::now();
        match message.status {
            None => {
                self.outstanding = self.outstanding.saturating_sub(1);
                Pulled::Message(message)
            }
            Some(StatusCode::IDLE_HEARTBEAT) => Pulled::Idle,
            Some(StatusCode::TIMEOUT | StatusCode::NOT_FOUND | StatusCode::REQUEST_TERMINATED) => {
                self.ended(&message)
            }
            Some(status) => Pulled::Lost(format!("{}: status {status}", self.stream)),
        }
    }

    /// One pull ended: in the ordinary way if it says what it still waited for, else because the consumer did.
    fn ended(&mut self, message: &Message) -> Pulled {
        let description = message.description.as_deref().unwrap_or_default();
        let consumer_ended =
            ["Consumer Deleted", "Consumer is push based", "Leadership Change", "Server Shutdown"];
        if consumer_ended.iter().any(|end| description.eq_ignore_ascii_case(end)) {
            return Pulled::Lost(description.to_owned());
        }
        let pending = message
            .headers
            .as_ref()
            .and_then(|map| map.get(PULL_PENDING))
            .and_then(|value| value.as_str().parse::<usize>().ok());
        self.outstanding = pending.map_or(0, |pending| self.outstanding.saturating_sub(pending));
        Pulled::Ended
    }
}
