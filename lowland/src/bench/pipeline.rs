//! `lowland bench pipeline`: whole jobs a second, and how long a first token takes, beside bare JetStream with the same
//! flushing in the same minutes. Runs of the two alternate, so that what else the machine does meets both.

use std::{collections::BTreeMap, future::Future, sync::Arc, time::Duration};

use anyhow::{Result, bail};
use lowland_events::{
    id::AccountId,
    log::{Log, SharedLog},
    stream,
};
use serde::Serialize;
use tokio::runtime::Handle;

use super::{
    bare, direct,
    facts::{self, Facts},
    idle::{self, Pace},
    latency::{Percentiles, Times, median},
    load::{self, Driven, Load},
    system::{Shape, System},
};
use crate::{artifacts::fetch::Fetcher, nats::config::Flush};

/// Records whose sizes stand for all.
const SIZED_RECORDS: usize = 1000;
/// Longest wait until the system has come to rest after a run: acknowledgements, snapshots.
const REST: Duration = Duration::from_millis(300);

/// What is to be measured.
#[derive(Debug, Clone, Serialize)]
pub struct Settings {
    /// Jobs of a run.
    pub jobs: usize,
    /// Jobs under way at once.
    pub outstanding: usize,
    /// Accounts that they belong to.
    pub accounts: usize,
    /// Characters of a prompt; as many tokens come back.
    pub prompt_chars: usize,
    /// Worker processes.
    pub workers: usize,
    /// Runs of pipeline and yardstick each; figures are their medians.
    pub repeats: usize,
    /// Jobs one at a time, by the bus and by HTTP each; none, if 0.
    pub idle_jobs: usize,
    /// Rest between two of these, in milliseconds.
    pub idle_rest_ms: u64,
    /// `always`, `default`, or both.
    pub sync: Vec<String>,
}

/// What was measured.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Always `pipeline`.
    pub bench: &'static str,
    /// On what.
    pub facts: Facts,
    /// The one-minute load average at the end, our own load included.
    pub load_after: f64,
    /// With which settings.
    pub settings: Settings,
    /// One for each way of flushing.
    pub results: Vec<Outcome>,
}

/// What was measured with one way of flushing.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Outcome {
    /// nats-server's `sync_interval`: `always` or `default`.
    pub sync: String,
    /// Jobs from post to charge, a second: the median run's.
    pub jobs_a_second: f64,
    /// Messages that these jobs stored in LOG, REQUESTS and TOKENS, a second: the median run's.
    pub events_a_second: f64,
    /// Messages that bare JetStream stored and handed out, a second: the median run's.
    pub bare_events_a_second: f64,
    /// The median of the runs' ratios of the two.
    pub ratio: f64,
    /// Every run's ratio.
    pub ratios: Vec<f64>,
    /// Messages a job.
    pub events_a_job: f64,
    /// Messages of all runs, by stream.
    pub events: BTreeMap<String, u64>,
    /// Mean bytes of a message of LOG, headers included.
    pub message_bytes: usize,
    /// Bytes that the server's folder grew by, in all runs.
    pub stored_bytes: u64,
    /// Processor seconds of all runs of the pipeline, by process; `driver` is this one.
    pub cpu_seconds: BTreeMap<String, f64>,
    /// From post to first token under load, all runs.
    pub loaded_first_token: Percentiles,
    /// From post to charge under load, all runs.
    pub loaded_charged: Percentiles,
    /// One job at a time; none, if it was not asked for.
    pub idle: Option<Idle>,
}

/// First tokens on a system that does nothing else.
#[derive(Debug, Clone, Serialize)]
pub struct Idle {
    /// The engine called in this process.
    pub direct: Percentiles,
    /// From post to first token, both over the bus.
    pub bus: Percentiles,
    /// From HTTP request to first text, through the gateway.
    pub http: Percentiles,
    /// What the bus adds to the engine.
    pub added_by_bus: Added,
    /// What gateway and bus add to the engine.
    pub added_by_http: Added,
}

/// Differences of percentiles, in milliseconds.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Added {
    /// Of the medians.
    pub p50_ms: f64,
    /// Of the 99th percentiles.
    pub p99_ms: f64,
}

impl Added {
    fn between(direct: Percentiles, whole: Percentiles) -> Self {
        Self { p50_ms: whole.p50_ms - direct.p50_ms, p99_ms: whole.p99_ms - direct.p99_ms }
    }
}

/// How far it is: what is done now, how much of it, of how much.
pub type Tell = Arc<dyn Fn(&str, usize, usize) + Send + Sync>;

/// What a run is made of.
pub struct Bench<'a> {
    /// What is to be measured.
    pub settings: Settings,
    /// Brings the server.
    pub fetcher: &'a Fetcher,
    /// Where the driver's own tasks run: not on the thread that tends the processes.
    pub driver: Handle,
    /// Hears of progress.
    pub tell: Tell,
}

