//! The scheduler at work: what lies on its desk (the log's state, requests, who was heard), and how it is settled:
//! decide, store, fold, and again until nothing is left to decide.
//!
//! It may be dropped or fail between any two lines. What was stored is in the log; what was not is decided again; a
//! request is acknowledged only once its outcome stands in the log.

mod store;
mod teller;
mod tray;

use std::{pin::pin, time::Duration};

use futures::FutureExt;
use lowland_events::{
    Time,
    log::{AppendError, Error as LogError},
    stream,
};
use lowland_host::{Fold, Host, Keep as _};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep},
};

use crate::{
    config::Config,
    decide::{Round, decide},
    facts::View,
    figures::Counted,
    incoming::Incoming,
    state::State,
};
use teller::Teller;
use tray::Tray;
pub use tray::{Input, Sample};

/// Rounds of deciding and storing before the desk looks up for what has arrived meanwhile.
const ROUNDS_MAX: usize = 16;
/// Events and inputs that are taken in before the desk is settled.
const TAKEN_IN_MAX: usize = 1024;
/// Longest wait for something to do, in milliseconds.
const WAIT_MS_MAX: u64 = 1000;
/// Wait while something is due that cannot be decided (the bus is not heard, say), in milliseconds.
const WAIT_MS_OVERDUE: u64 = 100;

/// Why the desk could not be settled now.
#[derive(Debug, thiserror::Error)]
pub enum Unsettled {
    /// Storing failed.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// Reading failed.
    #[error(transparent)]
    Read(#[from] LogError),
}

/// The scheduler at work.
pub struct Desk {
    host: Host,
    config: Config,
    source: String,
    fold: Fold<State>,
    tray: Tray,
    counted: Counted,
    /// Whether the last settling stopped before everything was decided.
    has_more: bool,
}

impl Desk {
    /// A desk with everything that the log says; whoever is named there has a whole lease from `now` on.
    pub async fn open(host: Host, config: Config, now: Time) -> Result<Self, LogError> {
        let fold = Fold::<State>::resume(&host.log, &host.service, stream::LOG, &State::filters()).await?;
        let fold = fold.answering(&host.inspection, &host.service).measured(&host.figures, &host.clock);
        let mut tray = Tray::new(host.instance.clone(), Teller::of(&host));
        fold.state().fleet().processes().for_each(|process| tray.facts.liveness.expect(process, now));
        let config = config.for_payloads_of(host.log.payload_bytes_max());
        let config = Config { sampling: host.tracer.sampling(), ..config };
        let counted = Counted::new(&host.figures);
        Ok(Self { source: host.source(), config, host, fold, tray, counted, has_more: false })
    }

    /// What the log amounts to.
    #[must_use]
    pub fn state(&self) -> &State {
        self.fold.state()
    }

    /// Whether the way from the workers to here is open: our own samples come back.
    #[must_use]
    pub fn hears(&self, now: Time) -> bool {
        self.tray.facts.liveness.hears(now)
    }

    /// Takes in what arrived.
    pub fn accept(&mut self, input: Input) {
        self.tray.accept(input);
    }

    /// Waits until there is something to do, and takes in whatever is at hand. Samples alone, which arrive all the time,
    /// neither wake anybody nor disturb the log's follower, which may just be mending itself.
    pub async fn wait(
        &mut self,
        inputs: &mut mpsc::Receiver<Input>,
        clock: &impl Fn() -> Time,
    ) -> Result<(), LogError> {
        let wait = Duration::from_millis(self.wait_ms(clock()));
        let Self { fold, tray, .. } = self;
        {
            let mut next = pin!(fold.next());
            let mut timer = pin!(sleep(wait));
            loop {
                tokio::select! {
                    // In this order, so that every run is the same; whatever comes first, the rest is taken in below.
                    biased;
                    event = &mut next => {
                        event?.iter().for_each(|event| tray.note(event, clock()));
                        break;
                    }
                    Some(input) = inputs.recv() => if tray.accept(input) { break },
                    () = &mut timer => break,
                }
            }
        }
        for _ in 0..TAKEN_IN_MAX {
            let input = inputs.try_recv().ok().map(|input| tray.accept(input));
            let event = fold.next().now_or_never().transpose()?;
            event.iter().flatten().for_each(|event| tray.note(event, clock()));
            if event.is_none() && input.is_none() {
                break;
            }
        }
        Ok(())
    }

    /// Decides and stores until nothing is left to decide, or for a bounded number of rounds.
    pub async fn settle(&mut self, clock: &impl Fn() -> Time) -> Result<(), Unsettled> {
        self.forget(clock());
        self.has_more = true;
        for _ in 0..ROUNDS_MAX {
            let round = self.decide(clock());
            self.has_more =
                !(round.decided.is_empty() && round.wanted.is_empty() && round.replies.is_empty());
            self.look_up(&round).await?;
            self.store(round.decided, clock).await?;
            self.answer(round.replies).await?;
            self.put_off(&round.later).await;
            self.acknowledge(&round.settled);
            if !self.has_more {
                break;
            }
        }
        self.counted.look(self.fold.state(), self.tray.pending.len(), Instant::now());
        self.fold.keep_when_due(&self.host);
        Ok(())
    }

    fn decide(&mut self, now: Time) -> Round {
        self.tray.mark(self.fold.position());
        let requests: Vec<&Incoming> = self.tray.pending.values().map(|pending| &pending.incoming).collect();
        let view = View {
            state: self.fold.state(),
            facts: &self.tray.facts,
            config: &self.config,
            source: &self.source,
            now,
        };
        decide(&view, &requests)
    }

    /// Milliseconds until time alone makes something due.
    fn wait_ms(&self, now: Time) -> u64 {
        let due = self.fold.state().due();
        let times =
            [&due.deadlines, &due.answers, &due.starts].map(|index| index.first().map(|(time, _)| *time));
        let next = times.into_iter().flatten().chain(self.tray.facts.liveness.next_silence()).min();
        match next {
            _ if self.has_more => 0,
            Some(next) if next <= now => WAIT_MS_OVERDUE,
            // One more, since a part of a millisecond is left out.
            Some(next) => (next.ms_since(now) + 1).min(WAIT_MS_MAX),
            None => WAIT_MS_MAX,
        }
    }

    /// Forgets what was learnt for earlier decisions, and processes that are silent and have nothing here.
    fn forget(&mut self, now: Time) {
        let fleet = self.fold.state().fleet();
        let facts = &mut self.tray.facts;
        facts.delivered.clear();
        facts.used.clear();
        facts.moved.clear();
        let gone = facts.liveness.silent(now).filter(|process| !fleet.has_process(process));
        for process in gone.cloned().collect::<Vec<_>>() {
            facts.liveness.forget(&process);
        }
    }
}
