//! Keeping the hub and the list of models fed, whatever happens to the log.
//!
//! Each reader knows the last sequence that it has given out and takes up from there; a memory stream that has vanished
//! is made anew and read from its beginning (requests recognise what they have seen).

use std::time::Duration;

use lowland_events::{
    Domain, Filter,
    log::{self, Follow, SharedLog, Start},
    stream::{self, StreamSpec},
};
use lowland_host::{Fold, Host, Keep as _};
use tokio::sync::watch;

use crate::{hub::Hub, models::Models};

/// Pause before a failed reader is opened again, in milliseconds.
pub const FOLLOW_AGAIN_MS: u64 = 250;

/// A stream that is read from now on, for as long as the process lives.
struct Source {
    spec: StreamSpec,
    domain: Domain,
    position: u64,
}

/// Starts the hub's two readers and the fold of the models. Once it returns, nothing that is stored from then on can
/// be missed, and the models are up to date. When it fails, nothing was started.
pub async fn start(host: &Host, hub: &Hub) -> Result<watch::Receiver<Models>, log::Error> {
    let (mut jobs, mut tokens) = (
        Source::new(&host.log, stream::log(), Domain::Job).await?,
        Source::new(&host.log, stream::tokens(), Domain::Token).await?,
    );
    let (job_follow, token_follow) = (jobs.open(&host.log).await?, tokens.open(&host.log).await?);
    let fold = open_models(host).await?;
    let (sender, receiver) = watch::channel(fold.state().clone());
    tokio::spawn(jobs.run(host.clone(), hub.clone(), job_follow));
    tokio::spawn(tokens.run(host.clone(), hub.clone(), token_follow));
    tokio::spawn(run_models(host.clone(), fold, sender));
    Ok(receiver)
}

async fn last(log: &SharedLog, spec: &StreamSpec) -> Result<u64, log::Error> {
    match log.extent(spec.name).await {
        Ok(extent) => Ok(extent.last),
        Err(log::Error::NoStream(_)) => log.ensure(spec).await.map(|()| 0),
        Err(error) => Err(error),
    }
}

impl Source {
    /// The stream as of now: what is in it already belongs to requests of before.
    async fn new(log: &SharedLog, spec: StreamSpec, domain: Domain) -> Result<Self, log::Error> {
        let position = last(log, &spec).await?;
        Ok(Self { spec, domain, position })
    }

    async fn open(&mut self, log: &SharedLog) -> Result<Box<dyn Follow>, log::Error> {
        let begun_anew = last(log, &self.spec).await? < self.position;
        if begun_anew {
            self.position = 0;
        }
        log.follow(self.spec.name, &[Filter::domain(self.domain)], Start::At(self.position + 1)).await
    }

    async fn run(mut self, host: Host, hub: Hub, mut follow: Box<dyn Follow>) {
        loop {
            let record = tokio::select! {
                biased;
                () = host.stop.cancelled() => return,
                record = follow.next() => record,
            };
            match record {
                Ok(record) => {
                    self.position = record.sequence;
                    hub.deliver(&record);
                }
                Err(error) => {
                    trouble(&host, self.spec.name, &error);
                    let Some(again) = self.open_again(&host).await else { return };
                    follow = again;
                    host.health.ready();
                }
            }
        }
    }

    /// A new reader; nothing when the service is to stop.
    async fn open_again(&mut self, host: &Host) -> Option<Box<dyn Follow>> {
        loop {
            pause(host).await?;
            match self.open(&host.log).await {
                Ok(follow) => return Some(follow),
                Err(error) => trouble(host, self.spec.name, &error),
            }
        }
    }
}

async fn open_models(host: &Host) -> Result<Fold<Models>, log::Error> {
    let fold = Fold::open(&host.log, stream::LOG, &Models::filters()).await?;
    Ok(fold.answering(&host.inspection, &host.service).measured(&host.figures, &host.clock))
}

async fn run_models(host: Host, mut fold: Fold<Models>, sender: watch::Sender<Models>) {
    loop {
        let next = tokio::select! {
            biased;
            () = host.stop.cancelled() => return,
            next = fold.next() => next,
        };
        if let Err(error) = next {
            trouble(&host, stream::LOG, &error);
            let Some(again) = models_again(&host).await else { return };
            fold = again;
            host.health.ready();
        }
        sender.send_replace(fold.state().clone());
    }
}

async fn models_again(host: &Host) -> Option<Fold<Models>> {
    loop {
        pause(host).await?;
        match open_models(host).await {
            Ok(fold) => return Some(fold),
            Err(error) => trouble(host, stream::LOG, &error),
        }
    }
}

fn trouble(host: &Host, stream: &str, error: &log::Error) {
    tracing::warn!(stream, %error, "reading the log failed; opening it again");
    host.health.not_ready(format!("reading {stream}: {error}"));
}

/// Waits a little; nothing when the service is to stop.
async fn pause(host: &Host) -> Option<()> {
    tokio::select! {
        biased;
        () = host.stop.cancelled() => None,
        () = tokio::time::sleep(Duration::from_millis(FOLLOW_AGAIN_MS)) => Some(()),
    }
}
