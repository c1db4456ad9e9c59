//! A log behind a gate: while it is shut nothing passes, as for a process that is frozen or cut off.

use async_trait::async_trait;
use lowland_events::{
    Filter,
    log::{
        AppendError, Appended, Consume, ConsumeSettings, Entry, Error, Extent, Follow, Log, Record,
        SharedLog, Start,
    },
    stream::StreamSpec,
};
use tokio::sync::watch;

/// The gate and the log behind it.
pub struct Gate {
    log: SharedLog,
    open: watch::Sender<bool>,
}

impl Gate {
    pub fn new(log: SharedLog) -> Self {
        Self { log, open: watch::Sender::new(true) }
    }

    pub fn shut(&self) {
        self.open.send_replace(false);
    }

    pub fn open(&self) {
        self.open.send_replace(true);
    }

    async fn pass(&self) {
        pass(&mut self.open.subscribe()).await;
    }
}

async fn pass(open: &mut watch::Receiver<bool>) {
    open.wait_for(|open| *open).await.expect("the gate outlives its users");
}

#[async_trait]
impl Log for Gate {
    async fn ensure(&self, spec: &StreamSpec) -> Result<(), Error> {
        self.pass().await;
        self.log.ensure(spec).await
    }

    async fn append(&self, entry: Entry) -> Result<Appended, AppendError> {
        self.pass().await;
        self.log.append(entry).await
    }

    async fn append_batch(&self, entries: Vec<Entry>) -> Result<Appended, AppendError> {
        self.pass().await;
        self.log.append_batch(entries).await
    }

    async fn last(&self, stream: &str, filter: &Filter) -> Result<Option<Record>, Error> {
        self.pass().await;
        self.log.last(stream, filter).await
    }

    async fn read(
        &self,
        stream: &str,
        filters: &[Filter],
        from: u64,
        most: usize,
    ) -> Result<Vec<Record>, Error> {
        self.pass().await;
        self.log.read(stream, filters, from, most).await
    }

    async fn extent(&self, stream: &str) -> Result<Extent, Error> {
        self.pass().await;
        self.log.extent(stream).await
    }

    async fn purge(&self, stream: &str, filter: &Filter, below: u64) -> Result<u64, Error> {
        self.pass().await;
        self.log.purge(stream, filter, below).await
    }

    async fn follow(&self, stream: &str, filters: &[Filter], start: Start) -> Result<Box<dyn Follow>, Error> {
        self.pass().await;
        let follow = self.log.follow(stream, filters, start).await?;
        Ok(Box::new(GatedFollow { follow, open: self.open.subscribe() }))
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

struct GatedFollow {
    follow: Box<dyn Follow>,
    open: watch::Receiver<bool>,
}

#[async_trait]
impl Follow for GatedFollow {
    async fn next(&mut self) -> Result<Record, Error> {
        pass(&mut self.open).await;
        let record = self.follow.next().await?;
        pass(&mut self.open).await;
        Ok(record)
    }

    fn caught_up(&self) -> bool {
        self.follow.caught_up()
    }
}
