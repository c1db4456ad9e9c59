//! A log that can be out of reach for a while.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU32, Ordering},
};

use async_trait::async_trait;
use lowland_events::{
    Filter,
    log::{
        AppendError, Appended, Consume, ConsumeSettings, Entry, Error, Extent, Follow, Log, Record, Start,
        memory::MemoryLog,
    },
    stream::StreamSpec,
};
use tokio::sync::Notify;

/// Another log, and whether it can be reached.
#[derive(Clone)]
pub(crate) struct Unreliable {
    inner: MemoryLog,
    reach: Arc<Reach>,
}

#[derive(Default)]
pub(crate) struct Reach {
    down: AtomicBool,
    changed: Notify,
    /// Readers that were told that the log is out of reach.
    pub(crate) readers_told: AtomicU32,
}

impl Reach {
    /// The log goes out of reach, or comes back.
    pub(crate) fn down(&self, down: bool) {
        self.down.store(down, Ordering::SeqCst);
        self.changed.notify_waiters();
    }

    fn is_down(&self) -> bool {
        self.down.load(Ordering::SeqCst)
    }

    fn asked(&self) -> Result<(), Error> {
        if self.is_down() { Err(Error::Unanswered("out of reach".into())) } else { Ok(()) }
    }
}

impl Unreliable {
    pub(crate) fn new(inner: MemoryLog, reach: Arc<Reach>) -> Self {
        Self { inner, reach }
    }
}

#[async_trait]
impl Log for Unreliable {
    async fn ensure(&self, spec: &StreamSpec) -> Result<(), Error> {
        self.reach.asked()?;
        self.inner.ensure(spec).await
    }

    async fn append(&self, entry: Entry) -> Result<Appended, AppendError> {
        self.reach.asked().map_err(|error| AppendError::Unanswered(error.to_string()))?;
        self.inner.append(entry).await
    }

    async fn append_batch(&self, entries: Vec<Entry>) -> Result<Appended, AppendError> {
        self.reach.asked().map_err(|error| AppendError::Unanswered(error.to_string()))?;
        self.inner.append_batch(entries).await
    }

    async fn last(&self, stream: &str, filter: &Filter) -> Result<Option<Record>, Error> {
        self.reach.asked()?;
        self.inner.last(stream, filter).await
    }

    async fn read(
        &self,
        stream: &str,
        filters: &[Filter],
        from: u64,
        most: usize,
    ) -> Result<Vec<Record>, Error> {
        self.reach.asked()?;
        self.inner.read(stream, filters, from, most).await
    }

    async fn extent(&self, stream: &str) -> Result<Extent, Error> {
        self.reach.asked()?;
        self.inner.extent(stream).await
    }

    async fn purge(&self, stream: &str, filter: &Filter, below: u64) -> Result<u64, Error> {
        self.inner.purge(stream, filter, below).await
    }

    async fn follow(&self, stream: &str, filters: &[Filter], start: Start) -> Result<Box<dyn Follow>, Error> {
        self.reach.asked()?;
        let inner = self.inner.follow(stream, filters, start).await?;
        Ok(Box::new(UnreliableFollow { inner, reach: self.reach.clone() }))
    }

    async fn consume(
        &self,
        stream: &str,
        durable: &str,
        filters: &[Filter],
        settings: ConsumeSettings,
    ) -> Result<Box<dyn Consume>, Error> {
        self.inner.consume(stream, durable, filters, settings).await
    }
}

struct UnreliableFollow {
    inner: Box<dyn Follow>,
    reach: Arc<Reach>,
}

#[async_trait]
impl Follow for UnreliableFollow {
    async fn next(&mut self) -> Result<Record, Error> {
        loop {
            let changed = self.reach.changed.notified();
            if let Err(error) = self.reach.asked() {
                self.reach.readers_told.fetch_add(1, Ordering::SeqCst);
                return Err(error);
            }
            tokio::select! {
                record = self.inner.next() => return record,
                () = changed => {}
            }
        }
    }

    fn caught_up(&self) -> bool {
        self.inner.caught_up()
    }
}
