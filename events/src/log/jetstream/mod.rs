//! The log on NATS JetStream.
//!
//! [`line`](self) is the connection: a question and its answer, with whatever can go wrong between the two. On it rest
//! `configure` (streams), `publish` and `readback` (appending), `group` (putting appends together), `fetch` (reading), `pull` with `follow` and `consume`
//! (following and durable consumers). `message` and `api` know how the server spells things.

mod api;
mod configure;
mod connect;
mod consume;
mod fetch;
mod follow;
mod group;
mod line;
mod message;
mod publish;
mod pull;
mod readback;
mod tries;

use std::sync::Arc;

use async_trait::async_trait;

use super::{
    AppendError, Appended, Consume, ConsumeSettings, Entry, Error, Extent, Follow, Log, Record, Start,
};
use crate::{stream::StreamSpec, subject::Filter};
use group::Grouping;
use line::Line;

pub use connect::{Connection, Credentials};

/// The log on a NATS server with JetStream; clones share one connection.
#[derive(Clone)]
pub struct JetStreamLog {
    line: Arc<Line>,
    appends: Grouping,
}

impl JetStreamLog {
    /// Connects, and reconnects for ever once connected. A refused user is [`Error::Refused`], a server that is not
    /// there [`Error::Unanswered`].
    pub async fn connect(connection: &Connection) -> Result<Self, Error> {
        Ok(Self::on(connect::connect(connection).await?))
    }

    /// The log over a connection that exists. What the server forbids shows as [`Error::Unanswered`] then, since only
    /// whoever made the connection hears of it.
    #[must_use]
    pub fn from_client(client: async_nats::Client) -> Self {
        Self::on(Line::watching(client))
    }

    /// The connection, for what is not the log: plain subscriptions to what streams republish.
    #[must_use]
    pub fn client(&self) -> &async_nats::Client {
        self.line.client()
    }

    fn on(line: Arc<Line>) -> Self {
        Self { appends: Grouping::over(line.clone()), line }
    }
}

#[async_trait]
impl Log for JetStreamLog {
    fn payload_bytes_max(&self) -> usize {
        self.line.client().max_payload()
    }

    fn reconnects(&self) -> u64 {
        self.line.connects().saturating_sub(1)
    }

    async fn ensure(&self, spec: &StreamSpec) -> Result<(), Error> {
        configure::ensure(&self.line, spec).await
    }

    async fn append(&self, entry: Entry) -> Result<Appended, AppendError> {
        self.appends.append(vec![entry]).await
    }

    async fn append_batch(&self, entries: Vec<Entry>) -> Result<Appended, AppendError> {
        self.appends.append(entries).await
    }

    async fn append_all(&self, units: Vec<Vec<Entry>>) -> Vec<Result<Appended, AppendError>> {
        self.appends.append_all(units).await
    }

    async fn last(&self, stream: &str, filter: &Filter) -> Result<Option<Record>, Error> {
        fetch::last(&self.line, stream, filter).await
    }

    async fn read(
        &self,
        stream: &str,
        filters: &[Filter],
        from: u64,
        most: usize,
    ) -> Result<Vec<Record>, Error> {
        fetch::read(&self.line, stream, filters, from, most).await
    }

    async fn extent(&self, stream: &str) -> Result<Extent, Error> {
        fetch::extent(&self.line, stream).await
    }

    async fn purge(&self, stream: &str, filter: &Filter, below: u64) -> Result<u64, Error> {
        fetch::purge(&self.line, stream, filter, below).await
    }

    async fn follow(&self, stream: &str, filters: &[Filter], start: Start) -> Result<Box<dyn Follow>, Error> {
        Ok(Box::new(follow::JetStreamFollow::open(self.line.clone(), stream, filters, start).await?))
    }

    async fn consume(
        &self,
        stream: &str,
        durable: &str,
        filters: &[Filter],
        settings: ConsumeSettings,
    ) -> Result<Box<dyn Consume>, Error> {
        Ok(Box::new(
            consume::JetStreamConsume::open(self.line.clone(), stream, durable, filters, settings).await?,
        ))
    }
}
