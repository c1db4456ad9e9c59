//! The process's sign of life: its figures, twice a second, on the stream of measurements.

use std::{sync::Arc, time::Duration};

use lowland_events::{Draft, Event, Subject, log::AppendError, metric, stream};
use lowland_host::Host;
use tokio::{sync::Semaphore, time::Instant};

/// Time from one heartbeat to the next: a lease outlasts three that go missing.
pub const HEARTBEAT_MS: u64 = 500;
/// Heartbeats that may be under way: a bus that is slow to answer must not delay the next.
const UNDER_WAY_MAX: usize = 4;

/// Why a process that nobody hears is not ready.
const UNHEARD: &str = "the bus does not answer";

/// Beats until it is dropped.
pub(crate) async fn beat(host: Host) {
    let began = Instant::now();
    let free = Arc::new(Semaphore::new(UNDER_WAY_MAX));
    let mut ticks = tokio::time::interval(Duration::from_millis(HEARTBEAT_MS));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    for number in 0_u64.. {
        ticks.tick().await;
        let Ok(place) = Arc::clone(&free).try_acquire_owned() else { continue };
        let uptime_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let (host, sampled) = (host.clone(), host.figures.sample(uptime_ms));
        tokio::spawn(async move {
            send(&host, sampled, number).await;
            drop(place);
        });
    }
}

async fn send(host: &Host, sampled: metric::Sampled, number: u64) {
    let subject = Subject::metric(&host.service, &host.instance, "sampled");
    let event: Event = sampled.into();
    let cause = format!("{}/{number}", host.instance);
    let draft = Draft::new(subject, event, &cause, &host.source(), host.clock.now());
    match host.log.append(draft.entry()).await {
        Ok(_) if host.health.problem().as_deref() == Some(UNHEARD) => host.health.ready(),
        Ok(_) => {}
        // It lives in the server's memory, and goes with it; the next beat finds it.
        Err(AppendError::NoStream(_)) => {
            if let Err(error) = host.log.ensure(&stream::metrics()).await {
                tracing::debug!(%error, "making the stream of measurements");
            }
        }
        Err(error) => {
            tracing::debug!(%error, "a heartbeat went missing");
            if host.health.problem().is_none() {
                host.health.not_ready(UNHEARD);
            }
        }
    }
}
