//! The log in this process's memory: complete, for tests and simulations. It runs under tokio's paused clock.
//!
//! [`state`] is all that it knows, changed under one lock; what waits (followers, consumers) is woken by
//! every change. [`Faults`] make it behave as badly as a network does.

mod consume;
mod follow;
mod state;
mod stored;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use async_trait::async_trait;
use tokio::{sync::Notify, time::Instant};

use super::{
    AppendError, Appended, Consume, ConsumeSettings, Entry, Error, Extent, Follow, Log, Record, Start,
};
use crate::{
    stream::{Storage, StreamSpec},
    subject::Filter,
    time::Time,
};
use state::State;

/// The log in memory; clones are the same log.
#[derive(Clone)]
pub struct MemoryLog {
    shared: Arc<Shared>,
}

/// What every clone, follower and consumer holds.
struct Shared {
    state: Mutex<State>,
    /// Wakes those who wait, in the order in which they came: a run under a paused clock can be repeated.
    changes: Notify,
    began: Instant,
    began_at: Time,
}

/// What is to go wrong, counted down as it does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Faults {
    /// So many appends are stored, and answered with [`AppendError::Unanswered`].
    pub acks_lost: u32,
    /// So many deliveries of durable consumers do not arrive; they come again after the ack wait.
    pub deliveries_lost: u32,
}

impl Default for MemoryLog {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryLog {
    /// An empty log whose clock begins with the machine's.
    #[must_use]
    pub fn new() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self::starting_at(Time(i64::try_from(since.as_micros()).unwrap_or(i64::MAX)))
    }

    /// An empty log whose clock begins at `time` and goes on as tokio's does: under a paused clock every run is the same.
    #[must_use]
    pub fn starting_at(time: Time) -> Self {
        Self {
            shared: Arc::new(Shared {
                state: Mutex::default(),
                changes: Notify::new(),
                began: Instant::now(),
                began_at: time,
            }),
        }
    }

    /// Makes things go wrong from now on.
    pub fn inject(&self, faults: Faults) {
        self.shared.lock().faults = faults;
    }

    /// What a restart of the server does: memory streams go, configuration and all, and their consumers with them.
    pub fn restart(&self) {
        self.shared.change(|state, _| state.retain(|spec| spec.storage == Storage::File));
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Now {
        let at = Instant::now();
        let elapsed = at.saturating_duration_since(self.began);
        let micros = i64::try_from(elapsed.as_micros()).unwrap_or(i64::MAX);
        Now { at, time: Time(self.began_at.0.saturating_add(micros)) }
    }

    /// Looks at the state, after what is too old has gone.
    fn look<T>(&self, look: impl FnOnce(&mut State, Now) -> T) -> T {
        let now = self.now();
        let mut state = self.lock();
        state.expire(now);
        look(&mut state, now)
    }

    /// Changes the state, and wakes those who wait.
    fn change<T>(&self, change: impl FnOnce(&mut State, Now) -> T) -> T {
        let outcome = self.look(change);
        self.changes.notify_waiters();
        outcome
    }
}

/// A moment, for timers and for people.
#[derive(Debug, Clone, Copy)]
struct Now {
    at: Instant,
    time: Time,
}

#[async_trait]
impl Log for MemoryLog {
    async fn ensure(&self, spec: &StreamSpec) -> Result<(), Error> {
        self.shared.change(|state, _| state.ensure(spec))
    }

    async fn append(&self, entry: Entry) -> Result<Appended, AppendError> {
        self.append_batch(vec![entry]).await
    }

    async fn append_batch(&self, entries: Vec<Entry>) -> Result<Appended, AppendError> {
        // Lets others run, as a network would: tasks that only append would starve them on one thread.
        tokio::task::yield_now().await;
        self.shared.change(|state, now| {
            let appended = state.append(entries, now)?;
            if state.faults.acks_lost > 0 {
                state.faults.acks_lost -= 1;
                return Err(AppendError::Unanswered("the acknowledgement was lost".to_owned()));
            }
            Ok(appended)
        })
    }

    async fn last(&self, stream: &str, filter: &Filter) -> Result<Option<Record>, Error> {
        self.shared.look(|state, _| {
            let stream = state.stream(stream)?;
            Ok(stream.last(filter).and_then(|sequence| stream.record(sequence)))
        })
    }

    async fn read(
        &self,
        stream: &str,
        filters: &[Filter],
        from: u64,
        most: usize,
    ) -> Result<Vec<Record>, Error> {
        self.shared.look(|state, _| Ok(state.stream(stream)?.select(filters, from).take(most).collect()))
    }

    async fn extent(&self, stream: &str) -> Result<Extent, Error> {
        self.shared.look(|state, _| Ok(state.stream(stream)?.extent()))
    }

    async fn purge(&self, stream: &str, filter: &Filter, below: u64) -> Result<u64, Error> {
        self.shared.change(|state, _| Ok(state.stream_mut(stream)?.purge(filter, below)))
    }

    async fn follow(&self, stream: &str, filters: &[Filter], start: Start) -> Result<Box<dyn Follow>, Error> {
        Ok(Box::new(follow::MemoryFollow::open(self.shared.clone(), stream, filters, start)?))
    }

    async fn consume(
        &self,
        stream: &str,
        durable: &str,
        filters: &[Filter],
        settings: ConsumeSettings,
    ) -> Result<Box<dyn Consume>, Error> {
        Ok(Box::new(consume::MemoryConsume::open(self.shared.clone(), stream, durable, filters, settings)?))
    }
}

/// Longest sleep of those who wait, so that what grows old without a change is noticed.
const NAP_MAX: Duration = Duration::from_secs(3600);
