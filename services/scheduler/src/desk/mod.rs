//! The scheduler at work: what lies on its desk (requests, what was heard), and how it is settled: decide, store, fold,
//! and again until nothing is left to decide.
//!
//! It may be dropped or fail between any two lines. What was stored is in the log; what was not is decided again; a
//! request is acknowledged only once its outcome stands in the log.

mod store;

use std::collections::BTreeMap;

use lowland_events::{
    Domain, Event, Filter, Stored, Time,
    id::InstanceId,
    instance,
    job::Position,
    log::{Acknowledge, AppendError, Delivery, Error as LogError},
    stream,
};
use lowland_host::{Fold, Host};

use crate::{
    config::Config,
    decide::{Round, decide},
    facts::{Facts, View},
    incoming::Incoming,
    state::State,
};

/// Rounds of deciding and storing before the desk looks up for what has arrived meanwhile.
const ROUNDS_MAX: usize = 16;
/// Why the desk could not be settled now.
#[derive(Debug)]
pub enum Unsettled {
    /// Storing failed.
    Append(AppendError),
    /// Reading failed.
    Read(LogError),
}

impl std::fmt::Display for Unsettled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Append(error) => error.fmt(f),
            Self::Read(error) => error.fmt(f),
        }
    }
}

impl From<AppendError> for Unsettled {
    fn from(error: AppendError) -> Self {
        Self::Append(error)
    }
}

impl From<LogError> for Unsettled {
    fn from(error: LogError) -> Self {
        Self::Read(error)
    }
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
struct Pending {
    incoming: Incoming,
    ack: Box<dyn Acknowledge>,
}

/// The scheduler at work.
pub struct Desk {
    host: Host,
    config: Config,
    source: String,
    fold: Fold<State>,
    facts: Facts,
    pending: BTreeMap<u64, Pending>,
    acks: Vec<Box<dyn Acknowledge>>,
    requests_position: u64,
    metrics_position: u64,
}

impl Desk {
    /// A desk with everything that the log says; whoever is named there has a whole lease from `now` on.
    pub async fn open(host: Host, config: Config, now: Time) -> Result<Self, LogError> {
        let filters = [Domain::Job, Domain::Instance].map(Filter::domain);
        let fold = Fold::<State>::open(&host.log, stream::LOG, &filters).await?;
        let mut facts = Facts::default();
        fold.state().fleet().processes().for_each(|process| facts.liveness.expect(process, now));
        Ok(Self {
            source: host.source(),
            config: config.for_payloads_of(host.log.payload_bytes_max()),
            host,
            fold,
            facts,
            pending: BTreeMap::new(),
            acks: Vec::new(),
            requests_position: 0,
            metrics_position: 0,
        })
    }

    /// What the log amounts to.
    #[must_use]
    pub fn state(&self) -> &State {
        self.fold.state()
    }

    /// Waits for an event of the log and takes it in. Cancel-safe.
    pub async fn next(&mut self, clock: &impl Fn() -> Time) -> Result<(), LogError> {
        if let Some(event) = self.fold.next().await? {
            self.note(&event, clock());
        }
        Ok(())
    }

    /// A sample arrived.
    pub fn heard(&mut self, sample: &Sample) {
        self.metrics_position = sample.sequence;
        if sample.process == self.host.instance {
            self.facts.liveness.echoed(sample.at);
        } else {
            self.facts.liveness.heard(&sample.process, sample.at);
        }
    }

    /// Whether the way from the workers to here is open: our own samples come back.
    #[must_use]
    pub fn hears(&self, now: Time) -> bool {
        self.facts.liveness.hears(now)
    }

    /// A request arrived; what cannot be one is only to be acknowledged, lest it come again for ever.
    pub fn take(&mut self, delivery: Delivery) {
        let Delivery { record, delivered, ack } = delivery;
        self.requests_position = self.requests_position.max(record.sequence);
        match Incoming::read(&record, delivered) {
            Some(incoming) => drop(self.pending.insert(record.sequence, Pending { incoming, ack })),
            None => {
                tracing::warn!(subject = record.subject, sequence = record.sequence, "not a request of ours");
                self.acks.push(ack);
            }
        }
    }

    /// Decides and stores until nothing is left to decide, or for a bounded number of rounds.
    pub async fn settle(&mut self, clock: &impl Fn() -> Time) -> Result<(), Unsettled> {
        self.forget_the_gone(clock());
        for _ in 0..ROUNDS_MAX {
            let round = self.decide(clock());
            let is_last = round.decided.is_empty() && round.wanted.is_empty();
            self.look_up(&round).await?;
            self.store(round.decided, clock).await?;
            self.answer(round.replies).await?;
            self.put_off(&round.later).await;
            self.acknowledge(&round.settled).await;
            if is_last {
                self.facts.delivered.clear();
                self.facts.used.clear();
                self.facts.moved.clear();
                break;
            }
        }
        self.sum_up();
        Ok(())
    }

    /// The figures that the scheduler keeps of itself.
    fn sum_up(&self) {
        let state = self.fold.state();
        let set =
            |name, value: usize| self.host.figures.gauge(name).set(i64::try_from(value).unwrap_or(i64::MAX));
        set("jobs_open", state.open_jobs());
        set("processes", state.fleet().processes().count());
        set("requests_pending", self.pending.len());
        set("events_ignored", usize::try_from(state.ignored()).unwrap_or(usize::MAX));
    }

    fn decide(&mut self, now: Time) -> Round {
        let position = |stream: &str, sequence| Position { stream: stream.to_owned(), sequence };
        self.facts.positions = vec![
            position(stream::LOG, self.fold.position()),
            position(stream::REQUESTS, self.requests_position),
            position(stream::METRICS, self.metrics_position),
        ];
        let view = View {
            state: self.fold.state(),
            facts: &self.facts,
            config: &self.config,
            source: &self.source,
            now,
        };
        let requests: Vec<&Incoming> = self.pending.values().map(|pending| &pending.incoming).collect();
        decide(&view, &requests)
    }

    async fn reach(&mut self, sequence: u64, clock: &impl Fn() -> Time) -> Result<(), LogError> {
        for event in self.fold.reach(sequence).await? {
            self.note(&event, clock());
        }
        Ok(())
    }

    /// A process that announces a model is as good as heard.
    fn note(&mut self, event: &Stored, now: Time) {
        if let Event::Instance(instance::Event::Ready(ready)) = &event.event {
            self.facts.liveness.heard(&ready.process, now);
        }
    }

    fn forget_the_gone(&mut self, now: Time) {
        let fleet = self.fold.state().fleet();
        let gone = self.facts.liveness.silent(now).filter(|process| !fleet.has_process(process));
        for process in gone.cloned().collect::<Vec<_>>() {
            self.facts.liveness.forget(&process);
        }
    }
}
