//! The tasks that bring the desk what arrives: requests, samples of the workers, and the echo of our own samples. Each
//! mends itself, so that the loss of one (the memory stream of measurements goes when the server restarts) never stops
//! the others.

use std::time::Duration;

use lowland_events::{
    Domain, Filter, Subject, Time,
    id::InstanceId,
    log::{ConsumeSettings, Error as LogError, Record, Start},
    stream,
};
use lowland_host::Host;
use tokio::{sync::mpsc, time::sleep};

use super::BACK_OFF_MS;
use crate::desk::{Input, Sample};

/// The durable consumer's name: every scheduler shares it.
const DURABLE: &str = "scheduler";
/// A request that is not settled for this long is delivered again, in milliseconds: how long one waits at most whose
/// scheduler died over it.
const ACK_WAIT_MS: u64 = 5000;
/// Requests delivered and not settled.
const UNACKED_MAX: usize = 1024;
/// The service whose samples are heartbeats.
const WORKER: &str = "worker";

/// Brings requests until the desk is gone.
pub(super) async fn requests(host: Host, desk: mpsc::Sender<Input>) {
    while !desk.is_closed() {
        if let Err(error) = consume(&host, &desk).await {
            tracing::warn!(%error, "requests cannot be read; trying again");
            retry(&host, &stream::requests()).await;
        }
    }
}

async fn consume(host: &Host, desk: &mpsc::Sender<Input>) -> Result<(), LogError> {
    let filters = ["posted", "cancel_requested"].map(|event| Filter::event(Domain::Request, event));
    let settings = ConsumeSettings { ack_wait_ms: ACK_WAIT_MS, unacked_max: UNACKED_MAX };
    let mut requests = host.log.consume(stream::REQUESTS, DURABLE, &filters, settings).await?;
    loop {
        let delivery = requests.next().await?;
        if give(host, desk, Input::Request(delivery)).await.is_err() {
            return Ok(());
        }
    }
}

/// Brings the workers' samples and our own until the desk is gone.
pub(super) async fn samples(host: Host, desk: mpsc::Sender<Input>, clock: impl Fn() -> Time) {
    while !desk.is_closed() {
        if let Err(error) = follow(&host, &desk, &clock).await {
            tracing::warn!(%error, "measurements cannot be read; trying again");
            retry(&host, &stream::metrics()).await;
        }
    }
}

async fn follow(host: &Host, desk: &mpsc::Sender<Input>, clock: &impl Fn() -> Time) -> Result<(), LogError> {
    let ours = Filter::aggregate(Domain::Metric, host.service.as_str(), host.instance.as_str());
    let filters = [Filter::scope(Domain::Metric, WORKER), ours];
    let mut samples = host.log.follow(stream::METRICS, &filters, Start::New).await?;
    loop {
        let record = samples.next().await?;
        let Some(sample) = sample(&record, clock()) else { continue };
        if give(host, desk, Input::Sample(sample)).await.is_err() {
            return Ok(());
        }
    }
}

/// Hands on what arrived; waits while the desk has as much before it as it may, and counts that.
async fn give(
    host: &Host,
    desk: &mpsc::Sender<Input>,
    input: Input,
) -> Result<(), mpsc::error::SendError<Input>> {
    if desk.capacity() == 0 {
        host.figures.bound("desk_inputs").add(1);
    }
    desk.send(input).await
}

fn sample(record: &Record, at: Time) -> Option<Sample> {
    let subject: Subject = record.subject.parse().ok()?;
    let process = InstanceId::new(subject.aggregate()).ok()?;
    Some(Sample { process, at, sequence: record.sequence })
}

/// Makes the stream again if it vanished, and waits before the next try.
async fn retry(host: &Host, spec: &stream::StreamSpec) {
    if let Err(error) = host.log.ensure(spec).await {
        tracing::warn!(%error, stream = spec.name, "the stream could not be ensured");
    }
    sleep(Duration::from_millis(BACK_OFF_MS)).await;
}
