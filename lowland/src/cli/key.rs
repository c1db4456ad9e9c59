//! `lowland key`: a tenant's secrets, for the person who may see all of them.

use std::process::ExitCode;

use anyhow::Result;
use lowland_events::id::AccountId;
use serde_json::json;

use super::Context;
use crate::{nats::keys, supervise::plan::DEMO_ACCOUNT};

/// Print an account's API key, or its password on NATS
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  KEY=$(lowland key)                  the demo account's API key
  lowland key acme --password         the password of the NATS user `acme`
  lowland key --json                  both")]
pub struct Args {
    /// The account
    #[arg(default_value = DEMO_ACCOUNT)]
    account: AccountId,
    /// The password on NATS, instead of the API key
    #[arg(long, conflicts_with = "json")]
    password: bool,
    /// Print one JSON document with both
    #[arg(long)]
    json: bool,
}

pub(super) fn run(context: &Context, args: Args) -> Result<ExitCode> {
    let (data, account) = (context.data(), &args.account);
    if args.json {
        let (key, password) = (keys::api_key_kept(&data, account)?, keys::password_kept(&data, account)?);
        println!(
            "{}",
            json!({ "account": account, "api_key": key, "nats_user": account, "nats_password": password })
        );
    } else if args.password {
        println!("{}", keys::password_kept(&data, account)?);
    } else {
        println!("{}", keys::api_key_kept(&data, account)?);
    }
    Ok(ExitCode::SUCCESS)
}
