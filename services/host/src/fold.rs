//! Folding the log into a state, in the log's order, without a gap.

use lowland_events::{
    Filter, Stored,
    envelope::Undecodable,
    log::{self, Follow, Record, SharedLog, Start},
};

use crate::{
    Clock, Figures,
    figures::{Counter, Gauge, Histogram, own},
    inspect::{self, Inspector},
};

/// What a service knows, and how an event changes it.
pub trait State: Default + Send {
    /// Changes the state by one event. Pure: no clock, no randomness, no I/O. An event that does not fit the state is
    /// ignored, since a replay must never fail.
    fn evolve(&mut self, event: &Stored);
}

/// A state, kept up with a stream.
pub struct Fold<S> {
    state: S,
    position: u64,
    stream: String,
    follow: Box<dyn Follow>,
    /// Events taken in since the state was last set aside.
    pub(crate) unkept: u64,
    /// Bytes that it took when it was last set aside.
    pub(crate) kept_bytes: u64,
    /// Where questions for the state come from, if they may come.
    pub(crate) inspector: Option<Inspector<S>>,
    measures: Option<Measures>,
}

/// What is measured of a fold that has caught up.
struct Measures {
    folded: Counter,
    position: Gauge,
    delay: Histogram,
    clock: Clock,
}

impl Measures {
    fn note(&self, record: &Record) {
        self.folded.add(1);
        self.position.set(i64::try_from(record.sequence).unwrap_or(i64::MAX));
        let delay_us = self.clock.now().0.saturating_sub(record.stored_at.0);
        // The server's clock may be ahead of ours.
        self.delay.record(u64::try_from(delay_us).unwrap_or(0));
    }
}

impl<S: State> Fold<S> {
    /// Folds what `filters` select of `stream`, from the beginning on, and returns once it has caught up.
    pub async fn open(log: &SharedLog, stream: &str, filters: &[Filter]) -> Result<Self, log::Error> {
        Self::after(log, stream, filters, S::default(), 0).await
    }

    /// Goes on from `state`, which includes everything up to `position`, and returns once it has caught up.
    pub(crate) async fn after(
        log: &SharedLog,
        stream: &str,
        filters: &[Filter],
        state: S,
        position: u64,
    ) -> Result<Self, log::Error> {
        let follow = log.follow(stream, filters, Start::At(position + 1)).await?;
        let stream = stream.to_owned();
        let mut fold = Self {
            state,
            position,
            stream,
            follow,
            unkept: 0,
            kept_bytes: 0,
            inspector: None,
            measures: None,
        };
        while !fold.follow.caught_up() {
            fold.next().await?;
        }
        Ok(fold)
    }

    /// Counts what is taken in, and how long after it was stored, from now on; what was taken in before is counted too.
    #[must_use]
    pub fn measured(mut self, figures: &Figures, clock: &Clock) -> Self {
        let labels = [self.stream.as_str()];
        let measures = Measures {
            folded: figures.counter(&own::EVENTS_FOLDED, &labels),
            position: figures.gauge(&own::LOG_POSITION, &labels),
            delay: figures.histogram(&own::FOLD_DELAY_SECONDS, &[]),
            clock: clock.clone(),
        };
        measures.folded.add(self.unkept);
        measures.position.set(i64::try_from(self.position).unwrap_or(i64::MAX));
        self.measures = Some(measures);
        self
    }

    /// The state as of [`Self::position`].
    pub fn state(&self) -> &S {
        &self.state
    }

    /// Sequence of the last event that the state includes.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The stream that is followed.
    pub fn stream(&self) -> &str {
        &self.stream
    }

    /// Waits for the next event, takes it into the state and gives it out; nothing for a record whose subject
    /// is not one of ours. Questions for the state are answered meanwhile. Cancel-safe.
    pub async fn next(&mut self) -> Result<Option<Stored>, log::Error> {
        let record = loop {
            tokio::select! {
                // In this order, so that every run is the same; questions are few and bounded, so the log is not kept waiting.
                biased;
                question = inspect::asked(&mut self.inspector) => {
                    if let Some(inspector) = &self.inspector {
                        inspector.answer(question, &self.stream, self.position, &self.state);
                    }
                }
                record = self.follow.next() => break record?,
            }
        };
        Ok(self.apply(&record))
    }

    /// Goes on until the event at `sequence` is part of the state; gives out what came by.
    pub async fn reach(&mut self, sequence: u64) -> Result<Vec<Stored>, log::Error> {
        let mut passed = Vec::new();
        while self.position < sequence {
            passed.extend(self.next().await?);
        }
        Ok(passed)
    }

    fn apply(&mut self, record: &Record) -> Option<Stored> {
        self.position = record.sequence;
        self.unkept += 1;
        self.measures.iter().for_each(|measures| measures.note(record));
        let event = event_of(record)?;
        self.state.evolve(&event);
        Some(event)
    }
}

/// The event that a fold takes a record for: one whose body cannot be read still moves its aggregate on; nothing for a
/// record whose subject is not one of ours.
#[must_use]
pub fn event_of(record: &Record) -> Option<Stored> {
    let error = match Stored::try_from(record) {
        Ok(event) => return Some(event),
        Err(error) => error,
    };
    tracing::warn!(stream = record.stream, sequence = record.sequence, %error, "a record cannot be read");
    match error {
        Undecodable::Body { subject, .. } => Some(Stored::opaque(record, *subject)),
        Undecodable::Subject(_) => None,
    }
}
