//! The log that events travel on: what a service may ask of it, and its two implementations.
//!
//! [`memory`] is for tests and simulations, [`jetstream`] for everything else; one conformance suite holds both.

pub mod jetstream;
pub mod memory;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use crate::{
    envelope::{EventId, Headers},
    stream::StreamSpec,
    subject::Filter,
    time::Time,
};

/// A message to append.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Where it goes.
    pub subject: String,
    /// Its id, by which the log drops what is sent twice.
    pub id: EventId,
    /// Its headers.
    pub headers: Headers,
    /// Its body.
    pub payload: Bytes,
    /// What must hold for it to be stored.
    pub expect: Option<Expect>,
}

/// Optimistic concurrency: the last sequence of what `filter` selects must be `last` (0 for none).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expect {
    /// The aggregate: always [`crate::Subject::aggregate_filter`].
    pub filter: Filter,
    /// Sequence of the aggregate's last message.
    pub last: u64,
}

/// Largest body of a message where nobody said otherwise, in bytes: a NATS server's default.
pub const PAYLOAD_BYTES_DEFAULT: usize = 1 << 20;

/// Most messages in one batch.
pub const BATCH_MAX: usize = 1000;

/// A message as stored. Its headers are those of the [`Entry`] with its id as `Nats-Msg-Id`; no other `Nats-` header is
/// shown.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Its stream.
    pub stream: String,
    /// Its place in the stream.
    pub sequence: u64,
    /// Where it went.
    pub subject: String,
    /// Its headers.
    pub headers: Headers,
    /// Its body.
    pub payload: Bytes,
    /// When the server stored it.
    pub stored_at: Time,
}

/// What became of an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// Sequence of the message (of a batch: of its last one).
    pub sequence: u64,
    /// Whether it had been stored before: this append was a repetition.
    pub repeated: bool,
}

/// Why an append was not made.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AppendError {
    /// Somebody else wrote to an aggregate first: read on and decide again.
    #[error("the aggregate has moved on: its last sequence is no longer the expected one ({detail})")]
    Conflict {
        /// What the log said.
        detail: String,
    },
    /// No stream takes this subject (a memory stream goes when a server restarts): ensure it, then repeat.
    #[error("no stream takes {0}")]
    NoStream(String),
    /// The log has no room, or may not be written to by this user: somebody has to mend that.
    #[error("the log refuses the append: {0}")]
    Refused(String),
    /// The log could not be reached or did not answer: whether it stored the message is not known; repeat.
    #[error("the log did not answer: {0}")]
    Unanswered(String),
}

/// Why something other than an append failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The stream is not there (a memory stream goes when a server restarts): ensure it, then repeat.
    #[error("stream {0} does not exist")]
    NoStream(String),
    /// A stream of that name exists with another configuration that cannot be changed into ours.
    #[error("stream {stream} exists with another configuration: {detail}")]
    Clash {
        /// The stream.
        stream: String,
        /// What differs.
        detail: String,
    },
    /// The log refuses; somebody has to mend that.
    #[error("the log refuses: {0}")]
    Refused(String),
    /// The log could not be reached or did not answer: repeat.
    #[error("the log did not answer: {0}")]
    Unanswered(String),
}

/// Where reading begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// With the first message whose sequence is at least this one (0 or 1: the beginning).
    At(u64),
    /// With what is stored from now on.
    New,
}

/// First and last sequence of a stream; both 0 when nothing was ever stored. `first` is `last + 1` when all is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Sequence of the first message that is still there.
    pub first: u64,
    /// Sequence of the last message.
    pub last: u64,
    /// Messages that are still there.
    pub messages: u64,
}

impl Extent {
    /// Messages that were stored once and have gone.
    #[must_use]
    pub fn removed(&self) -> u64 {
        self.last.saturating_sub(self.messages)
    }
}

/// How a durable consumer delivers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConsumeSettings {
    /// A message that is neither acknowledged nor in progress for this long is delivered again, in milliseconds.
    pub ack_wait_ms: u64,
    /// Most messages delivered and not yet acknowledged.
    pub unacked_max: usize,
}

impl Default for ConsumeSettings {
    fn default() -> Self {
        Self { ack_wait_ms: 30_000, unacked_max: 1024 }
    }
}

