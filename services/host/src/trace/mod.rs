//! Traces: spans that services tell of what they did, sent to an OpenTelemetry collector where one is configured.
//!
//! A span is told once it is over, as a value ([`Span`]); its ids follow from the events that it lies between, so nothing
//! has to be carried along while it lasts, and a span whose process dies is told by whoever ends the work in its place.
//! Without a collector nothing is made, let alone sent: ask [`Tracer::wants`] first.

mod config;
mod export;
mod sampling;
mod span;

pub use config::TraceConfig;
pub use sampling::{Root, Sampling};
pub use span::{Kind, Span};

use lowland_events::TraceContext;

use crate::{Error, Figures};
use export::Exporting;

/// Where spans go. Clones share the way.
#[derive(Clone, Default)]
pub struct Tracer {
    sampling: Sampling,
    exporting: Option<Exporting>,
}

impl Tracer {
    /// Spans go nowhere. Contexts are handed on as they came, and traces that begin here are not recorded.
    #[must_use]
    pub fn off() -> Self {
        Self { sampling: Sampling::OFF, exporting: None }
    }

    /// Spans go to the collector that `config` names, if it names one, in the name of `service` and `instance`. Within a
    /// runtime.
    pub fn start(
        config: TraceConfig,
        service: &str,
        instance: &str,
        figures: &Figures,
    ) -> Result<Self, Error> {
        let TraceConfig { collector, sampling, .. } = &config;
        let Some(collector) = collector else { return Ok(Self::off()) };
        let resource = config.resource(service, instance);
        let exporting = Exporting::start(collector, resource, figures)?;
        tracing::info!(endpoint = collector.shown(), "traces are exported");
        Ok(Self { sampling: *sampling, exporting: Some(exporting) })
    }

    /// Spans go into a list, for tests.
    #[must_use]
    pub fn recording() -> (Self, tokio::sync::mpsc::Receiver<Span>) {
        let (exporting, spans) = Exporting::into_queue(&Figures::default());
        (Self { sampling: Sampling::default(), exporting: Some(exporting) }, spans)
    }

    /// Which traces that begin here are recorded.
    #[must_use]
    pub fn sampling(&self) -> Sampling {
        self.sampling
    }

    /// Whether spans go anywhere.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.exporting.is_some()
    }

    /// Whether a span in this context would be taken.
    #[must_use]
    pub fn wants(&self, context: TraceContext) -> bool {
        context.is_sampled() && self.is_on()
    }

    /// Tells a span. Never waits: what the queue has no room for is dropped, and counted.
    pub fn tell(&self, span: Span) {
        if let Some(exporting) = self.exporting.as_ref().filter(|_| span.context().is_sampled()) {
            exporting.push(span);
        }
    }

    /// Sends what is still queued, within a bounded time, and stops.
    pub async fn close(&self) {
        if let Some(exporting) = &self.exporting {
            exporting.close().await;
        }
    }
}
