//! Following a stream in memory: a position, and a sleep while there is nothing beyond it.

use std::{pin::pin, sync::Arc};

use async_trait::async_trait;

use super::Shared;
use crate::{
    log::{Error, Follow, Record, Start},
    subject::Filter,
};

/// A follower.
pub(super) struct MemoryFollow {
    shared: Arc<Shared>,
    stream: String,
    filters: Vec<Filter>,
    incarnation: u64,
    position: u64,
    target: u64,
    /// Whether the caller was told that the stream is gone.
    told: bool,
}

impl MemoryFollow {
    pub(super) fn open(
        shared: Arc<Shared>,
        stream: &str,
        filters: &[Filter],
        start: Start,
    ) -> Result<Self, Error> {
        let (incarnation, position, target) = shared.look(|state, _| {
            let stream = state.stream(stream)?;
            let position = match start {
                Start::At(sequence) => sequence.max(1),
                Start::New => stream.extent().last + 1,
            };
            let target = stream.select(filters, position).last().map_or(0, |record| record.sequence);
            Ok::<_, Error>((stream.incarnation, position, target))
        })?;
        Ok(Self {
            shared,
            stream: stream.to_owned(),
            filters: filters.to_vec(),
            incarnation,
            position,
            target,
            told: false,
        })
    }

    /// The next message, if there is one.
    fn take(&mut self) -> Result<Option<Record>, Error> {
        let shared = self.shared.clone();
        shared.look(|state, _| {
            let stream = state.stream(&self.stream)?;
            self.told = false;
            if stream.incarnation != self.incarnation {
                self.incarnation = stream.incarnation;
                self.position = 1;
                self.target = 0;
            }
            let record = stream.select(&self.filters, self.position).next();
            match &record {
                Some(record) => self.position = record.sequence + 1,
                None => {
                    self.position = self.position.max(stream.extent().last + 1);
                    self.target = 0;
                }
            }
            Ok(record)
        })
    }
}

#[async_trait]
impl Follow for MemoryFollow {
    async fn next(&mut self) -> Result<Record, Error> {
        let shared = self.shared.clone();
        loop {
            let mut changed = pin!(shared.changes.notified());
            changed.as_mut().enable();
            match self.take() {
                Ok(Some(record)) => return Ok(record),
                Err(error) if !self.told => {
                    self.told = true;
                    return Err(error);
                }
                Ok(None) | Err(_) => {}
            }
            changed.await;
        }
    }

    fn caught_up(&self) -> bool {
        self.position > self.target
    }
}
