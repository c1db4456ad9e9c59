//! `lowland balance`, `topup`, `invoice`: accounts, read from the log, and money added to them.

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use lowland_billing::{Period, balances, invoice, statement};
use lowland_events::{
    Money,
    id::{AccountId, JobId},
};
use lowland_host::clock;
use serde_json::json;

use super::{Context, block_on, table};
use crate::{
    client::{self, credit, post::new_job_id},
    supervise::plan::DEMO_ACCOUNT,
};

/// Show what an account has, what is set aside, and what moved lately
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  lowland balance             every account
  lowland balance demo        one account, with its latest movements")]
pub struct BalanceArgs {
    /// The account [default: all of them, in short]
    account: Option<AccountId>,
    /// Print one JSON document; amounts are strings of micro-units
    #[arg(long)]
    json: bool,
}

/// Add money to an account
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  lowland topup demo 5                      5 units of the price book's currency
  lowland topup demo 5 --id payment-0815    counts once, however often it is said")]
pub struct TopupArgs {
    /// The account
    account: AccountId,
    /// How much, in units with at most six decimals
    #[arg(value_parser = |text: &str| Money::from_units(text).map_err(|_| format!("{text:?} is no amount: write 5 or 0.25")))]
    amount: Money,
    /// Id of the top-up, which counts once [default: a random one]
    #[arg(long)]
    id: Option<JobId>,
    /// What it is for
    #[arg(long)]
    reference: Option<String>,
}

/// Print an account's invoice
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  lowland invoice                     the demo account, this month
  lowland invoice acme 2026-11        a month; a day (2026-11-22), a year (2026) and FROM..TO work as well
  lowland invoice acme 2026 --json    for machines; amounts are strings of micro-units")]
pub struct InvoiceArgs {
    /// The account
    #[arg(default_value = DEMO_ACCOUNT)]
    account: AccountId,
    /// The period [default: this month]
    period: Option<Period>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

pub(super) fn balance(context: &Context, args: BalanceArgs) -> Result<ExitCode> {
    block_on(async {
        let log = client::operator(&context.data(), &context.env).await?;
        match args.account {
            Some(account) => {
                let statement = statement(&log, &account).await?;
                print(args.json, &statement, || statement.to_text())
            }
            None => {
                let all = balances(&log).await?;
                let rows = all.iter().map(|(id, (available, set_aside))| {
                    vec![id.to_string(), available.to_units(), set_aside.to_units()]
                });
                let text = table(&["ACCOUNT", "TO SPEND", "SET ASIDE"], rows);
                let document: serde_json::Map<String, serde_json::Value> = all
                    .iter()
                    .map(|(id, (available, set_aside))| {
                        (id.to_string(), json!({ "available": available, "set_aside": set_aside }))
                    })
                    .collect();
                print(args.json, &document, || text)
            }
        }
    })
}

pub(super) fn topup(context: &Context, args: TopupArgs) -> Result<ExitCode> {
    block_on(async {
        let log = client::operator(&context.data(), &context.env).await?;
        let id = args.id.unwrap_or_else(new_job_id);
        let (account, amount) = (&args.account, args.amount.to_units());
        let added = credit::top_up(&log, account, &id, args.amount, args.reference).await?;
        let available = statement(&log, account).await?.available.to_units();
        match added {
            true => println!("{amount} was added to {account}, which has {available} to spend"),
            false => println!("{id} was counted before; {account} has {available} to spend"),
        }
        Ok(ExitCode::SUCCESS)
    })
}

pub(super) fn invoices(context: &Context, args: InvoiceArgs) -> Result<ExitCode> {
    block_on(async {
        let log = client::operator(&context.data(), &context.env).await?;
        let period = args.period.unwrap_or_else(|| Period::month_of(clock::now()));
        let invoice = invoice(&log, &args.account, period).await.context("reading the account's events")?;
        print(args.json, &invoice, || invoice.to_text())
    })
}

fn print<T: serde::Serialize>(
    as_json: bool,
    document: &T,
    text: impl FnOnce() -> String,
) -> Result<ExitCode> {
    if as_json {
        println!("{}", serde_json::to_string(document)?);
    } else {
        println!("{}", text().trim_end());
    }
    Ok(ExitCode::SUCCESS)
}
