//! Following: an ephemeral consumer, made anew at the right place whenever it or the connection is lost.
//!
//! What several filters select of every aggregate is followed by a consumer of the whole stream, and sorted out here: for a consumer of several
//! filters, nats-server 2.15.1 looks through the block's subjects anew for each message, which made folding a hundred
//! thousand events take half a minute.
//!
//! The place is a stream sequence. The consumer's own count shows a gap in what arrived; the stream's time of creation
//! shows that a memory stream went with its server and that another one stands in its place.

use std::{sync::Arc, time::Duration};

use async_nats::Message;
use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::{
    api::{self, StreamInfo},
    fetch,
    line::{Line, Unheard},
    message::{self, Place},
    pull::{Pull, Pulled},
    tries::Pauses,
};
use crate::{
    log::{Error, Follow, Record, Start},
    subject::Filter,
};

/// Messages asked for at once; the next are asked for when half of them have come.
const PULL_BATCH: usize = 1000;
/// A consumer that nobody pulls from goes after this time.
const INACTIVE_MAX: Duration = Duration::from_secs(60);

/// What a follower reads from, while it lasts.
struct Session {
    pull: Pull,
    /// The consumer's count of deliveries so far.
    counted: u64,
}

/// A follower.
pub(super) struct JetStreamFollow {
    line: Arc<Line>,
    stream: String,
    filters: Vec<Filter>,
    /// Whether the consumer gives out what no filter selects as well.
    is_whole: bool,
    /// The stream's time of creation: another time, another stream.
    created: String,
    /// Sequence of the next message at the earliest.
    position: u64,
    /// Last sequence when following began; none once that was given out.
    target: Option<u64>,
    session: Option<Session>,
    pauses: Pauses,
    not_before: Option<Instant>,
}

impl JetStreamFollow {
    pub(super) async fn open(
        line: Arc<Line>,
        stream: &str,
        filters: &[Filter],
        start: Start,
    ) -> Result<Self, Error> {
        let info = api::info(&line, stream).await.map_err(|failure| failure.about(stream))?;
        let position = match start {
            Start::At(sequence) => sequence.max(1),
            Start::New => info.state.last_seq + 1,
        };
        let is_whole = filters.len() > 1 && filters.iter().all(Filter::is_broad);
        let last = if is_whole { last_of(&line, stream, filters).await? } else { info.state.last_seq };
        let mut follow = Self {
            line,
            stream: stream.to_owned(),
            filters: filters.to_vec(),
            is_whole,
            created: info.created,
            position,
            target: (last >= position).then_some(last),
            session: None,
            pauses: Pauses::new(),
            not_before: None,
        };
        follow.begin().await?;
        Ok(follow)
    }

    /// Makes a consumer at the present position and asks it for messages.
    async fn begin(&mut self) -> Result<(), Error> {
        let name = consumer_name(&self.line);
        let mut pull = Pull::from(&self.line, &self.stream, &name).await.map_err(api::unheard_about)?;
        let config = json!({
            "name": name,
            "deliver_policy": "by_start_sequence",
            "opt_start_seq": self.position,
            "ack_policy": "none",
            "mem_storage": true,
            "num_replicas": 1,
            "inactive_threshold": u64::try_from(INACTIVE_MAX.as_nanos()).unwrap_or(u64::MAX),
        });
        let Value::Object(config) = config else { unreachable!("it was written as an object") };
        let filters: &[Filter] = if self.is_whole { &[] } else { &self.filters };
        let created = create(&self.line, &self.stream, &name, filters, config).await?;
        if created.num_pending == 0 {
            self.target = None;
        }
        pull.request(&self.line, PULL_BATCH).await.map_err(api::unheard_about)?;
        self.session = Some(Session { pull, counted: 0 });
        Ok(())
    }

    /// Begins anew where the last session ended, unless it is too early for that.
    async fn resume(&mut self) -> Result<(), Error> {
        if let Some(not_before) = self.not_before {
            tokio::time::sleep_until(not_before).await;
        }
        self.not_before = Some(Instant::now() + self.pauses.take());
        let info =
            api::info(&self.line, &self.stream).await.map_err(|failure| failure.about(&self.stream))?;
        self.relocate(&info);
        self.begin().await
    }

