//! One service's state as it is rebuilt, record by record. Pure.

use lowland_billing::Billing;
use lowland_events::{
    Filter,
    id::ServiceId,
    log::Record,
    snapshot::{encode, state_hash},
};
use lowland_gateway::Gateway;
use lowland_host::{Keep, Service as _, fold::event_of};
use lowland_scheduler::Scheduler;
use serde::Serialize;
use serde_json::Value;

use super::{json, summary::Summary};

/// A service whose state is a function of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Service {
    /// Open jobs, instances, who waits.
    Scheduler,
    /// Balances, holds, top-ups.
    Billing,
    /// Which models are there.
    Gateway,
}

impl Service {
    /// Each of them.
    pub const ALL: [Self; 3] = [Self::Scheduler, Self::Billing, Self::Gateway];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Scheduler => Scheduler::NAME,
            Self::Billing => Billing::NAME,
            Self::Gateway => Gateway::NAME,
        }
    }

    /// Its name as an id.
    #[must_use]
    pub fn id(self) -> ServiceId {
        ServiceId::new(self.name()).expect("a service's own name is a valid id")
    }

    /// Version of its logic in this build.
    #[must_use]
    pub fn logic_version(self) -> u32 {
        match self {
            Self::Scheduler => lowland_scheduler::state::State::LOGIC_VERSION,
            Self::Billing => lowland_billing::State::LOGIC_VERSION,
            Self::Gateway => lowland_gateway::models::Models::LOGIC_VERSION,
        }
    }

    /// A state that has taken in nothing yet.
    pub(super) fn begin(self) -> Box<dyn Fold> {
        match self {
            Self::Scheduler => Box::new(Of::<lowland_scheduler::state::State>::new(self)),
            Self::Billing => Box::new(Of::<lowland_billing::State>::new(self)),
            Self::Gateway => Box::new(Of::<lowland_gateway::models::Models>::new(self)),
        }
    }
}

/// A state at a position.
#[derive(Debug, Clone, Serialize)]
pub struct Rebuilt {
    /// The service.
    pub service: &'static str,
    /// Version of the logic that folded.
    pub logic_version: u32,
    /// Sequence of the last event that the state includes.
    pub position: u64,
    /// Events that were folded.
    pub events: u64,
    /// Sequence of the snapshot that it was taken up from, if the log's own beginning is gone.
    pub from_snapshot: Option<u64>,
    /// SHA-256 of the state's canonical encoding, in hexadecimal digits.
    pub hash: String,
    /// Size of that encoding, in bytes.
    pub bytes: usize,
    /// What is in it, in short.
    pub summary: Vec<(&'static str, String)>,
    /// The state itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<Value>,
}

/// A state that is being rebuilt.
pub(super) trait Fold: Send {
    /// Sequence of the last event that it includes.
    fn position(&self) -> u64;
    /// Takes a record in, if the service would see it.
    fn take(&mut self, record: &Record);
    /// Goes on from a snapshot's state at `position`.
    fn resume(&mut self, state: &[u8], position: u64) -> Result<(), String>;
    /// What came of it; with the whole state, if wanted.
    fn finish(&self, whole: bool) -> Rebuilt;
}

struct Of<S> {
    service: Service,
    filters: Vec<Filter>,
    state: S,
    position: u64,
    events: u64,
    from_snapshot: Option<u64>,
}

impl<S: Keep> Of<S> {
    fn new(service: Service) -> Self {
        Self {
            service,
            filters: S::filters(),
            state: S::default(),
            position: 0,
            events: 0,
            from_snapshot: None,
        }
    }
}

impl<S: Keep + Summary> Fold for Of<S> {
    fn position(&self) -> u64 {
        self.position
    }

    fn take(&mut self, record: &Record) {
        let unseen = record.sequence <= self.position;
        if unseen || !self.filters.iter().any(|filter| filter.matches(&record.subject)) {
            return;
        }
        self.position = record.sequence;
        self.events += 1;
        if let Some(event) = event_of(record) {
            self.state.evolve(&event);
        }
    }

    fn resume(&mut self, state: &[u8], position: u64) -> Result<(), String> {
        self.state = lowland_events::codec::from_msgpack(state).map_err(|error| error.to_string())?;
        self.position = position;
        self.from_snapshot = Some(position);
        Ok(())
    }

    fn finish(&self, whole: bool) -> Rebuilt {
        let encoded = encode(&self.state);
        Rebuilt {
            service: self.service.name(),
            logic_version: S::LOGIC_VERSION,
            position: self.position,
            events: self.events,
            from_snapshot: self.from_snapshot,
            hash: state_hash(&encoded),
            bytes: encoded.len(),
            summary: self.state.summary(),
            state: whole.then(|| json::of(&encoded)),
        }
    }
}
