//! `lowland bench replay`: how fast a service's state is rebuilt from the log alone, and that it is the same state from
//! whichever log it is read.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use lowland_events::{
    log::{BATCH_MAX, Entry, SharedLog, memory::MemoryLog},
    snapshot, stream,
};
use lowland_host::{Fold, Keep};
use serde::Serialize;

use super::{facts::Facts, latency::median, made, pipeline::Tell, system::System, table};
use crate::{artifacts::fetch::Fetcher, nats::config::Flush};

/// What is to be measured.
#[derive(Debug, Clone, Serialize)]
pub struct Settings {
    /// Sizes of the log, in events.
    pub events: Vec<usize>,
    /// Accounts that the jobs belong to.
    pub accounts: usize,
    /// Folds of each; figures are their medians.
    pub repeats: usize,
    /// From NATS as well.
    pub nats: bool,
}

/// What was measured.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Always `replay`.
    pub bench: &'static str,
    /// On what.
    pub facts: Facts,
    /// With which settings.
    pub settings: Settings,
    /// One for each size, service and log.
    pub results: Vec<Outcome>,
}

/// One service's fold of one log.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    /// `scheduler` or `billing`.
    pub service: &'static str,
    /// `memory` (in this process) or `nats`.
    pub from: &'static str,
    /// Events of the log.
    pub events: usize,
    /// Of these, folded a second; those that the service does not read are counted too.
    pub events_a_second: f64,
    /// Time of the median fold, in milliseconds.
    pub took_ms: f64,
    /// Bytes of the state that came out.
    pub state_bytes: usize,
    /// SHA-256 of the state.
    pub state_hash: String,
}

/// Measures every size.
pub async fn run(settings: Settings, fetcher: &Fetcher, tell: Tell) -> Result<Report> {
    let facts = Facts::read(&std::env::temp_dir());
    let mut results = Vec::new();
    for &events in &settings.events {
        let title = format!("{events} events: deciding");
        let entries = made::log(events, settings.accounts, |made| tell(&title, made.min(events), events))?;
        let in_memory: SharedLog = Arc::new(MemoryLog::new());
        fill(&in_memory, &entries, &tell).await?;
        let mut of_size = both(&in_memory, "memory", entries.len(), settings.repeats, &tell).await?;
        if settings.nats {
            let mut server = System::bare(Flush::ByDefault, fetcher).await?;
            let log = server.shared();
            let folding = async {
                fill(&log, &entries, &tell).await?;
                both(&log, "nats", entries.len(), settings.repeats, &tell).await
            };
            let from_nats = server.during(folding).await;
            server.stop().await?;
            of_size.extend(from_nats?);
        }
        same(&of_size)?;
        results.extend(of_size);
    }
    Ok(Report { bench: "replay", facts, settings, results })
}

async fn fill(log: &SharedLog, entries: &[Entry], tell: &Tell) -> Result<()> {
    log.ensure(&stream::log()).await?;
    let mut written = 0;
    for batch in entries.chunks(BATCH_MAX) {
        log.append_batch(batch.to_vec()).await?;
        written += batch.len();
        tell("writing the log", written, entries.len());
    }
    Ok(())
}

async fn both(
    log: &SharedLog,
    from: &'static str,
    events: usize,
    repeats: usize,
    tell: &Tell,
) -> Result<Vec<Outcome>> {
    let scheduler = folds::<lowland_scheduler::state::State>(log, ("scheduler", from), events, repeats, tell);
    let scheduler = scheduler.await?;
    let billing = folds::<lowland_billing::State>(log, ("billing", from), events, repeats, tell).await?;
    Ok(vec![scheduler, billing])
}

async fn folds<S: Keep>(
    log: &SharedLog,
    (service, from): (&'static str, &'static str),
    events: usize,
    repeats: usize,
    tell: &Tell,
) -> Result<Outcome> {
    let mut times = Vec::new();
    let mut state = bytes::Bytes::new();
    for number in 0..repeats {
        tell(&format!("{events} events: {service} from {from}"), number, repeats);
        let began = Instant::now();
        let fold = Fold::<S>::open(log, stream::LOG, &S::filters()).await?;
        times.push(began.elapsed());
        state = snapshot::encode(fold.state());
    }
    let took = median(times.iter().map(Duration::as_secs_f64));
    Ok(Outcome {
        service,
        from,
        events,
        events_a_second: events as f64 / took,
        took_ms: took * 1000.0,
        state_bytes: state.len(),
        state_hash: snapshot::state_hash(&state),
    })
}

/// A service's state is the same from every log; anything else is a fault, not a figure.
fn same(outcomes: &[Outcome]) -> Result<()> {
    for a in outcomes {
        if let Some(b) = outcomes.iter().find(|b| b.service == a.service && b.state_hash != a.state_hash) {
            bail!("{} folds to another state from {} than from {}", a.service, a.from, b.from);
        }
    }
    Ok(())
}

/// The report as text.
#[must_use]
pub fn table(report: &Report) -> String {
    let facts = &report.facts;
    let rows = report.results.iter().map(|of| {
        vec![
            of.service.to_owned(),
            of.from.to_owned(),
            of.events.to_string(),
            format!("{:.0}", of.events_a_second),
            format!("{:.0}", of.took_ms),
            of.state_bytes.to_string(),
            of.state_hash[..12].to_owned(),
        ]
    });
    let table =
        table::table(&["service", "from", "events", "events/s", "ms", "state bytes", "state hash"], rows);
    format!("{}, {} cores; lowland {}\n{table}", facts.processor, facts.cores, facts.lowland)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(from: &'static str, hash: &str) -> Outcome {
        Outcome {
            service: "billing",
            from,
            events: 1,
            events_a_second: 1.0,
            took_ms: 1.0,
            state_bytes: 1,
            state_hash: hash.into(),
        }
    }

    #[test]
    fn a_difference_is_an_error() {
        assert!(same(&[outcome("memory", "a"), outcome("nats", "a")]).is_ok());
        assert!(same(&[outcome("memory", "a"), outcome("nats", "b")]).is_err());
    }
}
