//! `lowland nats`: what a server that somebody else runs has to be told.

use std::process::ExitCode;

use anyhow::Result;
use lowland_events::id::AccountId;

use super::Context;
use crate::{
    nats::keys,
    supervise::{
        plan::{DEMO_ACCOUNT, roles},
        prepare::accounts,
    },
};

/// Print the users and permissions of this data folder, for a NATS server that somebody else runs
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  lowland nats accounts > lowland-accounts.conf      then `include lowland-accounts.conf` in the server's configuration
  LOWLAND_NATS_URL=nats://host:4222 lowland up

The server needs JetStream with `sync_interval: always`, version 2.12 or later, and `max_payload: 8MB`.")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Print the `accounts` block of nats-server's configuration; it holds passwords
    Accounts {
        /// Worker processes that will connect
        #[arg(long, default_value_t = 1, value_name = "N")]
        workers: u8,
    },
}

pub(super) fn run(context: &Context, args: Args) -> Result<ExitCode> {
    let Command::Accounts { workers } = args.command;
    let data = context.open_data()?;
    let tenant = AccountId::new(DEMO_ACCOUNT)?;
    let password = keys::password(&data, &tenant)?;
    print!("{}", accounts(&data, &roles(workers.into()), &[(tenant, password)])?.render());
    Ok(ExitCode::SUCCESS)
}
