//! `lowland why`: one job, explained.

use std::process::ExitCode;

use anyhow::Result;
use lowland_events::id::AccountId;

use super::{Context, block_on, say};
use crate::{
    client::{self, why::find},
    paint::Paint,
};

/// Explain what became of a job, and why: each decision, each place that was considered, each charge
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  lowland why chatcmpl-Rk2...         the id that an HTTP answer carries, or the job's own
  lowland why job-1 --account acme    where several accounts have a job of that id
  lowland why job-1 --json | jq '.attempts[].considered[] | {worker, verdict, why}'
  lowland why payment-0815            a top-up, by its id

Shown are the events of the request, of the job and of its money, each with the one that led to it; for every attempt the
places that were considered, and why one was taken; for the money the price book's version and rates, and the arithmetic.
A job that has not ended is told so far, and says so. A request that was rejected says what would be right.

With --json: account, job, model, standing (the last event that moved it), summary, ended, settled, trace, as_of, events
(envelope, data, depth, caused_by), attempts (considered, decided_on, outcome, problem) and money (held, charged, with
lines, exact sum and amount). Amounts are strings of micro-units, exact sums strings of units.")]
pub struct Args {
    /// The job's id, a top-up's, or the id of an answer of the HTTP API
    job: String,
    /// Whose it is [default: whoever has it]
    #[arg(long, short)]
    account: Option<AccountId>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

pub(super) fn run(context: &Context, args: Args) -> Result<ExitCode> {
    block_on(async {
        let log = client::operator(&context.data(), &context.env).await?;
        let story = find::story(&log, &args.job, args.account.as_ref()).await?;
        if args.json {
            say(&serde_json::to_string(&story)?)?;
        } else {
            say(story.to_text(Paint::for_stdout()).trim_end())?;
        }
        Ok(ExitCode::SUCCESS)
    })
}
