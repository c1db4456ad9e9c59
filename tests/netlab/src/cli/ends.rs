//! `netlab server` and `netlab client`: the two ends of a peer.

use std::{net::SocketAddr, process::ExitCode};

use anyhow::Context;
use tokio::runtime::{Builder, Runtime};

use crate::{
    job::{self, Job},
    outcome::Outcome,
    peer::{self, Dialer, Peer, Settings},
};

/// The far end.
#[derive(Debug, clap::Args)]
pub(super) struct Server {
    /// tcp-cubic, tcp-bbr, quinn-cubic, quinn-bbr or kcp
    #[arg(long)]
    peer: Peer,
    /// Address to listen at
    #[arg(long)]
    listen: SocketAddr,
    #[command(flatten)]
    settings: Settings,
}

/// The near end.
#[derive(Debug, clap::Args)]
pub(super) struct Client {
    /// tcp-cubic, tcp-bbr, quinn-cubic, quinn-bbr or kcp
    #[arg(long)]
    peer: Peer,
    /// Address of the server
    #[arg(long)]
    to: SocketAddr,
    #[command(flatten)]
    settings: Settings,
    #[command(subcommand)]
    job: Job,
}

/// One thread: two ends and the emulator share few cores, and waking another costs more than it gains.
fn runtime() -> anyhow::Result<Runtime> {
    Builder::new_current_thread().enable_all().build().context("no runtime")
}

impl Server {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let ready = |at| println!("{{\"listening\":\"{at}\"}}");
        runtime()?
            .block_on(peer::serve(self.peer, self.listen, &self.settings, ready))
            .with_context(|| format!("{} at {}", self.peer, self.listen))?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Client {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let outcome = runtime()?.block_on(async {
            let dialer = Dialer::new(self.peer, self.to, &self.settings)?;
            job::run(&self.job, &dialer).await
        });
        let outcome = outcome.unwrap_or_else(|error| Outcome::failed(error.to_string()));
        println!("{}", serde_json::to_string(&outcome)?);
        Ok(if outcome.error.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}
