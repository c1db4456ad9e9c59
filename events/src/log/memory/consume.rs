//! Durable consumers in memory: what is delivered and not acknowledged comes again when its time is up.

use std::{collections::BTreeMap, pin::pin, sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::time::Instant;

use super::{NAP_MAX, Now, Shared, state::State, stored::Stream};
use crate::{
    log::{Acknowledge, Consume, ConsumeSettings, Delivery, Error, Record},
    subject::Filter,
};

/// A message that was delivered and not acknowledged.
struct Unacked {
    delivered: u64,
    /// When it comes again.
    due: Instant,
}

/// A durable consumer.
pub(super) struct Durable {
    filters: Vec<Filter>,
    settings: ConsumeSettings,
    /// Sequence of the next message that was never delivered, at the earliest.
    next: u64,
    unacked: BTreeMap<u64, Unacked>,
}

/// What a durable has to give.
enum Offer {
    Message(Record, u64),
    /// Nothing before this moment, unless something changes.
    Wait(Instant),
}

impl Durable {
    fn ack_wait(&self) -> Duration {
        Duration::from_millis(self.settings.ack_wait_ms)
    }

    fn offer(&mut self, stream: &Stream, now: Now) -> Offer {
        let due = now.at + self.ack_wait();
        while let Some((sequence, unacked)) =
            self.unacked.iter_mut().find(|(_, unacked)| unacked.due <= now.at)
        {
            if let Some(record) = stream.record(*sequence) {
                *unacked = Unacked { delivered: unacked.delivered + 1, due };
                return Offer::Message(record, unacked.delivered);
            }
            let gone = *sequence;
            self.unacked.remove(&gone);
        }
        if self.unacked.len() < self.settings.unacked_max {
            if let Some(record) = stream.select(&self.filters, self.next).next() {
                self.next = record.sequence + 1;
                self.unacked.insert(record.sequence, Unacked { delivered: 1, due });
                return Offer::Message(record, 1);
            }
            self.next = self.next.max(stream.extent().last + 1);
        }
        Offer::Wait(self.unacked.values().map(|unacked| unacked.due).min().unwrap_or(now.at + NAP_MAX))
    }
}

/// A reader of a durable consumer.
pub(super) struct MemoryConsume {
    place: Place,
    filters: Vec<Filter>,
    settings: ConsumeSettings,
    told: bool,
}

/// Which durable.
#[derive(Clone)]
struct Place {
    shared: Arc<Shared>,
    /// Stream and durable.
    key: (String, String),
}

impl Place {
    fn durable<T>(&self, change: impl FnOnce(&mut Durable, Now) -> T) -> Result<T, Error> {
        let gone = || Error::Unanswered("the consumer is gone, and its deliveries with it".to_owned());
        self.shared.change(|state, now| {
            let durable = state.durables.get_mut(&self.key).ok_or_else(gone)?;
            Ok(change(durable, now))
        })
    }
}

impl MemoryConsume {
    pub(super) fn open(
        shared: Arc<Shared>,
        stream: &str,
        durable: &str,
        filters: &[Filter],
        settings: ConsumeSettings,
    ) -> Result<Self, Error> {
        let place = Place { shared, key: (stream.to_owned(), durable.to_owned()) };
        let consume = Self { place, filters: filters.to_vec(), settings, told: false };
        consume.make()?;
        consume.place.durable(|durable, _| {
            durable.filters = filters.to_vec();
            durable.settings = settings;
        })?;
        Ok(consume)
    }

    /// Makes the durable where it is missing and its stream is not.
    fn make(&self) -> Result<(), Error> {
        let Self { filters, settings, .. } = self;
        self.place.shared.look(|state, _| {
            state.stream(&self.place.key.0)?;
            state.durables.entry(self.place.key.clone()).or_insert_with(|| Durable {
                filters: filters.clone(),
                settings: *settings,
                next: 1,
                unacked: BTreeMap::new(),
            });
            Ok(())
        })
    }

    fn offer(&self) -> Result<Offer, Error> {
        self.make()?;
        self.place.shared.look(|State { streams, durables, faults, .. }, now| {
            let gone = || Error::NoStream(self.place.key.0.clone());
            let stream = streams.get(&self.place.key.0).ok_or_else(gone)?;
            let offer = durables.get_mut(&self.place.key).ok_or_else(gone)?.offer(stream, now);
            if matches!(offer, Offer::Message(..)) && faults.deliveries_lost > 0 {
                faults.deliveries_lost -= 1;
                return Ok(Offer::Wait(now.at));
            }
            Ok(offer)
        })
    }
}

#[async_trait]
impl Consume for MemoryConsume {
    async fn next(&mut self) -> Result<Delivery, Error> {
        let shared = self.place.shared.clone();
        loop {
            let mut changed = pin!(shared.changes.notified());
            changed.as_mut().enable();
            let until = match self.offer() {
                Ok(Offer::Message(record, delivered)) => {
                    let ack = Box::new(Ack { place: self.place.clone(), sequence: record.sequence });
                    return Ok(Delivery { record, delivered, ack });
                }
                Ok(Offer::Wait(until)) => {
                    self.told = false;
                    until
                }
                Err(error) if !self.told => {
                    self.told = true;
                    return Err(error);
                }
                Err(_) => Instant::now() + NAP_MAX,
            };
            let _ = tokio::time::timeout_at(until, changed).await;
        }
    }
}

/// How one delivery is answered.
struct Ack {
    place: Place,
    sequence: u64,
}

#[async_trait]
impl Acknowledge for Ack {
    async fn ack(&self) -> Result<(), Error> {
        self.place.durable(|durable, _| durable.unacked.remove(&self.sequence)).map(|_| ())
    }

    async fn progress(&self) -> Result<(), Error> {
        self.place.durable(|durable, now| {
            let due = now.at + durable.ack_wait();
            if let Some(unacked) = durable.unacked.get_mut(&self.sequence) {
                unacked.due = due;
            }
        })
    }

    async fn again(&self, delay_ms: u64) -> Result<(), Error> {
        self.place.durable(|durable, now| {
            if let Some(unacked) = durable.unacked.get_mut(&self.sequence) {
                unacked.due = now.at + Duration::from_millis(delay_ms);
            }
        })
    }
}
