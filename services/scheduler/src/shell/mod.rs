//! The loop around the desk, and the tasks that bring it what arrives. No decision stands here.

mod sources;

use std::{future::Future, time::Duration};

use lowland_events::{
    Time,
    log::{Error as LogError, SharedLog},
    stream,
};
use lowland_host::{Error, Host, sampler};
use tokio::{sync::mpsc, task::JoinSet, time::sleep};

use crate::{
    config::Config,
    desk::{Desk, Input, Unsettled},
    liveness::HEARTBEAT_MS,
};

/// Wait before something that failed is tried again, in milliseconds.
pub(crate) const BACK_OFF_MS: u64 = 250;
/// Requests and samples that may wait for the desk.
const INPUTS_MAX: usize = 1024;

/// Works until `host.stop`. Stopping is the same as a crash: there is nothing to save.
pub async fn run(
    host: Host,
    config: Config,
    clock: impl Fn() -> Time + Clone + Send + Sync + 'static,
) -> Result<(), Error> {
    let stop = host.stop.clone();
    tokio::select! {
        biased;
        () = stop.cancelled() => Ok(()),
        result = work(host, config, clock) => result,
    }
}

async fn work(
    host: Host,
    config: Config,
    clock: impl Fn() -> Time + Clone + Send + Sync + 'static,
) -> Result<(), Error> {
    insist(&host, || ensure_streams(&host.log)).await?;
    let mut desk = insist(&host, || Desk::open(host.clone(), config.clone(), clock())).await?;
    let (sender, mut inputs) = mpsc::channel(INPUTS_MAX);
    let mut tasks = JoinSet::new();
    tasks.spawn(sources::requests(host.clone(), sender.clone()));
    tasks.spawn(sources::samples(host.clone(), sender, clock.clone()));
    // The echo of our own samples tells that the way from the workers is open.
    tasks.spawn(sampler::beat(host.clone(), HEARTBEAT_MS, |_| {}));
    tracing::info!("the log is folded; at work");
    loop {
        let outcome = tokio::select! {
            biased;
            Some(ended) = tasks.join_next() => {
                return Err(Error::Other(format!("a task that never ends has ended: {ended:?}")));
            }
            outcome = turn(&mut desk, &mut inputs, &clock) => outcome,
        };
        match outcome {
            Ok(()) if desk.hears(clock()) => host.health.ready(),
            Ok(()) => host.health.not_ready("our own samples do not come back from the bus"),
            Err(unsettled) => recover(&host, &unsettled).await,
        }
    }
}

/// Waits for something to do, and settles it.
async fn turn(
    desk: &mut Desk,
    inputs: &mut mpsc::Receiver<Input>,
    clock: &(impl Fn() -> Time + Sync),
) -> Result<(), Unsettled> {
    desk.wait(inputs, clock).await?;
    desk.settle(clock).await
}

/// Says what is wrong, mends what can be, and waits before the next try.
async fn recover(host: &Host, unsettled: &Unsettled) {
    tracing::warn!(error = %unsettled, "not settled; trying again");
    host.health.not_ready(unsettled.to_string());
    if let Err(error) = ensure_streams(&host.log).await {
        tracing::warn!(%error, "the streams could not be ensured");
    }
    sleep(Duration::from_millis(BACK_OFF_MS)).await;
}

async fn ensure_streams(log: &SharedLog) -> Result<(), LogError> {
    for spec in stream::all() {
        log.ensure(&spec).await?;
    }
    Ok(())
}

/// Tries until it succeeds; only a clash of configurations, which somebody has to resolve, ends the service.
async fn insist<T, F: Future<Output = Result<T, LogError>>>(
    host: &Host,
    act: impl Fn() -> F,
) -> Result<T, Error> {
    loop {
        match act().await {
            Ok(done) => return Ok(done),
            Err(error @ LogError::Clash { .. }) => return Err(error.into()),
            Err(error) => {
                tracing::warn!(%error, "not started yet; trying again");
                host.health.not_ready(error.to_string());
                sleep(Duration::from_millis(BACK_OFF_MS)).await;
            }
        }
    }
}
