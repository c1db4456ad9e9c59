//! `lowland serve`: one service as this process.

use std::process::ExitCode;

use anyhow::Result;
use clap::ValueEnum;
use lowland_billing::Billing;
use lowland_gateway::Gateway;
use lowland_scheduler::Scheduler;
use lowland_worker::Worker;

use super::Context;

/// Run one service as this process, the way `lowland up` runs them all
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Settings come from the environment; `lowland up` sets them, and whoever runs services some other way does it himself:
  every service  LOWLAND_NATS_URL, LOWLAND_NKEY_SEED_FILE (or LOWLAND_NATS_USER and LOWLAND_NATS_PASSWORD),
                 LOWLAND_INBOX_PREFIX, LOWLAND_HEALTH_ADDR (answers /healthz, /readyz, /state and
                 /metrics), LOWLAND_LOG, LOWLAND_LOG_JSON
  billing        LOWLAND_PRICES
  gateway        LOWLAND_LISTEN, LOWLAND_KEYS
  worker         LOWLAND_WORKER_ID, LOWLAND_MODELS, LOWLAND_WORKER_MODELS, LOWLAND_SLOTS, LOWLAND_THREADS,
                 LOWLAND_PROVIDER, LOWLAND_REGION, LOWLAND_ASK, ORT_DYLIB_PATH
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

pub(super) fn run(_context: &Context, args: Args) -> Result<ExitCode> {
    match args.service {
        Service::Scheduler => lowland_host::run::<Scheduler>(),
        Service::Billing => lowland_host::run::<Billing>(),
        Service::Gateway => lowland_host::run::<Gateway>(),
        Service::Worker => lowland_host::run::<Worker>(),
    }?;
    Ok(ExitCode::SUCCESS)
}