impl Bench<'_> {
    /// Measures everything, one way of flushing after the other.
    pub async fn run(&self) -> Result<Report> {
        let facts = Facts::read(&std::env::temp_dir());
        let mut results = Vec::new();
        for sync in &self.settings.sync {
            results.push(self.with(sync).await?);
        }
        let settings = self.settings.clone();
        Ok(Report { bench: "pipeline", facts, load_after: facts::load(), settings, results })
    }

    async fn with(&self, sync: &str) -> Result<Outcome> {
        let flush = match sync {
            "always" => Flush::Always,
            "default" => Flush::ByDefault,
            other => bail!("sync {other:?}: `always` or `default` is wanted"),
        };
        (self.tell)(&format!("{sync}: starting"), 0, 1);
        let slots = u32::try_from(self.settings.outstanding.div_ceil(self.settings.workers))?;
        let shape = Shape { flush, workers: self.settings.workers, slots };
        let mut yardstick = System::bare(flush, self.fetcher).await?;
        let mut whole = match System::whole(&shape, self.fetcher).await {
            Ok(whole) => whole,
            Err(error) => {
                yardstick.stop().await?;
                return Err(error);
            }
        };
        let measured = self.measure(sync, &mut whole, &mut yardstick).await;
        whole.stop().await?;
        yardstick.stop().await?;
        measured
    }

    async fn measure(&self, sync: &str, whole: &mut System, yardstick: &mut System) -> Result<Outcome> {
        let accounts = (1..=self.settings.accounts).map(|n| AccountId::new(format!("bench{n}")));
        let accounts: Vec<AccountId> = accounts.collect::<Result<_, _>>()?;
        let demo = AccountId::new(whole.up.nats_user.clone())?;
        whole.endow(&accounts).await?;
        whole.endow(&[demo]).await?;
        let load = Load {
            jobs: self.settings.jobs,
            outstanding: self.settings.outstanding,
            accounts: accounts.clone(),
            prompt_chars: self.settings.prompt_chars,
        };
        let warm = Load { jobs: load.outstanding.min(load.jobs), ..load.clone() };
        self.drive(whole, &format!("{sync}: warming up"), warm).await?;
        let mut runs = Runs { bytes_before: whole.stored_bytes(), ..Runs::default() };
        for number in 1..=self.settings.repeats {
            let title = format!("{sync}: run {number} of {}", self.settings.repeats);
            runs.add(self.pair(&title, whole, yardstick, &load).await?);
        }
        let mut outcome = runs.outcome(sync, whole.stored_bytes());
        outcome.message_bytes = sizes(&*whole.log).await?.iter().sum();
        if self.settings.idle_jobs > 0 {
            outcome.idle = Some(self.idle(sync, whole, &accounts[0]).await?);
        }
        Ok(outcome)
    }

    /// One run of each.
    async fn pair(
        &self,
        title: &str,
        whole: &mut System,
        yardstick: &mut System,
        load: &Load,
    ) -> Result<Pair> {
        let (before, cpu) = (counts(&*whole.log).await?, facts::cpu_seconds(&whole.pids()));
        let driven = self.drive(whole, title, load.clone()).await?;
        let cpu = minus(&facts::cpu_seconds(&whole.pids()), &cpu, |a, b| a - b);
        let events = minus(&counts(&*whole.log).await?, &before, |a, b| a - b);
        tokio::time::sleep(REST).await;
        let [header_bytes, body_bytes] = sizes(&*whole.log).await?;
        let count = usize::try_from(events.values().sum::<u64>())?;
        let messages = bare::Messages { count, body_bytes, header_bytes, in_flight: load.outstanding };
        (self.tell)(&format!("{title}: bare JetStream"), 0, 1);
        let client = yardstick.log.client().clone();
        let bare = yardstick.during(self.spawn(bare::run(client, messages))).await?;
        tokio::time::sleep(REST).await;
        Ok(Pair { jobs: load.jobs, driven, bare, events, cpu })
    }

    async fn drive(&self, whole: &mut System, title: &str, load: Load) -> Result<Driven> {
        let (tell, title, jobs) = (self.tell.clone(), title.to_owned(), load.jobs);
        let log: SharedLog = whole.shared();
        let driving = self.spawn(load::drive(log, load, move |done| tell(&title, done, jobs)));
        whole.during(driving).await
    }

    async fn idle(&self, sync: &str, whole: &mut System, account: &AccountId) -> Result<Idle> {
        let Settings { idle_jobs: jobs, idle_rest_ms, prompt_chars, .. } = self.settings;
        let rest = Duration::from_millis(idle_rest_ms);
        let pace = Pace { jobs, rest, prompt_chars };
        (self.tell)(&format!("{sync}: one at a time, the engine by itself"), 0, 1);
        let direct =
            tokio::task::spawn_blocking(move || direct::first_tokens(jobs, rest, prompt_chars)).await??;
        (self.tell)(&format!("{sync}: one at a time, by the bus"), 0, 1);
        let (log, account) = (whole.log.clone(), account.clone());
        let bus = self.spawn(async move { idle::by_bus(&*log, &account, pace).await });
        let bus = whole.during(bus).await?.percentiles();
        (self.tell)(&format!("{sync}: one at a time, by HTTP"), 0, 1);
        let up = whole.up.clone();
        let http = self.spawn(async move { idle::by_http(&up, pace).await });
        let http = whole.during(http).await?.percentiles();
        let direct = direct.percentiles();
        let (added_by_bus, added_by_http) = (Added::between(direct, bus), Added::between(direct, http));
        Ok(Idle { direct, bus, http, added_by_bus, added_by_http })
    }

    /// On the driver's threads.
    async fn spawn<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        self.driver.spawn(work).await?
    }
}