/// The log, as services see it.
#[async_trait]
pub trait Log: Send + Sync + 'static {
    /// Largest body of a message, in bytes; larger ones are refused.
    fn payload_bytes_max(&self) -> usize {
        PAYLOAD_BYTES_DEFAULT
    }

    /// Times that the way to the log was lost and found again, where there is a way that can be lost.
    fn reconnects(&self) -> u64 {
        0
    }

    /// Creates the stream, or brings it to this configuration; a stream that cannot be is [`Error::Clash`].
    async fn ensure(&self, spec: &StreamSpec) -> Result<(), Error>;

    /// Appends one message. A repetition of one that is stored already succeeds with its sequence: whatever it expected
    /// as long as ids are remembered, with the same expectation for ever.
    async fn append(&self, entry: Entry) -> Result<Appended, AppendError>;

    /// Appends all or none, in order and next to each other, to one stream that takes batches. Each aggregate's
    /// expectation stands on its first message. A repetition of a batch that is stored already succeeds.
    async fn append_batch(&self, entries: Vec<Entry>) -> Result<Appended, AppendError>;

    /// Appends many units, each of which is what [`Log::append_batch`] takes and has an outcome of its own; of two that
    /// guard one aggregate, the first goes first. A log may put them together: most of what an append costs is not for
    /// its messages.
    async fn append_all(&self, units: Vec<Vec<Entry>>) -> Vec<Result<Appended, AppendError>> {
        let mut outcomes = Vec::with_capacity(units.len());
        for mut unit in units {
            outcomes.push(match unit.len() {
                1 => self.append(unit.remove(0)).await,
                _ => self.append_batch(unit).await,
            });
        }
        outcomes
    }

    /// The last message that `filter` selects.
    async fn last(&self, stream: &str, filter: &Filter) -> Result<Option<Record>, Error>;

    /// At most `most` messages that any of `filters` selects, from sequence `from` on, in order.
    async fn read(
        &self,
        stream: &str,
        filters: &[Filter],
        from: u64,
        most: usize,
    ) -> Result<Vec<Record>, Error>;

    /// First and last sequence of the stream.
    async fn extent(&self, stream: &str) -> Result<Extent, Error>;

    /// Removes what `filter` selects below sequence `below`; gives the number removed.
    async fn purge(&self, stream: &str, filter: &Filter, below: u64) -> Result<u64, Error>;

    /// Every message that any of `filters` selects (all, if there are none), in order, without a gap, without end: it
    /// mends itself when the connection is lost. A memory stream that vanished is followed again from its beginning
    /// once it is there.
    async fn follow(&self, stream: &str, filters: &[Filter], start: Start) -> Result<Box<dyn Follow>, Error>;

    /// A durable, shared consumer: each message goes to one of its readers, again until acknowledged.
    async fn consume(
        &self,
        stream: &str,
        durable: &str,
        filters: &[Filter],
        settings: ConsumeSettings,
    ) -> Result<Box<dyn Consume>, Error>;
}

/// Shared by all tasks of a service.
pub type SharedLog = Arc<dyn Log>;

/// Messages in order, without end.
#[async_trait]
pub trait Follow: Send {
    /// The next message; waits for it. Cancel-safe: a call that is dropped loses nothing. After [`Error::NoStream`] call
    /// again: following goes on once the stream is there.
    async fn next(&mut self) -> Result<Record, Error>;

    /// Whether everything that was stored when following began has been given out.
    fn caught_up(&self) -> bool;
}

/// Messages of a durable consumer.
#[async_trait]
pub trait Consume: Send {
    /// The next message; waits for it. Cancel-safe: a call that is dropped loses nothing. After [`Error::NoStream`] call
    /// again: consuming goes on, from the beginning, once the stream is there.
    async fn next(&mut self) -> Result<Delivery, Error>;
}

/// A message that wants an acknowledgement.
pub struct Delivery {
    /// The message.
    pub record: Record,
    /// Times that it was delivered, this one included.
    pub delivered: u64,
    /// How to answer.
    pub ack: Box<dyn Acknowledge>,
}

/// How a delivery is answered.
#[async_trait]
pub trait Acknowledge: Send + Sync {
    /// Done with: not to be delivered again. Waits until the log has taken note; after a crash of the log, a message that
    /// was acknowledged just before may come again all the same.
    async fn ack(&self) -> Result<(), Error>;
    /// Still at it: the time until it is delivered again begins anew.
    async fn progress(&self) -> Result<(), Error>;
    /// Not done: to be delivered again after `delay_ms` milliseconds.
    async fn again(&self, delay_ms: u64) -> Result<(), Error>;
}
