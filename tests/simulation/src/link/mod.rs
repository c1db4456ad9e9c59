//! A process's way to the log, on which requests and answers are late, lost, doubled and overtake each other, and which
//! ends with the process: what a process that died had under way never comes back to it.
//!
//! A way can do what a network can, and no more: a request that was answered was served, followers skip nothing, and what
//! is not acknowledged comes again.

mod consume;
mod follow;

use std::{
    future::pending,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use lowland_events::{
    Filter,
    log::{
        AppendError, Appended, Consume, ConsumeSettings, Entry, Error, Extent, Follow, Log, Record, Start,
    },
    stream::StreamSpec,
};
use tokio::{
    sync::Notify,
    time::{Instant, sleep, sleep_until},
};

use crate::{
    chance::Chance,
    plan::{Deliveries, Follows, Network, Plan},
    planted::Bug,
    store::Store,
};

/// Who is no service of ours, and does not die.
pub(crate) const OUTSIDE: &str = "outside";
/// Longest time by which a request arrives late or again, in milliseconds.
const LATE_MS_MAX: u64 = 6000;

/// A process's way to the log.
pub(crate) struct Link {
    me: Weak<Self>,
    store: Arc<Store>,
    plan: Arc<Plan>,
    /// Whether things go wrong no longer.
    calm: Arc<AtomicBool>,
    bug: Option<Bug>,
    pub(crate) service: &'static str,
    pub(crate) name: String,
    chance: Chance,
    dead: AtomicBool,
    /// Until when the process stands still, and until when it is cut off.
    frozen: Mutex<Instant>,
    cut: Mutex<Instant>,
    doom: Notify,
}

/// A request or an answer that did not arrive.
struct Lost;

impl Lost {
    fn text() -> String {
        "no answer in time".to_owned()
    }
}

impl From<Lost> for Error {
    fn from(_: Lost) -> Self {
        Self::Unanswered(Lost::text())
    }
}

impl From<Lost> for AppendError {
    fn from(_: Lost) -> Self {
        Self::Unanswered(Lost::text())
    }
}

impl Link {
    pub(crate) fn new(
        store: &Arc<Store>,
        plan: &Arc<Plan>,
        calm: &Arc<AtomicBool>,
        bug: Option<Bug>,
        service: &'static str,
        name: String,
        chance: Chance,
    ) -> Arc<Self> {
        let now = Instant::now();
        Arc::new_cyclic(|me| Self {
            me: me.clone(),
            store: store.clone(),
            plan: plan.clone(),
            calm: calm.clone(),
            bug,
            service,
            name,
            chance,
            dead: AtomicBool::new(false),
            frozen: Mutex::new(now),
            cut: Mutex::new(now),
            doom: Notify::new(),
        })
    }

    fn me(&self) -> Arc<Self> {
        self.me.upgrade().expect("it is there while it is used")
    }

    /// Nothing comes back any more.
    pub(crate) fn kill(&self) {
        self.dead.store(true, Ordering::Relaxed);
    }

    /// Waits until the process is to die in the midst of what it does.
    pub(crate) async fn doomed(&self) {
        self.doom.notified().await;
    }

    /// The process stands still for so long.
    pub(crate) fn freeze(&self, time: Duration) {
        *lock(&self.frozen) = Instant::now() + time;
    }

    /// The process is cut off for so long.
    pub(crate) fn cut(&self, time: Duration) {
        *lock(&self.cut) = Instant::now() + time;
    }

    fn is_calm(&self) -> bool {
        self.calm.load(Ordering::Relaxed)
    }

    fn network(&self) -> &Network {
        if self.is_calm() { &Network::CALM } else { &self.plan.network }
    }

    fn deliveries(&self) -> &Deliveries {
        if self.is_calm() { &Deliveries::CALM } else { &self.plan.deliveries }
    }

    fn follows(&self) -> &Follows {
        if self.is_calm() { &Follows::CALM } else { &self.plan.follows }
    }

    fn patience(&self) -> Duration {
        Duration::from_millis(self.network().patience_ms)
    }

    /// What a process that is dead or stands still waits for.
    async fn live(&self) {
        if self.dead.load(Ordering::Relaxed) {
            pending::<()>().await;
        }
        loop {
            let until = *lock(&self.frozen);
            if until <= Instant::now() {
                return;
            }
            sleep_until(until).await;
        }
    }

    /// The way there or back: it takes a while, and while the process is cut off nobody arrives.
    async fn travel(&self) -> Result<(), Lost> {
        self.live().await;
        let most = self.network().delay_ms;
        if most > 0 {
            sleep(self.chance.ms(0..=most)).await;
        }
        let until = *lock(&self.cut);
        let now = Instant::now();
        if until > now {
            sleep_until(until.min(now + self.patience())).await;
        }
        self.live().await;
        if until > now + self.patience() { Err(Lost) } else { Ok(()) }
    }

    /// Whether this goes wrong.
    fn goes_wrong(&self, probability: f64, what: &str) -> bool {
        let hit = self.chance.hits(probability);
        if hit {
            self.store.trace.fault(&self.name, || what.to_owned());
        }
        hit
    }

    /// Waits in vain.
    async fn in_vain(&self) -> Lost {
        sleep(self.patience()).await;
        Lost
    }

    /// Asks the log something that may be repeated.
    async fn ask<T>(&self, ask: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        self.travel().await?;
        if self.goes_wrong(self.network().lost, "a question is lost") {
            return Err(self.in_vain().await.into());
        }
        let answer = ask.await;
        if self.goes_wrong(self.network().unanswered, "an answer is lost") {
            return Err(self.in_vain().await.into());
        }
        self.travel().await?;
        answer
    }

    async fn put(&self, mut entries: Vec<Entry>) -> Result<Appended, AppendError> {
        if let Some(bug) = self.bug {
            bug.spoil(self.service, &mut entries, &self.chance);
        }
        self.travel().await?;
        if self.goes_wrong(self.network().lost, "an append is lost") {
            return Err(self.in_vain().await.into());
        }
        if self.goes_wrong(self.network().late, "an append arrives after its sender has given up") {
            self.later(entries);
            return Err(self.in_vain().await.into());
        }
        if self.goes_wrong(self.network().doubled, "an append arrives twice") {
            self.later(entries.clone());
        }
        self.maybe_die("it dies before an append is stored").await;
        let appended = self.store.append(&self.name, entries).await;
        self.maybe_die("it dies after an append was stored").await;
        if self.goes_wrong(self.network().unanswered, "the acknowledgement of an append is lost") {
            return Err(self.in_vain().await.into());
        }
        self.travel().await?;
        appended
    }

    /// The network delivers it later, whatever becomes of its sender.
    fn later(&self, entries: Vec<Entry>) {
        let (store, name) = (self.store.clone(), format!("({})", self.name));
        let after = self.chance.ms(1..=LATE_MS_MAX);
        tokio::spawn(async move {
            sleep(after).await;
            let _ = store.append(&name, entries).await;
        });
    }

    async fn maybe_die(&self, how: &str) {
        if self.service != OUTSIDE && self.goes_wrong(self.network().deadly, how) {
            self.kill();
            self.doom.notify_one();
            pending::<()>().await;
        }
    }
}

#[async_trait]
impl Log for Link {
    async fn ensure(&self, spec: &StreamSpec) -> Result<(), Error> {
        self.ask(self.store.memory.ensure(spec)).await
    }

    async fn append(&self, entry: Entry) -> Result<Appended, AppendError> {
        self.put(vec![entry]).await
    }

    async fn append_batch(&self, entries: Vec<Entry>) -> Result<Appended, AppendError> {
        self.put(entries).await
    }

    async fn last(&self, stream: &str, filter: &Filter) -> Result<Option<Record>, Error> {
        self.ask(self.store.memory.last(stream, filter)).await
    }

    async fn read(
        &self,
        stream: &str,
        filters: &[Filter],
        from: u64,
        most: usize,
    ) -> Result<Vec<Record>, Error> {
        if self.bug.is_some_and(|bug| bug.reads_nothing(self.service, stream)) {
            return Ok(Vec::new());
        }
        self.ask(self.store.memory.read(stream, filters, from, most)).await
    }

    async fn extent(&self, stream: &str) -> Result<Extent, Error> {
        self.ask(self.store.memory.extent(stream)).await
    }

    async fn purge(&self, stream: &str, filter: &Filter, below: u64) -> Result<u64, Error> {
        self.ask(self.store.memory.purge(stream, filter, below)).await
    }

    async fn follow(&self, stream: &str, filters: &[Filter], start: Start) -> Result<Box<dyn Follow>, Error> {
        let follow = self.ask(self.store.memory.follow(stream, filters, start)).await?;
        Ok(Box::new(follow::LinkFollow::new(self.me(), follow)))
    }

    async fn consume(
        &self,
        stream: &str,
        durable: &str,
        filters: &[Filter],
        settings: ConsumeSettings,
    ) -> Result<Box<dyn Consume>, Error> {
        let consume = self.ask(self.store.memory.consume(stream, durable, filters, settings)).await?;
        Ok(Box::new(consume::LinkConsume::new(self.me(), consume)))
    }
}

fn lock<T>(of: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
