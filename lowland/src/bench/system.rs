//! What is measured, started as `lowland up` starts it, in a temporary data folder: all of it, or the server alone.

use std::{cell::Cell, collections::BTreeMap, fs, rc::Rc, sync::Arc};

use anyhow::{Context, Result, bail};
use lowland_events::{
    Money,
    id::{AccountId, JobId},
    log::{
        SharedLog,
        jetstream::{Connection, Credentials, JetStreamLog},
    },
};
use tempfile::TempDir;

use crate::{
    artifacts::fetch::Fetcher,
    client::credit,
    folders::Data,
    nats::{config::Flush, keys::seed_file, permissions::Role},
    supervise::{
        plan::{PRICES_FILE, Plan},
        prepare::{Options, prepare},
        run::{Run, Said},
        state::Up,
    },
};

/// The echo's name: an engine that answers at once.
pub const MODEL: &str = "instant";
/// What every account has to spend, in micro-units: more than any run can use.
const MONEY: Money = Money(1_000_000_000_000);
/// A price for whatever is asked for.
pub(super) const PRICES: &str = r#"
currency = "EUR"
[[version]]
id = "bench"
effective = "2020-01-01T00:00:00Z"
[version.models."*"]
input_tokens = "0.02"
cached_tokens = "0.002"
output_tokens = "0.08"
"#;

/// How a system is to be.
#[derive(Debug, Clone)]
pub struct Shape {
    /// When the server flushes what it stores.
    pub flush: Flush,
    /// Worker processes.
    pub workers: usize,
    /// Jobs at once a worker.
    pub slots: u32,
}

/// Processes under way, and the way to them.
pub struct System {
    run: Run,
    deaths: Rc<Cell<usize>>,
    /// What others are told of it.
    pub up: Up,
    /// The log, as the operator.
    pub log: Arc<JetStreamLog>,
    // Removed when everything has stopped.
    folder: TempDir,
}

impl System {
    /// Starts every service.
    pub async fn whole(shape: &Shape, fetcher: &Fetcher) -> Result<Self> {
        let options = Options {
            workers: shape.workers,
            models: vec![format!("echo:{MODEL}")],
            slots: Some(shape.slots),
            ..options(shape.flush)
        };
        Self::start(&options, fetcher, |_| {}).await
    }

    /// Starts the server alone.
    pub async fn bare(flush: Flush, fetcher: &Fetcher) -> Result<Self> {
        Self::start(&options(flush), fetcher, |plan| plan.members.clear()).await
    }

    async fn start(options: &Options, fetcher: &Fetcher, adapt: impl FnOnce(&mut Plan)) -> Result<Self> {
        let folder = tempfile::tempdir().context("making a temporary data folder")?;
        let data = Data::open(folder.path())?;
        fs::write(data.config(PRICES_FILE), PRICES)?;
        let mut plan = prepare(&data, options, fetcher, &|_| {})?;
        adapt(&mut plan);
        let deaths = Rc::new(Cell::new(0));
        let died = deaths.clone();
        let mut run = Run::new(plan, move |said| {
            if let Said::Died { .. } = said {
                died.set(died.get() + 1);
            }
        });
        let begun = async {
            let up = run.start().await?;
            let log = operator(&data, &up.nats_url).await?;
            anyhow::Ok((up, log))
        };
        match begun.await {
            Ok((up, log)) => Ok(Self { run, deaths, up, log, folder }),
            Err(error) => {
                run.stop().await;
                Err(error)
            }
        }
    }

    /// The log as everybody knows it.
    #[must_use]
    pub fn shared(&self) -> SharedLog {
        self.log.clone()
    }

    /// Gives `accounts` more money than they can spend.
    pub async fn endow(&self, accounts: &[AccountId]) -> Result<()> {
        for account in accounts {
            credit::top_up(&self.shared(), account, &JobId::new("bench")?, MONEY, None).await?;
        }
        Ok(())
    }

    /// Does `work` while watching over the processes: one that died is an error, since figures would mean nothing.
    pub async fn during<T>(&mut self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let done = tokio::select! {
            done = work => done?,
            error = self.run.watch_forever() => return Err(error.into()),
        };
        match self.deaths.get() {
            0 => Ok(done),
            died => bail!(
                "processes died {died} times meanwhile: see the logs in {}",
                self.folder.path().display()
            ),
        }
    }

    /// Every process that serves, and ourselves, who drive it.
    #[must_use]
    pub fn pids(&self) -> BTreeMap<String, u32> {
        let ours = ("driver".to_owned(), std::process::id());
        self.up.pids.clone().into_iter().chain([ours]).collect()
    }

    /// Bytes that the server has stored.
    #[must_use]
    pub fn stored_bytes(&self) -> u64 {
        crate::supervise::prepare::bytes_in(&Data::at(self.folder.path()).nats())
    }

    /// Stops everything and removes the folder.
    pub async fn stop(mut self) -> Result<()> {
        self.run.stop().await;
        self.folder.close().context("removing the temporary data folder")
    }
}

fn options(flush: Flush) -> Options {
    // Port 0 is any that is free: nobody's usual one is taken.
    Options { flush, port: Some(0), nats_port: Some(0), ..Options::default() }
}

async fn operator(data: &Data, url: &str) -> Result<Arc<JetStreamLog>> {
    let seed = fs::read_to_string(seed_file(data, &Role::Operator))?;
    let connection = Connection {
        url: url.to_owned(),
        credentials: Credentials::NkeySeed(seed.trim().to_owned()),
        name: "lowland bench".into(),
        inbox_prefix: Some(Role::Operator.inbox_prefix()),
    };
    Ok(Arc::new(JetStreamLog::connect(&connection).await?))
}
