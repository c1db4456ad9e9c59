//! `lowland serve`: one service as this process.

use std::{collections::BTreeMap, path::Path, process::ExitCode};

use anyhow::{Context as _, Result};
use clap::ValueEnum;
use lowland_billing::Billing;
use lowland_gateway::Gateway;
use lowland_host::Settings;
use lowland_scheduler::Scheduler;
use lowland_worker::Worker;

use super::Context;
use crate::{
    artifacts::{fetch::Fetcher, pins::PINS, progress::Progress},
    containers::seat,
    models::install,
    nats::permissions::Role,
};

/// Folder of the seats of workers that are all alike.
const SEATS: &str = "LOWLAND_WORKER_SEATS";

/// Run one service as this process, the way `lowland up` runs them all
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Settings come from the environment; `lowland up` sets them, and whoever runs services some other way does it himself:
  every service  LOWLAND_NATS_URL, LOWLAND_NKEY_SEED_FILE (or LOWLAND_NATS_USER and LOWLAND_NATS_PASSWORD),
                 LOWLAND_INBOX_PREFIX, LOWLAND_HEALTH_ADDR (answers /healthz, /readyz, /state and
                 /metrics), LOWLAND_LOG, LOWLAND_LOG_JSON,
                 OTEL_EXPORTER_OTLP_ENDPOINT and other OTEL_... (docs/tracing.md)
  billing        LOWLAND_PRICES
  gateway        LOWLAND_LISTEN, LOWLAND_KEYS
  worker         LOWLAND_WORKER_ID, LOWLAND_MODELS, LOWLAND_WORKER_MODELS, LOWLAND_SLOTS, LOWLAND_THREADS,
                 LOWLAND_PROVIDER, LOWLAND_REGION, LOWLAND_ASK, ORT_DYLIB_PATH; models and library are the cache folder's
                 by default. LOWLAND_WORKER_SEATS, a folder of keys that `lowland setup` wrote, gives each of many
                 equal workers the first id and key that no other has.
A setting that is missing or wrong is said at start, together with all the others.")]
pub struct Args {
    /// Which service
    service: Service,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Service {
    /// Decides on jobs
    Scheduler,
    /// Keeps accounts
    Billing,
    /// Answers callers
    Gateway,
    /// Runs models
    Worker,
}

pub(super) fn run(context: &Context, args: Args) -> Result<ExitCode> {
    match args.service {
        Service::Scheduler => lowland_host::run::<Scheduler>(),
        Service::Billing => lowland_host::run::<Billing>(),
        Service::Gateway => lowland_host::run::<Gateway>(),
        Service::Worker => return worker(context),
    }?;
    Ok(ExitCode::SUCCESS)
}

/// A worker, with what the environment leaves open: who it is, where the cache folder has its library and models.
fn worker(context: &Context) -> Result<ExitCode> {
    let mut settings = context.env.clone();
    settings.extend(in_cache(&context.fetcher(Progress::Silent)?)?);
    let seat = context
        .env
        .get(SEATS)
        .filter(|folder| !folder.is_empty())
        .map(|folder| seat::take(Path::new(folder)));
    let seat = seat.transpose()?;
    if let Some(seat) = &seat {
        eprintln!("this worker is {}", seat.worker);
        settings.extend(as_settings(seat));
    }
    lowland_host::run_with::<Worker>(Settings::from_lookup(move |name| settings.get(name).cloned()))?;
    drop(seat); // only now may another sit there
    Ok(ExitCode::SUCCESS)
}

/// Library and models: what the environment names, else what `lowland fetch` has left; the library that has the provider
/// which is asked for.
fn in_cache(fetcher: &Fetcher) -> Result<BTreeMap<String, String>> {
    let provider = fetcher.env.get("LOWLAND_PROVIDER").map_or("cpu", String::as_str);
    let name = if ["", "cpu"].contains(&provider) { "onnxruntime" } else { "onnxruntime-gpu" };
    let artifact = PINS.artifact(name).context("artifacts.toml pins no onnxruntime")?;
    let library = fetcher.locate(artifact)?.map(|located| located.path.display().to_string());
    let models = install::store(fetcher).root().display().to_string();
    let library = library.map(|path| (lowland_engine::LIBRARY_VARIABLE.to_owned(), path));
    Ok([("LOWLAND_MODELS".to_owned(), models)].into_iter().chain(library).collect())
}

fn as_settings(seat: &seat::Seat) -> [(String, String); 3] {
    [
        ("LOWLAND_WORKER_ID".into(), seat.worker.to_string()),
        ("LOWLAND_NKEY_SEED_FILE".into(), seat.seed.display().to_string()),
        ("LOWLAND_INBOX_PREFIX".into(), Role::Worker(seat.worker.clone()).inbox_prefix()),
    ]
}
