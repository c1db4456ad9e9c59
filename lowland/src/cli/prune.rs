//! `lowland prune`: takes from the log what is over, old, and part of the services' snapshots. Money stays.

use std::{process::ExitCode, time::Duration};

use anyhow::Result;
use lowland_billing::Billing;
use lowland_events::{
    id::ServiceId,
    log::SharedLog,
    retention::{Needed, Purge, carry_out, first_young, plan},
    snapshot::{Found, find},
    stream,
};
use lowland_host::{Keep, Service, clock};
use lowland_scheduler::Scheduler;

use super::{Context, block_on};
use crate::client;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Take jobs that are over and old out of the log; accounts and their money stay for ever
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  lowland prune                what is older than 30 days
  lowland prune --days 7
  lowland prune --dry-run      only say what would go

Only what scheduler and billing have both set aside in a snapshot goes; they take one every 10,000 events.")]
pub struct Args {
    /// Days that jobs are kept after they ended
    #[arg(long, default_value_t = 30)]
    days: u32,
    /// Only say what would go
    #[arg(long)]
    dry_run: bool,
}

pub(super) fn run(context: &Context, args: Args) -> Result<ExitCode> {
    block_on(async {
        let log = client::operator(&context.data(), &context.env).await?;
        let plan = plan(&needed(&log, args.days).await?);
        if plan.is_empty() {
            println!("nothing may go yet");
        } else if args.dry_run {
            plan.iter()
                .for_each(|Purge { filter, below }| println!("{filter} below sequence {below} would go"));
        } else {
            println!("{} events went", carry_out(&*log, &plan).await?);
        }
        Ok(ExitCode::SUCCESS)
    })
}

async fn needed(log: &SharedLog, days: u32) -> Result<Needed> {
    let scheduler = snapshot::<lowland_scheduler::state::State>(log, Scheduler::NAME).await?;
    let billing = snapshot::<lowland_billing::State>(log, Billing::NAME).await?;
    let young = first_young(&**log, clock::now(), DAY * days).await?;
    let both = scheduler.as_ref().zip(billing.as_ref());
    let snapshots = both.map(|((_, one), (_, other))| vec![*one, *other]).unwrap_or_default();
    let open_jobs = scheduler.and_then(|(state, _)| state.oldest_open_job());
    // Instances are few, and the gateway folds them from the beginning.
    Ok(Needed { snapshots, open_jobs, live_instances: Some(0), young })
}

/// A service's newest usable snapshot, with its position.
async fn snapshot<S: Keep>(log: &SharedLog, service: &str) -> Result<Option<(S, u64)>> {
    let service = ServiceId::new(service)?;
    Ok(match find(&**log, &service, stream::LOG, S::LOGIC_VERSION).await? {
        Found::Usable(snapshot) => Some((snapshot.decode()?, snapshot.position)),
        Found::Nothing | Found::Unusable(_) => None,
    })
}
