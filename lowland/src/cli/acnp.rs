//! `lowland acnp`: the transport for long, lossy paths by itself.

use std::process::ExitCode;

use anyhow::Result;

use super::Context;

/// Carry TCP over long, lossy paths by ACNP: a tunnel, its keys, and measurements
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A tunnel from here to a service that another machine can reach:
  there   lowland acnp keygen --out acnp.key        writes acnp.key, which stays there, and acnp.key.pub
          lowland acnp serve --listen 0.0.0.0:4433 --to 127.0.0.1:8080 --key acnp.key
  here    lowland acnp connect --listen 127.0.0.1:8080 --peer 192.0.2.1:4433 --server-key acnp.key.pub

What a path carries (one line of JSON):
  there   lowland acnp perf server --listen 0.0.0.0:4433 --key acnp.key
  here    lowland acnp perf client --peer 192.0.2.1:4433 --server-key acnp.key.pub bulk")]
pub struct Args {
    #[command(subcommand)]
    command: lowland_acnp::command::Command,
}

/// Does what was asked.
pub fn run(_: &Context, args: Args) -> Result<ExitCode> {
    // Threads for the driver and for those who read and write: no child is bound to one of them.
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(lowland_acnp::command::run(args.command))?;
    Ok(ExitCode::SUCCESS)
}