/// A run of the pipeline, and one of the yardstick with as many messages.
struct Pair {
    jobs: usize,
    driven: Driven,
    bare: Duration,
    events: BTreeMap<String, u64>,
    cpu: BTreeMap<String, f64>,
}

impl Pair {
    fn events(&self) -> f64 {
        self.events.values().sum::<u64>() as f64
    }

    fn events_a_second(&self) -> f64 {
        self.events() / self.driven.took.as_secs_f64()
    }

    fn bare_events_a_second(&self) -> f64 {
        self.events() / self.bare.as_secs_f64()
    }
}

#[derive(Default)]
struct Runs {
    pairs: Vec<Pair>,
    bytes_before: u64,
}

impl Runs {
    fn add(&mut self, pair: Pair) {
        self.pairs.push(pair);
    }

    fn outcome(self, sync: &str, bytes: u64) -> Outcome {
        let pairs = &self.pairs;
        let of = |figure: &dyn Fn(&Pair) -> f64| median(pairs.iter().map(figure));
        let ratios: Vec<f64> =
            pairs.iter().map(|pair| pair.events_a_second() / pair.bare_events_a_second()).collect();
        let jobs: usize = pairs.iter().map(|pair| pair.jobs).sum();
        let merged = |times: &dyn Fn(&Driven) -> &Times| {
            let mut all = Times::default();
            pairs.iter().for_each(|pair| all.merge(times(&pair.driven)));
            all.percentiles()
        };
        Outcome {
            sync: sync.to_owned(),
            jobs_a_second: of(&|pair| pair.jobs as f64 / pair.driven.took.as_secs_f64()),
            events_a_second: of(&Pair::events_a_second),
            bare_events_a_second: of(&Pair::bare_events_a_second),
            ratio: median(ratios.iter().copied()),
            ratios,
            events_a_job: pairs.iter().map(Pair::events).sum::<f64>() / jobs as f64,
            events: sums(pairs.iter().map(|pair| &pair.events)),
            stored_bytes: bytes.saturating_sub(self.bytes_before),
            cpu_seconds: sums(pairs.iter().map(|pair| &pair.cpu)),
            loaded_first_token: merged(&|driven| &driven.first_token),
            loaded_charged: merged(&|driven| &driven.charged),
            ..Outcome::default()
        }
    }
}

fn sums<'a, T: Copy + Default + std::ops::AddAssign + 'a>(
    tables: impl Iterator<Item = &'a BTreeMap<String, T>>,
) -> BTreeMap<String, T> {
    let mut sums = BTreeMap::new();
    for (name, value) in tables.flatten() {
        *sums.entry(name.clone()).or_default() += *value;
    }
    sums
}

fn minus<T: Copy + Default>(
    after: &BTreeMap<String, T>,
    before: &BTreeMap<String, T>,
    minus: impl Fn(T, T) -> T,
) -> BTreeMap<String, T> {
    let of = |name: &String| before.get(name).copied().unwrap_or_default();
    after.iter().map(|(name, value)| (name.clone(), minus(*value, of(name)))).collect()
}

/// Messages that were ever stored in the streams that jobs write to. Heartbeats and snapshots are not counted.
async fn counts(log: &dyn Log) -> Result<BTreeMap<String, u64>> {
    let mut counts = BTreeMap::new();
    for name in [stream::LOG, stream::REQUESTS, stream::TOKENS] {
        counts.insert(name.to_owned(), log.extent(name).await?.last);
    }
    Ok(counts)
}

/// Mean bytes of the headers and of the body of the latest messages of LOG.
async fn sizes(log: &dyn Log) -> Result<[usize; 2]> {
    let last = log.extent(stream::LOG).await?.last;
    let records =
        log.read(stream::LOG, &[], last.saturating_sub(SIZED_RECORDS as u64), SIZED_RECORDS).await?;
    let of_header = |(name, value): (&String, &String)| name.len() + value.len() + ": \r\n".len();
    let headers: usize = records.iter().flat_map(|record| record.headers.0.iter().map(of_header)).sum();
    let bodies: usize = records.iter().map(|record| record.payload.len()).sum();
    Ok([headers, bodies].map(|bytes| bytes / records.len().max(1)))
}
