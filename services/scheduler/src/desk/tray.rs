//! What lies on the desk besides the log: requests that are not acknowledged, who was heard of, how far each stream was
//! read.

use std::collections::BTreeMap;

use lowland_events::{
    Event, Stored, Time,
    id::InstanceId,
    instance,
    job::Position,
    log::{Acknowledge, Delivery},
    stream,
};

use super::teller::Teller;
use crate::{facts::Facts, incoming::Incoming};

/// Something that arrived for the desk.
pub enum Input {
    /// A request.
    Request(Delivery),
    /// A process's sample.
    Sample(Sample),
}

/// A process's sample on the stream of measurements.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Whose it is.
    pub process: InstanceId,
    /// When it was heard, by the scheduler's clock.
    pub at: Time,
    /// Its place in the stream.
    pub sequence: u64,
}

/// A request that is not acknowledged yet.
pub(super) struct Pending {
    pub(super) incoming: Incoming,
    pub(super) ack: Box<dyn Acknowledge>,
}

/// What lies on the desk besides the log.
pub(super) struct Tray {
    /// This process, whose own samples are the echo.
    own: InstanceId,
    pub(super) facts: Facts,
    pub(super) pending: BTreeMap<u64, Pending>,
    /// Of what only has to be acknowledged.
    pub(super) acks: Vec<Box<dyn Acknowledge>>,
    teller: Option<Teller>,
    requests_position: u64,
    metrics_position: u64,
}

impl Tray {
    pub(super) fn new(own: InstanceId, teller: Option<Teller>) -> Self {
        Self {
            own,
            facts: Facts::default(),
            pending: BTreeMap::new(),
            acks: Vec::new(),
            teller,
            requests_position: 0,
            metrics_position: 0,
        }
    }

    /// Takes in what arrived; says whether something can follow from it.
    pub(super) fn accept(&mut self, input: Input) -> bool {
        match input {
            Input::Request(delivery) => {
                self.take(delivery);
                true
            }
            Input::Sample(sample) => self.heard(&sample),
        }
    }

    /// A request arrived; what cannot be one is only to be acknowledged, lest it come again for ever.
    fn take(&mut self, delivery: Delivery) {
        let Delivery { record, delivered, ack } = delivery;
        self.requests_position = self.requests_position.max(record.sequence);
        match Incoming::read(&record, delivered) {
            Some(incoming) => {
                self.teller.iter_mut().for_each(|teller| teller.asked(&incoming));
                self.pending.insert(record.sequence, Pending { incoming, ack });
            }
            None => {
                tracing::warn!(subject = record.subject, sequence = record.sequence, "not a request of ours");
                self.acks.push(ack);
            }
        }
    }

    /// A sample arrived; something follows from it if its process was not there before.
    fn heard(&mut self, sample: &Sample) -> bool {
        self.metrics_position = sample.sequence;
        let liveness = &mut self.facts.liveness;
        if sample.process == self.own {
            liveness.echoed(sample.at);
            return false;
        }
        let was_alive = liveness.is_alive(&sample.process, sample.at);
        liveness.heard(&sample.process, sample.at);
        !was_alive
    }

    /// An event was taken into the state: a process that announces a model is as good as heard.
    pub(super) fn note(&mut self, event: &Stored, now: Time) {
        self.teller.iter_mut().for_each(|teller| teller.note(event));
        if let Event::Instance(instance::Event::Ready(ready)) = &event.event {
            self.facts.liveness.heard(&ready.process, now);
        }
    }

    /// A request whose outcome stands, or that is to come again, is no longer at hand.
    pub(super) fn put_away(&mut self, request: u64) -> Option<Pending> {
        let pending = self.pending.remove(&request)?;
        self.teller.iter_mut().for_each(|teller| teller.settled(&pending.incoming));
        Some(pending)
    }

    /// Notes how far each stream was read.
    pub(super) fn mark(&mut self, log: u64) {
        let position = |stream: &str, sequence| Position { stream: stream.to_owned(), sequence };
        self.facts.positions = vec![
            position(stream::LOG, log),
            position(stream::REQUESTS, self.requests_position),
            position(stream::METRICS, self.metrics_position),
        ];
    }
}
