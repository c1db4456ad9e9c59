//! Durable consumers: each message to one reader, again until it is acknowledged.
//!
//! The trap is prefetching: a message that waits here unseen while the reader is busy grows old, and the server gives it
//! to somebody else. So little is asked for until the reader has shown that it is fast, and what has waited too long
//! goes back at once.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use async_nats::Message;
use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    api,
    follow::create,
    line::{Line, Unheard},
    message::{self, Place, answer},
    pull::{Pull, Pulled},
    tries::{ANSWER_WAIT, Pauses, Tries},
};
use crate::{
    log::{Acknowledge, Consume, ConsumeSettings, Delivery, Error},
    subject::Filter,
};

/// Most messages asked for at once.
const PULL_BATCH_MAX: usize = 256;
/// A batch that is used up within this time may be followed by one twice as large; any other by one of half its size.
const BATCH_TIME: Duration = Duration::from_millis(50);

/// How long a reader that was dropped hands back what was on its way.
const LINGER: Duration = Duration::from_millis(500);

/// A message that has come, and when at the earliest.
struct Waiting {
    message: Message,
    since: Instant,
}

/// A reader of a durable consumer.
pub(super) struct JetStreamConsume {
    line: Arc<Line>,
    stream: String,
    durable: String,
    filters: Vec<Filter>,
    settings: ConsumeSettings,
    pull: Pull,
    /// Whether the consumer has to be looked after before more is asked of it.
    broken: bool,
    waiting: VecDeque<Waiting>,
    batch: usize,
    /// When the first message of the present batch came.
    batch_since: Option<Instant>,
    /// When this reader last looked at what has come.
    looked: Instant,
    pauses: Pauses,
    not_before: Option<Instant>,
}

impl JetStreamConsume {
    pub(super) async fn open(
        line: Arc<Line>,
        stream: &str,
        durable: &str,
        filters: &[Filter],
        settings: ConsumeSettings,
    ) -> Result<Self, Error> {
        let pull = Pull::from(&line, stream, durable).await.map_err(api::unheard_about)?;
        let mut consume = Self {
            line,
            stream: stream.to_owned(),
            durable: durable.to_owned(),
            filters: filters.to_vec(),
            settings,
            pull,
            broken: true,
            waiting: VecDeque::new(),
            batch: 1,
            batch_since: None,
            looked: Instant::now(),
            pauses: Pauses::new(),
            not_before: None,
        };
        consume.mend().await?;
        Ok(consume)
    }

    /// Creates the consumer where it is missing.
    async fn mend(&mut self) -> Result<(), Error> {
        if let Some(not_before) = self.not_before {
            tokio::time::sleep_until(not_before).await;
        }
        self.not_before = Some(Instant::now() + self.pauses.take());
        let config = json!({
            "name": self.durable,
            "durable_name": self.durable,
            "deliver_policy": "all",
            "ack_policy": "explicit",
            "ack_wait": u128::from(self.settings.ack_wait_ms) * 1_000_000,
            "max_ack_pending": self.settings.unacked_max,
            "max_deliver": -1,
        });
        let Value::Object(config) = config else { unreachable!("it was written as an object") };
        self.pull.reconnected(&self.line);
        create(&self.line, &self.stream, &self.durable, &self.filters, config).await?;
        self.broken = false;
        Ok(())
    }

    /// Takes in what has come since the last look; it may be as old as that.
    fn look(&mut self) {
        let since = std::mem::replace(&mut self.looked, Instant::now());
        while let Some(pulled) = self.pull.ready() {
            self.sort(pulled, since);
        }
    }

    fn sort(&mut self, pulled: Pulled, since: Instant) {
        match pulled {
            Pulled::Message(message) => {
                self.batch_since.get_or_insert(since);
                self.waiting.push_back(Waiting { message, since });
            }
            Pulled::Idle => self.healthy(),
            Pulled::Ended | Pulled::Denied(_) => {}
            Pulled::Lost(why) => {
                tracing::debug!(
                    stream = self.stream,
                    durable = self.durable,
                    why,
                    "consuming is taken up anew"
                );
                self.broken = true;
            }
        }
    }

