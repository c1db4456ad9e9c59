//! A log that counts what is appended to it, and how long that takes; all else it passes on.

use std::sync::Arc;

use async_trait::async_trait;
use lowland_events::{
    Filter,
    log::{
        AppendError, Appended, Consume, ConsumeSettings, Entry, Error, Extent, Follow, Log, Record,
        SharedLog, Start,
    },
    stream::StreamSpec,
};
use tokio::time::Instant;

use crate::figures::{Counter, Figures, Histogram, own};

/// The same log, measured in `figures`.
#[must_use]
pub fn measured(log: SharedLog, figures: &Figures) -> SharedLog {
    let count = |outcome| figures.counter(&own::LOG_APPENDS, &[outcome]);
    Arc::new(Measured {
        log,
        stored: count("stored"),
        repeated: count("repeated"),
        conflict: count("conflict"),
        no_stream: count("no_stream"),
        refused: count("refused"),
        unanswered: count("unanswered"),
        time: figures.histogram(&own::LOG_APPEND_SECONDS, &[]),
    })
}

struct Measured {
    log: SharedLog,
    stored: Counter,
    repeated: Counter,
    conflict: Counter,
    no_stream: Counter,
    refused: Counter,
    unanswered: Counter,
    time: Histogram,
}

impl Measured {
    /// Notes what became of an append that was sent at `sent`.
    fn note(&self, sent: Instant, outcome: &Result<Appended, AppendError>) {
        self.time.record_time(sent.elapsed());
        let counter = match outcome {
            Ok(Appended { repeated: false, .. }) => &self.stored,
            Ok(Appended { repeated: true, .. }) => &self.repeated,
            Err(AppendError::Conflict { .. }) => &self.conflict,
            Err(AppendError::NoStream(_)) => &self.no_stream,
            Err(AppendError::Refused(_)) => &self.refused,
            Err(AppendError::Unanswered(_)) => &self.unanswered,
        };
        counter.add(1);
    }
}

#[async_trait]
impl Log for Measured {
    fn payload_bytes_max(&self) -> usize {
        self.log.payload_bytes_max()
    }

    fn reconnects(&self) -> u64 {
        self.log.reconnects()
    }

    async fn ensure(&self, spec: &StreamSpec) -> Result<(), Error> {
        self.log.ensure(spec).await
    }

    async fn append(&self, entry: Entry) -> Result<Appended, AppendError> {
        let sent = Instant::now();
        let outcome = self.log.append(entry).await;
        self.note(sent, &outcome);
        outcome
    }

    async fn append_batch(&self, entries: Vec<Entry>) -> Result<Appended, AppendError> {
        let sent = Instant::now();
        let outcome = self.log.append_batch(entries).await;
        self.note(sent, &outcome);
        outcome
    }

    async fn append_all(&self, units: Vec<Vec<Entry>>) -> Vec<Result<Appended, AppendError>> {
        let sent = Instant::now();
        let outcomes = self.log.append_all(units).await;
        outcomes.iter().for_each(|outcome| self.note(sent, outcome));
        outcomes
    }

    async fn last(&self, stream: &str, filter: &Filter) -> Result<Option<Record>, Error> {
        self.log.last(stream, filter).await
    }

    async fn read(
        &self,
        stream: &str,
        filters: &[Filter],
        from: u64,
        most: usize,
    ) -> Result<Vec<Record>, Error> {
        self.log.read(stream, filters, from, most).await
    }

    async fn extent(&self, stream: &str) -> Result<Extent, Error> {
        self.log.extent(stream).await
    }

    async fn purge(&self, stream: &str, filter: &Filter, below: u64) -> Result<u64, Error> {
        self.log.purge(stream, filter, below).await
    }

    async fn follow(&self, stream: &str, filters: &[Filter], start: Start) -> Result<Box<dyn Follow>, Error> {
        self.log.follow(stream, filters, start).await
    }

    async fn consume(
        &self,
        stream: &str,
        durable: &str,
        filters: &[Filter],
        settings: ConsumeSettings,
    ) -> Result<Box<dyn Consume>, Error> {
        self.log.consume(stream, durable, filters, settings).await
    }
}
