//! Spans on their way out: a bounded queue, and one task that sends what gathers there. A collector that is down or slow
//! costs spans, never a service's time: they are dropped, counted, and said at a bounded rate.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::{Resource, trace::SpanExporter as _};
use tokio::{
    sync::{Mutex, mpsc},
    task::JoinHandle,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{Span, config::Collector};
use crate::{
    Error,
    figures::{Counter, Figures, own},
};

/// Spans that wait to be sent; about 1 KiB each.
const QUEUE_SPANS_MAX: usize = 4096;
/// Spans sent at once.
const BATCH_SPANS_MAX: usize = 512;
/// Longest wait of a span for others to go with.
const GATHER: Duration = Duration::from_secs(1);
/// Waits between the tries to send a batch; after the last one it is given up.
const RETRY_WAITS: [Duration; 3] =
    [Duration::from_millis(500), Duration::from_secs(1), Duration::from_secs(2)];
/// Time for sending what is queued when the service stops.
const FLUSH_WITHIN: Duration = Duration::from_secs(2);
/// Least time between two complaints about a collector.
const COMPLAIN_EVERY: Duration = Duration::from_secs(60);

/// The way to a collector. Clones share it.
#[derive(Clone)]
pub(super) struct Exporting {
    queue: mpsc::Sender<Span>,
    dropped: Counter,
    stop: CancellationToken,
    task: Arc<Mutex<Option<JoinHandle<()>>>>,
}

impl Exporting {
    /// Starts the task that sends.
    pub(super) fn start(collector: &Collector, resource: Resource, figures: &Figures) -> Result<Self, Error> {
        let (exporting, spans) = Self::into_queue(figures);
        let sender = Sender {
            exporter: exporter(collector, resource)?,
            timeout: collector.timeout,
            sent: figures.counter(&own::SPANS_EXPORTED, &[]),
            dropped: exporting.dropped.clone(),
            lost: 0,
            complained: None,
        };
        let task = tokio::spawn(sender.run(spans, exporting.stop.clone()));
        Ok(Self { task: Arc::new(Mutex::new(Some(task))), ..exporting })
    }

    /// A way that ends in a queue.
    pub(super) fn into_queue(figures: &Figures) -> (Self, mpsc::Receiver<Span>) {
        let (queue, spans) = mpsc::channel(QUEUE_SPANS_MAX);
        let dropped = figures.counter(&own::SPANS_DROPPED, &[]);
        (Self { queue, dropped, stop: CancellationToken::new(), task: Arc::default() }, spans)
    }

    pub(super) fn push(&self, span: Span) {
        if self.queue.try_send(span).is_err() {
            self.dropped.add(1);
        }
    }

    /// Sends what is queued, within [`FLUSH_WITHIN`].
    pub(super) async fn close(&self) {
        self.stop.cancel();
        let Some(task) = self.task.lock().await.take() else { return };
        let abort = task.abort_handle();
        if timeout(FLUSH_WITHIN, task).await.is_err() {
            abort.abort();
            tracing::warn!("the collector did not take the last spans in time; they are lost");
        }
    }
}

fn exporter(collector: &Collector, resource: Resource) -> Result<SpanExporter, Error> {
    let failed = |error: &dyn std::fmt::Display| Error::Other(format!("starting to export traces: {error}"));
    let client = reqwest::Client::builder()
        .timeout(collector.timeout)
        .default_headers(collector.headers.clone())
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .map_err(|error| failed(&error))?;
    let mut exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(client)
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(collector.url.as_str())
        .with_timeout(collector.timeout)
        .build()
        .map_err(|error| failed(&error))?;
    exporter.set_resource(&resource);
    Ok(exporter)
}

/// The task that sends.
struct Sender {
    exporter: SpanExporter,
    timeout: Duration,
    sent: Counter,
    dropped: Counter,
    /// Spans given up since the last complaint.
    lost: usize,
    /// When the collector was last complained about, while it fails.
    complained: Option<Instant>,
}

impl Sender {
    async fn run(mut self, mut spans: mpsc::Receiver<Span>, stop: CancellationToken) {
        while let Some(batch) = gather(&mut spans, &stop).await {
            self.send(batch, &stop).await;
        }
    }

    /// Sends a batch, again for a while where that fails; no longer once everything stops.
    async fn send(&mut self, batch: Vec<Span>, stop: &CancellationToken) {
        let mut waits = RETRY_WAITS.iter();
        loop {
            let Err(error) = self.try_to_send(&batch).await else { return self.succeeded(batch.len()) };
            let Some(wait) = waits.next().filter(|_| !stop.is_cancelled()) else {
                return self.failed(batch.len(), &error);
            };
            tokio::select! {
                () = sleep(*wait) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    async fn try_to_send(&self, batch: &[Span]) -> Result<(), String> {
        let data = batch.iter().cloned().map(Span::into_data).collect();
        match timeout(self.timeout, self.exporter.export(data)).await {
            Ok(sent) => sent.map_err(|error| error.to_string()),
            Err(_) => Err(format!("no answer within {} ms", self.timeout.as_millis())),
        }
    }

    fn succeeded(&mut self, spans: usize) {
        self.sent.add(spans as u64);
        if self.complained.take().is_some() {
            tracing::info!("the collector takes spans again");
        }
    }

    fn failed(&mut self, spans: usize, error: &str) {
        self.dropped.add(spans as u64);
        self.lost += spans;
        if self.complained.is_none_or(|at| at.elapsed() >= COMPLAIN_EVERY) {
            tracing::warn!(error, spans = self.lost, "the collector does not take spans; they are lost");
            self.complained = Some(Instant::now());
            self.lost = 0;
        }
    }
}

/// The next spans to send; nothing once everything has stopped and the queue is empty.
async fn gather(spans: &mut mpsc::Receiver<Span>, stop: &CancellationToken) -> Option<Vec<Span>> {
    let mut batch = Vec::new();
    tokio::select! {
        biased;
        first = spans.recv() => batch.push(first?),
        () = stop.cancelled() => return None,
    }
    let full = async {
        while batch.len() < BATCH_SPANS_MAX && spans.recv_many(&mut batch, BATCH_SPANS_MAX).await > 0 {}
    };
    tokio::select! {
        () = full => {}
        () = sleep(GATHER) => {}
        () = stop.cancelled() => {}
    }
    while batch.len() < BATCH_SPANS_MAX {
        let Ok(span) = spans.try_recv() else { break };
        batch.push(span);
    }
    Some(batch)
}