    /// The next message that is fresh enough to be worked on; older ones go back.
    async fn fresh(&mut self) -> Option<Delivery> {
        while let Some(waiting) = self.waiting.pop_front() {
            let Some(reply) = waiting.message.reply.clone() else { continue };
            let Some(place) = Place::of(&reply) else { continue };
            let waited = waiting.since.elapsed();
            let ack_wait = Duration::from_millis(self.settings.ack_wait_ms);
            if waited < ack_wait / 2 {
                let ack = Box::new(Ack { line: self.line.clone(), reply: reply.to_string() });
                let record = message::delivered(waiting.message, &place);
                return Some(Delivery { record, delivered: place.delivered, ack });
            }
            if waited < ack_wait {
                let _ = self.line.client().publish(reply, answer::again(0)).await;
            }
        }
        None
    }

    fn healthy(&mut self) {
        self.pauses = Pauses::new();
        self.not_before = None;
    }

    /// Sizes the next batch by how long the last one took.
    fn resize(&mut self) {
        let Some(since) = self.batch_since.take() else { return };
        let most = PULL_BATCH_MAX.min(self.settings.unacked_max).max(1);
        self.batch =
            if since.elapsed() < BATCH_TIME { self.batch * 2 } else { self.batch / 2 }.clamp(1, most);
    }

    async fn step(&mut self) -> Result<(), Error> {
        if self.broken {
            return match self.mend().await {
                Err(Error::Unanswered(why)) => {
                    tracing::debug!(stream = self.stream, durable = self.durable, why, "cannot consume yet");
                    Ok(())
                }
                other => other,
            };
        }
        if self.pull.outstanding() == 0 {
            self.resize();
            let asked = self.pull.request(&self.line, self.batch).await;
            asked.map_err(api::unheard_about)?;
        }
        match self.pull.next(&self.line).await {
            Pulled::Denied(text) => {
                self.broken = true;
                Err(api::unheard_about(Unheard::Denied(text)))
            }
            pulled => {
                self.sort(pulled, Instant::now());
                self.looked = Instant::now();
                Ok(())
            }
        }
    }
}

#[async_trait]
impl Consume for JetStreamConsume {
    async fn next(&mut self) -> Result<Delivery, Error> {
        self.look();
        loop {
            if let Some(delivery) = self.fresh().await {
                self.healthy();
                return Ok(delivery);
            }
            self.step().await?;
        }
    }
}

impl Drop for JetStreamConsume {
    /// What has come or is on its way goes back at once, rather than after the ack wait.
    fn drop(&mut self) {
        self.look();
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let unseen: Vec<Message> = self.waiting.drain(..).map(|waiting| waiting.message).collect();
        let Some(coming) = self.pull.abandon() else { return };
        let line = self.line.clone();
        runtime.spawn(async move {
            let coming = coming.take_until(tokio::time::sleep(LINGER));
            let mut all = std::pin::pin!(futures::stream::iter(unseen).chain(coming));
            while let Some(message) = all.next().await {
                if let Some(reply) = message.reply.filter(|reply| Place::of(reply).is_some()) {
                    let _ = line.client().publish(reply, answer::again(0)).await;
                }
            }
        });
    }
}

/// How one delivery is answered.
struct Ack {
    line: Arc<Line>,
    reply: String,
}

impl Ack {
    async fn tell(&self, answer: Bytes) -> Result<(), Error> {
        let told = self.line.client().publish(self.reply.clone(), answer).await;
        told.map_err(|error| Error::Unanswered(error.to_string()))
    }
}

#[async_trait]
impl Acknowledge for Ack {
    async fn ack(&self) -> Result<(), Error> {
        let mut tries = Tries::default();
        loop {
            match self.line.ask(&self.reply, None, answer::DONE, ANSWER_WAIT).await {
                Ok(_) => return Ok(()),
                Err(Unheard::Nobody) => {
                    return Err(Error::Unanswered(
                        "the consumer is gone, and its deliveries with it".to_owned(),
                    ));
                }
                Err(unheard) => {
                    if matches!(unheard, Unheard::Denied(_)) || !tries.again().await {
                        return Err(api::unheard_about(unheard));
                    }
                }
            }
        }
    }

    async fn progress(&self) -> Result<(), Error> {
        self.tell(answer::PROGRESS).await
    }

    async fn again(&self, delay_ms: u64) -> Result<(), Error> {
        self.tell(answer::again(delay_ms)).await
    }
}
