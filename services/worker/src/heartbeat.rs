//! The process's sign of life, twice a second, on the stream of measurements; its figures go with every fourth.

use lowland_events::log::AppendError;
use lowland_host::{Host, health::Health, sampler};

/// Time from one heartbeat to the next: a lease outlasts three that go missing.
pub const HEARTBEAT_MS: u64 = 500;

/// Why a process that nobody hears is not ready.
const UNHEARD: &str = "the bus does not answer";

/// Beats until it is dropped.
pub(crate) async fn beat(host: Host) {
    let health = host.health.clone();
    sampler::beat(host, HEARTBEAT_MS, move |outcome| note(&health, &outcome)).await;
}

/// A process that nobody hears gets no jobs: it is not ready, whatever else it is.
fn note(health: &Health, outcome: &sampler::Outcome<'_>) {
    match outcome {
        Ok(()) if health.problem().as_deref() == Some(UNHEARD) => health.ready(),
        // Its stream went with the server, and is made again by the sampler.
        Ok(()) | Err(AppendError::NoStream(_)) => {}
        Err(_) if health.problem().is_none() => health.not_ready(UNHEARD),
        Err(_) => {}
    }
}
