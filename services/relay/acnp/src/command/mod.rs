//! The command: a tunnel, its keys, and measurements of the transport. `lowland acnp …` is this.

mod connect;
mod keygen;
mod perf;
mod serve;

use std::{net::SocketAddr, path::PathBuf};

use clap::Subcommand;

use crate::{endpoint::Settings, endpoint::keys, proto::handshake::ClientKeys, wire::Choice};

/// Why a command came to nothing, for people to read.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Failure(String);

impl Failure {
    fn of(what: &str) -> impl Fn(std::io::Error) -> Self + '_ {
        move |error| Self(format!("{what}: {error}"))
    }
}

impl From<keys::KeyError> for Failure {
    fn from(error: keys::KeyError) -> Self {
        Self(error.to_string())
    }
}

/// What can be done.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Tunnel, the far end: streams come in, TCP connections to HOST:PORT go out
    Serve(serve::Args),
    /// Tunnel, the near end: TCP connections come in, each becomes a stream
    Connect(connect::Args),
    /// Make a server's key: F stays with it, F.pub goes to its clients
    Keygen(keygen::Args),
    /// Measure the transport: calls, bulk, first bytes
    Perf(perf::Args),
}

/// Does what was asked. To be called within a tokio runtime.
///
/// # Errors
/// It came to nothing.
pub async fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Serve(args) => serve::run(args).await,
        Command::Connect(args) => connect::run(args).await,
        Command::Keygen(args) => keygen::run(&args),
        Command::Perf(args) => perf::run(args).await,
    }
}

/// What carries datagrams, and what is written down.
#[derive(Debug, clap::Args)]
struct WireArgs {
    /// What carries datagrams: raw (needs CAP_NET_RAW), socket, or auto: raw where it is allowed
    #[arg(long, default_value = "auto", value_name = "auto|raw|socket")]
    wire: Choice,
    /// Write a qlog file for each connection into this folder
    #[arg(long, env = "ACNP_QLOG", value_name = "DIR", hide_env_values = true)]
    qlog: Option<PathBuf>,
}

/// Which server.
#[derive(Debug, clap::Args)]
struct PeerArgs {
    /// The server's UDP address
    #[arg(long, value_name = "ADDR")]
    peer: SocketAddr,
    /// The server's public key: its text, or the file that `keygen` wrote (F.pub)
    #[arg(long, value_name = "FILE|BASE64")]
    server_key: String,
}

impl WireArgs {
    fn settings(&self) -> Settings {
        Settings { transport: std::sync::Arc::new(transport()), qlog: self.qlog.clone() }
    }
}

impl PeerArgs {
    fn keys(&self) -> Result<ClientKeys, Failure> {
        Ok(ClientKeys::pinned(keys::public_key(&self.server_key)?))
    }
}

/// Silence after which a connection says something, and after which it is given up.
const KEEP_ALIVE: std::time::Duration = std::time::Duration::from_secs(4);
const IDLE: std::time::Duration = std::time::Duration::from_secs(20);

/// Connections of the command stay while nothing is to be sent, and notice when the other side is gone.
fn transport() -> crate::proto::connection::Config {
    crate::proto::connection::Config { keep_alive: Some(KEEP_ALIVE), idle: IDLE, ..Default::default() }
}

/// The server's key from a file, or a fresh one, told on standard error.
fn own_key(file: Option<&std::path::Path>) -> Result<crate::proto::handshake::StaticKey, Failure> {
    if let Some(file) = file {
        return Ok(keys::static_key(file)?);
    }
    let key = crate::proto::handshake::StaticKey::from_private(rand::random());
    eprintln!("no --key: this run's key is {}", keys::public_text(&key.public()));
    Ok(key)
}