    /// Moves the position to where the stream, as it is now, goes on.
    fn relocate(&mut self, info: &StreamInfo) {
        if info.created != self.created {
            tracing::info!(
                stream = self.stream,
                "the stream is another one now: following from its beginning"
            );
            self.created.clone_from(&info.created);
            self.position = 1;
        } else if info.state.last_seq + 1 < self.position {
            tracing::warn!(
                stream = self.stream,
                position = self.position,
                last = info.state.last_seq,
                "the stream has lost its end: following from what is left"
            );
            self.position = info.state.last_seq + 1;
        }
    }

    /// One step: a record, or none yet.
    async fn step(&mut self) -> Result<Option<Record>, Error> {
        let Some(session) = &mut self.session else {
            return match self.resume().await {
                Ok(()) => Ok(None),
                Err(Error::Unanswered(why)) => {
                    tracing::debug!(stream = self.stream, why, "following cannot be taken up yet");
                    Ok(None)
                }
                Err(error) => Err(error),
            };
        };
        if session.pull.outstanding() <= PULL_BATCH / 2
            && let Err(unheard) = session.pull.request(&self.line, PULL_BATCH).await
        {
            return self.lose(&format!("{unheard:?}"));
        }
        match session.pull.next(&self.line).await {
            Pulled::Message(message) => self.take(message),
            Pulled::Idle => {
                self.target = None;
                self.healthy();
                Ok(None)
            }
            Pulled::Ended => Ok(None),
            Pulled::Lost(why) => self.lose(&why),
            Pulled::Denied(text) => {
                self.session = None;
                Err(api::unheard_about(Unheard::Denied(text)))
            }
        }
    }

    fn take(&mut self, message: Message) -> Result<Option<Record>, Error> {
        let place = message.reply.as_ref().and_then(|reply| Place::of(reply));
        let (Some(place), Some(session)) = (place, &mut self.session) else {
            return self.lose("a message without a place");
        };
        if place.consumer_sequence != session.counted + 1 {
            return self.lose("messages were lost on the way");
        }
        session.counted += 1;
        if place.sequence < self.position {
            return Ok(None);
        }
        self.position = place.sequence + 1;
        self.healthy();
        if place.pending == 0 || self.target.is_some_and(|target| place.sequence >= target) {
            self.target = None;
        }
        let wanted = !self.is_whole || self.filters.iter().any(|filter| filter.matches(&message.subject));
        Ok(wanted.then(|| message::delivered(message, &place)))
    }

    fn healthy(&mut self) {
        self.pauses = Pauses::new();
        self.not_before = None;
    }

    fn lose(&mut self, why: &str) -> Result<Option<Record>, Error> {
        tracing::debug!(stream = self.stream, why, position = self.position, "following is taken up anew");
        self.session = None;
        Ok(None)
    }
}

#[async_trait]
impl Follow for JetStreamFollow {
    async fn next(&mut self) -> Result<Record, Error> {
        loop {
            if let Some(record) = self.step().await? {
                return Ok(record);
            }
        }
    }

    fn caught_up(&self) -> bool {
        self.target.is_none()
    }
}

/// Sequence of the last message that any of `filters` selects; 0 for none.
async fn last_of(line: &Line, stream: &str, filters: &[Filter]) -> Result<u64, Error> {
    let mut last = 0;
    for filter in filters {
        let record = fetch::last(line, stream, filter).await?;
        last = last.max(record.map_or(0, |record| record.sequence));
    }
    Ok(last)
}

/// What the server says of a consumer.
#[derive(Deserialize)]
pub(super) struct Created {
    /// Messages that it has yet to deliver.
    #[serde(default)]
    pub(super) num_pending: u64,
}

/// Creates a consumer, or brings it to this configuration.
pub(super) async fn create(
    line: &Line,
    stream: &str,
    name: &str,
    filters: &[Filter],
    mut config: Map<String, Value>,
) -> Result<Created, Error> {
    let mut verb = format!("CONSUMER.CREATE.{stream}.{name}");
    match filters {
        [] => {}
        [filter] => {
            config.insert("filter_subject".to_owned(), json!(filter.as_str()));
            verb = format!("{verb}.{filter}");
        }
        several => {
            let several: Value = several.iter().map(|filter| json!(filter.as_str())).collect();
            config.insert("filter_subjects".to_owned(), several);
        }
    }
    let question = json!({ "stream_name": stream, "config": config });
    api::ask(line, &verb, &question).await.map_err(|failure| failure.about(stream))
}

fn consumer_name(line: &Line) -> String {
    let inbox = line.client().new_inbox();
    format!("follow-{}", inbox.rsplit('.').next().unwrap_or(&inbox))
}
