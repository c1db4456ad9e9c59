//! The loop: fold the log, take top-ups from their consumer, decide, commit, answer.
//!
//! It is level-triggered: what is pending is in the state, so a crash between any two lines is mended by starting again.

use std::{collections::BTreeMap, time::Duration};

use futures::FutureExt;
use lowland_events::{
    Domain, Filter, Stored,
    log::{self, AppendError, Consume, ConsumeSettings, Delivery},
    stream,
};
use lowland_host::{Decision, Error, Fold, Host, Keep as _, commit};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use crate::{
    decide::{self, Facts, Fate, Request, fate},
    figures::Counted,
    prices::PriceFile,
    state::State,
    trace::Story,
};

/// Pause before something that failed is tried again.
const RETRY: Duration = Duration::from_millis(500);
/// Longest wait for the event that made a decision come too late.
const CONFLICT_WAIT: Duration = Duration::from_millis(50);
/// How often the price book's file is looked at.
const PRICES_LOOK: Duration = Duration::from_secs(2);
/// Most events taken in before deciding.
const DRAIN_MAX: usize = 4096;
/// Name of the durable consumer of top-up requests.
const DURABLE: &str = "billing";

/// Works until told to stop; after a failure of the log it begins anew.
pub(crate) async fn serve(host: Host, mut prices: PriceFile) -> Result<(), Error> {
    tracing::info!(currency = prices.book().currency, "the price book is valid");
    let stop = host.stop.clone();
    loop {
        let ended = tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            ended = session(&host, &mut prices) => ended,
        };
        let Err(error) = ended else { return Ok(()) };
        if matches!(error, log::Error::Clash { .. }) {
            return Err(error.into());
        }
        tracing::warn!(%error, "beginning anew");
        host.health.not_ready(error.to_string());
        tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            () = sleep(RETRY) => {}
        }
    }
}

async fn session(host: &Host, prices: &mut PriceFile) -> Result<(), log::Error> {
    host.log.ensure(&stream::log()).await?;
    host.log.ensure(&stream::requests()).await?;
    host.log.ensure(&stream::snapshots()).await?;
    let topups = [Filter::event(Domain::Request, "topup_posted")];
    let inbox = host.log.consume(stream::REQUESTS, DURABLE, &topups, ConsumeSettings::default()).await?;
    let fold = Fold::resume(&host.log, &host.service, stream::LOG, &State::filters()).await?;
    let fold = fold.answering(&host.inspection, &host.service).measured(&host.figures, &host.clock);
    tracing::info!(position = fold.position(), "caught up");
    let (counted, source) = (Counted::new(&host.figures), host.source());
    let story = host.tracer.is_on().then(|| Story::new(&source));
    Session { host, prices, fold, inbox, pending: BTreeMap::new(), counted, source, story }.run().await
}

struct Session<'a> {
    host: &'a Host,
    prices: &'a mut PriceFile,
    fold: Fold<State>,
    inbox: Box<dyn Consume>,
    /// Requests that wait for their answer, by their place; the consumer bounds them.
    pending: BTreeMap<u64, (Request, Delivery)>,
    counted: Counted,
    source: String,
    /// What is told to traces, where they go anywhere.
    story: Option<Story>,
}

