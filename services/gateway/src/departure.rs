//! What happens to a job when its caller goes away before the end.
//!
//! The rule:
//! - A caller that announced nothing is gone for good: its job is cancelled at once.
//! - A caller that announced that it may come back has a period of grace. Announcing is any of: the header
//!   `x-lowland-resumable: true`, an `Idempotency-Key`, or having resumed before.
//! - An onlooker, who asked for a job's stream by GET and announced nothing, leaves without consequence: the job may be
//!   somebody else's concern, one that was posted by NATS for instance.
//! - A job that another request waits for in this process is never cancelled by one caller's departure.
//! - A job that has ended is left alone, as is an embedding that a worker has begun (it can't be stopped half-way).
//! - When the gateway itself stops, nothing is cancelled: it is the gateway that leaves, and its successor resumes.

use std::{sync::Arc, time::Duration};

use lowland_host::{Host, figures::Counter};
use tokio::sync::Semaphore;

use crate::{
    desk::Desk,
    figures::Counted,
    hub::{Hub, Key},
};

/// Most departures that wait for their grace to pass or for the log to answer; beyond it jobs run to their end.
pub const DEPARTURES_MAX: usize = 8192;

/// Sees to jobs whose callers go away. Clones share everything.
#[derive(Clone)]
pub struct Departures {
    hub: Hub,
    desk: Desk,
    host: Host,
    grace: Duration,
    open: Arc<Semaphore>,
    cancelled: Counter,
    overflowed: Counter,
}

/// A caller that waits for its job; dropped before [`Caller::leave_alone`], it has gone away.
pub struct Caller {
    departures: Departures,
    key: Key,
    comes_back: bool,
    gone_matters: bool,
}

impl Departures {
    /// Sees to departures; a caller that may come back has `grace` for it.
    #[must_use]
    pub fn new(hub: Hub, desk: Desk, host: Host, grace: Duration) -> Self {
        let cancelled = Counted::new(&host.figures).cancelled;
        let overflowed = host.figures.bound("departures");
        Self { hub, desk, host, grace, open: Arc::new(Semaphore::new(DEPARTURES_MAX)), cancelled, overflowed }
    }

    /// A caller that waits for `key` from now on.
    #[must_use]
    pub fn caller(&self, key: &Key, comes_back: bool) -> Caller {
        Caller { departures: self.clone(), key: key.clone(), comes_back, gone_matters: true }
    }

    fn gone(self, key: Key, comes_back: bool) {
        let (Ok(handle), Ok(permit)) =
            (tokio::runtime::Handle::try_current(), self.open.clone().try_acquire_owned())
        else {
            self.overflowed.add(1);
            return;
        };
        handle.spawn(async move {
            self.see_to(&key, comes_back).await;
            drop(permit);
        });
    }

    async fn see_to(&self, key: &Key, comes_back: bool) {
        if comes_back {
            tokio::select! {
                () = tokio::time::sleep(self.grace) => {}
                () = self.host.stop.cancelled() => {}
            }
        }
        if self.hub.awaited(key) || self.host.stop.is_cancelled() {
            return;
        }
        self.cancelled.add(1);
        if let Err(error) = self.desk.cancel(key, "the caller went away").await {
            tracing::warn!(%error, job = %key.job, "a job could not be cancelled; it runs to its end");
        }
    }
}

impl Caller {
    /// The caller's departure no longer matters: the job has ended or can't be stopped.
    pub fn leave_alone(&mut self) {
        self.gone_matters = false;
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        if self.gone_matters && !self.departures.host.stop.is_cancelled() {
            self.departures.clone().gone(self.key.clone(), self.comes_back);
        }
    }
}
