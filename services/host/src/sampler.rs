//! Publishing a process's figures: one sampler for every service.
//!
//! A sample tells everything since the process's start, so one that is lost costs nothing but a moment's delay. It never
//! holds anything up: few are under way at once, and while the bus is slow the next ones are left out and counted.
//!
//! A process whose silence means something (a worker, whose lease its heartbeats keep; a scheduler, who listens for its own
//! echo) also says between two samples, more often and without figures, that it lives: histograms of a busy worker take
//! kilobytes, a sign of life a few hundred bytes with its headers.

use std::{sync::Arc, time::Duration};

use lowland_events::{Draft, Subject, log::AppendError, metric::Sampled, stream};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::{AbortHandle, spawn_blocking},
    time::{Instant, MissedTickBehavior, interval},
};

use crate::{
    Host,
    figures::{Counter, Gauge, own},
};

/// Time from one sample of all figures to the next.
pub const FIGURES_MS: u64 = 2000;
/// Samples that may be under way: a bus that is slow to answer must not delay the next.
pub const UNDER_WAY_MAX: usize = 4;

/// What became of a sample.
pub type Outcome<'a> = Result<(), &'a AppendError>;

/// A sampler at work, until dropped.
#[derive(Debug)]
pub struct Sampling(AbortHandle);

impl Sampling {
    /// Lets a sampler work.
    pub fn of(sampler: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(tokio::spawn(sampler).abort_handle())
    }
}

impl Drop for Sampling {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Samples the process until dropped, every [`FIGURES_MS`].
pub async fn sample(host: Host) {
    run(host, FIGURES_MS, |_| {}).await;
}

/// The same, and every `beat_ms` a sign of life between; `heard` is told what became of each.
pub async fn beat(host: Host, beat_ms: u64, heard: impl Fn(Outcome<'_>) + Send + Sync + 'static) {
    run(host, beat_ms, heard).await;
}

async fn run(host: Host, beat_ms: u64, heard: impl Fn(Outcome<'_>) + Send + Sync + 'static) {
    let sampler = Arc::new(Sampler::new(host, heard));
    let places = Arc::new(Semaphore::new(UNDER_WAY_MAX));
    let beats_a_sample = (FIGURES_MS / beat_ms.max(1)).max(1);
    let mut beats = interval(Duration::from_millis(beat_ms));
    beats.set_missed_tick_behavior(MissedTickBehavior::Skip);
    for number in 0_u64.. {
        beats.tick().await;
        match Arc::clone(&places).try_acquire_owned() {
            Ok(place) => Arc::clone(&sampler).publish(number, number % beats_a_sample == 0, place),
            Err(_) => sampler.busy.add(1),
        }
    }
}

/// Leaves out the histograms if they take more than half of a message of at most `payload_bytes_max`; says whether they
/// do not. Counters and gauges are bounded by their series, and take no more than the other half.
fn fit(sampled: &mut Sampled, payload_bytes_max: usize) -> bool {
    let bytes: usize = sampled.histograms.iter().map(|(series, cells)| series.len() + cells.len()).sum();
    let fits = bytes <= payload_bytes_max / 2;
    if !fits {
        sampled.histograms.clear();
    }
    fits
}

struct Sampler<F> {
    host: Host,
    began: Instant,
    heard: F,
    busy: Counter,
    failed: Counter,
    reconnects: Counter,
    ready: Gauge,
}

impl<F: Fn(Outcome<'_>) + Send + Sync + 'static> Sampler<F> {
    fn new(host: Host, heard: F) -> Self {
        let figures = &host.figures;
        let [busy, failed] = ["busy", "failed"].map(|why| figures.counter(&own::SAMPLES_LOST, &[why]));
        let reconnects = figures.counter(&own::BUS_RECONNECTS, &[]);
        let ready = figures.gauge(&own::READY, &[]);
        Self { began: Instant::now(), heard, busy, failed, reconnects, ready, host }
    }

    fn publish(self: Arc<Self>, number: u64, whole: bool, place: OwnedSemaphorePermit) {
        tokio::spawn(async move {
            let sampled = if whole { Self::figures(&self).await } else { self.sign_of_life() };
            self.send(sampled, number).await;
            drop(place);
        });
    }

    fn sign_of_life(&self) -> Sampled {
        let uptime_ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        Sampled { uptime_ms, ..Sampled::default() }
    }

    /// Everything; encoding histograms takes some milliseconds, which no other task is to wait for.
    async fn figures(self: &Arc<Self>) -> Sampled {
        self.reconnects.raise_to(self.host.bus.reconnects());
        self.ready.set(i64::from(self.host.health.problem().is_none()));
        let alive = self.sign_of_life();
        let (figures, uptime_ms) = (self.host.figures.clone(), alive.uptime_ms);
        // A thread of its own would not be the same in every run of a simulation.
        let mut sampled = if self.host.clock.is_simulated() {
            figures.sample(uptime_ms)
        } else {
            spawn_blocking(move || figures.sample(uptime_ms)).await.unwrap_or(alive)
        };
        if !fit(&mut sampled, self.host.bus.payload_bytes_max()) {
            self.host.figures.bound("sample_bytes").add(1);
        }
        sampled
    }

    async fn send(&self, sampled: Sampled, number: u64) {
        let host = &self.host;
        let subject = Subject::metric(&host.service, &host.instance, "sampled");
        let cause = format!("{}/{number}", host.instance);
        let draft = Draft::new(subject, sampled, &cause, &host.source(), host.clock.now());
        // By the log itself rather than by the one that is measured, or else no figure would ever stand still.
        let outcome = host.bus.append(draft.entry()).await;
        (self.heard)(outcome.as_ref().map(drop));
        let Err(error) = outcome else { return };
        self.failed.add(1);
        tracing::debug!(%error, "a sample was not published");
        // It lives in the server's memory, and goes with it; the next one finds it.
        if let AppendError::NoStream(_) = error
            && let Err(error) = host.bus.ensure(&stream::metrics()).await
        {
            tracing::debug!(%error, "making the stream of measurements");
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_bytes::ByteBuf;

    use super::*;

    #[test]
    fn histograms_that_no_message_can_hold_are_left_out() {
        let histograms = [("a".to_owned(), ByteBuf::from([7; 99]))];
        let sampled = Sampled { histograms: histograms.into(), ..Sampled::default() };
        for (most, fits) in [(200, true), (199, false)] {
            let mut sampled = sampled.clone();
            assert_eq!(fit(&mut sampled, most), fits);
            assert_eq!(sampled.histograms.len(), usize::from(fits));
        }
    }
}
