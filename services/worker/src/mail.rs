//! What is addressed to this worker in the log: assignments, cancel requests, and that an instance is taken for lost.
//!
//! One follower for each kind of event, since a worker's user may read these subjects only. Between kinds there is no
//! order: a cancel request that comes before its assignment is found by the attempt itself, when `started` conflicts.

use futures::{StreamExt, stream::FuturesUnordered};
use lowland_events::{
    Domain, Filter, Stored,
    id::WorkerId,
    log::{Error, Follow, SharedLog, Start},
    stream,
};
use lowland_host::figures::Counter;
use tokio::{sync::mpsc, task::JoinSet, time::sleep};

use crate::bus::RETRY_WAIT;

/// Events that may wait here: as many as come while an instance is announced. Followers wait when it is full.
const WAITING_MAX: usize = 1024;

/// Followers of everything that is addressed to a worker.
pub(crate) struct Mail {
    events: mpsc::Receiver<Stored>,
    _followers: JoinSet<()>,
}

impl Mail {
    /// Follows from now on; returns once nothing that is stored afterwards can be missed.
    pub(crate) async fn open(log: &SharedLog, worker: &WorkerId, full: Counter) -> Result<Self, Error> {
        let filters = [
            Filter::for_worker(Domain::Job, "assigned", worker),
            Filter::for_worker(Domain::Job, "cancel_requested", worker),
            Filter::event(Domain::Instance, "lost"),
        ];
        let (sender, events) = mpsc::channel(WAITING_MAX);
        let mut followers = JoinSet::new();
        let opening: FuturesUnordered<_> =
            filters.iter().map(|filter| open(log, filter, Start::New)).collect();
        let opened: Vec<_> = opening.collect().await;
        for (filter, follow) in opened.into_iter().collect::<Result<Vec<_>, Error>>()? {
            let to = To { sender: sender.clone(), full: full.clone() };
            followers.spawn(deliver(log.clone(), filter, follow, to));
        }
        Ok(Self { events, _followers: followers })
    }

    /// The next event; waits for it. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Stored {
        match self.events.recv().await {
            Some(event) => event,
            None => std::future::pending().await,
        }
    }
}

/// Where followers put what came.
struct To {
    sender: mpsc::Sender<Stored>,
    full: Counter,
}

impl To {
    /// Waits while as much waits already as may, and counts that.
    async fn give(&self, event: Stored) -> Result<(), mpsc::error::SendError<Stored>> {
        if self.sender.capacity() == 0 {
            self.full.add(1);
        }
        self.sender.send(event).await
    }
}

async fn open(log: &SharedLog, filter: &Filter, start: Start) -> Result<(Filter, Box<dyn Follow>), Error> {
    let follow = log.follow(stream::LOG, std::slice::from_ref(filter), start).await?;
    Ok((filter.clone(), follow))
}

/// Hands on what comes, and follows anew where it left off should following fail.
async fn deliver(log: SharedLog, filter: Filter, mut follow: Box<dyn Follow>, to: To) {
    let mut next = None;
    loop {
        match follow.next().await {
            Ok(record) => {
                next = Some(record.sequence + 1);
                match Stored::try_from(&record) {
                    Ok(event) => {
                        if to.give(event).await.is_err() {
                            return;
                        }
                    }
                    Err(error) => tracing::warn!(sequence = record.sequence, %error, "skipping a record"),
                }
            }
            Err(error) => {
                tracing::warn!(%error, %filter, "following the log");
                sleep(RETRY_WAIT).await;
                if let Some(at) = next
                    && let Ok((_, again)) = open(&log, &filter, Start::At(at)).await
                {
                    follow = again;
                }
            }
        }
    }
}