impl Session<'_> {
    async fn run(mut self) -> Result<(), log::Error> {
        let mut look = interval(PRICES_LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            self.settle().await?;
            self.counted.look(self.fold.state(), self.pending.len());
            self.fold.keep_when_due(self.host);
            self.host.health.ready();
            tokio::select! {
                // In this order, so that every run is the same; what is seldom comes first, and the rest is drained below.
                biased;
                _ = look.tick() => self.refresh_prices(),
                delivery = self.inbox.next() => self.take(delivery?).await,
                event = self.fold.next() => event?.iter().for_each(|event| self.tell(event)),
            }
            self.drain().await?;
        }
    }

    /// Tells what an event that was folded says of a job's trace.
    fn tell(&mut self, event: &Stored) {
        let span = self.story.as_mut().and_then(|story| story.take(event));
        span.into_iter().for_each(|span| self.host.tracer.tell(span));
    }

    /// Takes in what is at hand, without waiting.
    async fn drain(&mut self) -> Result<(), log::Error> {
        for _ in 0..DRAIN_MAX {
            let Some(event) = self.fold.next().now_or_never() else { break };
            event?.iter().for_each(|event| self.tell(event));
        }
        for _ in 0..DRAIN_MAX {
            let Some(delivery) = self.inbox.next().now_or_never() else { break };
            self.take(delivery?).await;
        }
        Ok(())
    }

    async fn take(&mut self, delivery: Delivery) {
        match Request::read(&delivery.record) {
            Some(request) => {
                self.pending.insert(request.sequence, (request, delivery));
            }
            None => {
                let record = &delivery.record;
                tracing::warn!(subject = record.subject, sequence = record.sequence, "no top-up, set aside");
                acknowledge(&delivery).await;
            }
        }
    }

    /// Decides and commits until nothing is left to decide, then answers.
    async fn settle(&mut self) -> Result<(), log::Error> {
        loop {
            let decisions = self.decide();
            if decisions.is_empty() || !self.commit(&decisions).await? {
                break;
            }
        }
        self.answer().await
    }

    fn decide(&self) -> Vec<Decision> {
        let topups: Vec<_> = self.pending.values().map(|(request, _)| request.clone()).collect();
        decide::decide(self.fold.state(), &self.facts(&topups))
    }

    fn facts<'a>(&'a self, topups: &'a [Request]) -> Facts<'a> {
        Facts { book: self.prices.book(), topups, source: &self.source, now: self.host.clock.now() }
    }

    /// Stores what was decided and reads on: whether there may be more to decide before something else happens.
    async fn commit(&mut self, decisions: &[Decision]) -> Result<bool, log::Error> {
        let before = self.fold.position();
        match commit(&self.host.log, decisions).await {
            Ok(committed) => {
                let passed = self.fold.reach(committed.sequence).await?;
                passed.iter().for_each(|event| self.tell(event));
                let late = committed.stored.contains(&false);
                self.counted.decided(decisions.iter().zip(committed.stored));
                if late {
                    self.read_on().await?;
                } else if self.fold.position() == before {
                    // A state that does not take its own events in would decide the same for ever.
                    tracing::error!(
                        position = before,
                        "what was decided is stored already, and changed nothing"
                    );
                    return Ok(false);
                }
            }
            Err(error) => {
                not_stored(self.host, &error).await;
                self.drain().await?;
            }
        }
        Ok(true)
    }

    /// Waits a little for the event that came first.
    async fn read_on(&mut self) -> Result<(), log::Error> {
        if let Ok(event) = timeout(CONFLICT_WAIT, self.fold.next()).await {
            event?.iter().for_each(|event| self.tell(event));
        }
        self.drain().await
    }

    /// Acknowledges the requests whose outcome stands, and rejects those that cannot count.
    async fn answer(&mut self) -> Result<(), log::Error> {
        for (sequence, fate) in self.fates() {
            if let Fate::Reject(problem) = fate {
                let Some((request, _)) = self.pending.get(&sequence) else { continue };
                let rejection = request.rejection(problem, &self.facts(&[]));
                if let Err(error) = commit(&self.host.log, std::slice::from_ref(&rejection)).await {
                    not_stored(self.host, &error).await;
                    return Ok(());
                }
                self.counted.decided([(&rejection, true)].into_iter());
            }
            if let Some((_, delivery)) = self.pending.remove(&sequence) {
                acknowledge(&delivery).await;
            }
        }
        Ok(())
    }

    fn fates(&self) -> Vec<(u64, Fate)> {
        let state = self.fold.state();
        let fates = self.pending.iter().map(|(sequence, (request, _))| (*sequence, fate(state, request)));
        fates.filter(|(_, fate)| *fate != Fate::Enter).collect()
    }

    fn refresh_prices(&mut self) {
        match self.prices.refresh() {
            Ok(true) => tracing::info!("the price book was read again"),
            Ok(false) => {}
            Err(problem) => tracing::error!("{problem}\nthe earlier price book stays in use"),
        }
    }
}

async fn not_stored(host: &Host, error: &AppendError) {
    tracing::warn!(%error, "not stored, trying again");
    host.health.not_ready(error.to_string());
    sleep(RETRY).await;
}

/// An acknowledgement that is lost brings the request again, which does no harm.
async fn acknowledge(delivery: &Delivery) {
    if let Err(error) = delivery.ack.ack().await {
        tracing::debug!(%error, "an acknowledgement was not taken");
    }
}
