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
    pub(crate) async fn open(log: &SharedLog, worker: &WorkerId) -> Result<Self, Error> {
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
            followers.spawn(deliver(log.clone(), filter, follow, sender.clone()));
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

async fn open(log: &SharedLog, filter: &Filter, start: Start) -> Result<(Filter, Box<dyn Follow>), Error> {
    let follow = log.follow(stream::LOG, std::slice::from_ref(filter), start).await?;
    Ok((filter.clone(), follow))
}

/// Hands on what comes, and follows anew where it left off should following fail.
async fn deliver(log: SharedLog, filter: Filter, mut follow: Box<dyn Follow>, to: mpsc::Sender<Stored>) {
    let mut next = None;
    loop {
        match follow.next().await {
            Ok(record) => {
                next = Some(record.sequence + 1);
                match Stored::try_from(&record) {
                    Ok(event) => {
                        if to.send(event).await.is_err() {
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
