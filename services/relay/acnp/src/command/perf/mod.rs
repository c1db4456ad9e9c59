//! Measurements of the transport: each prints one line of JSON.

mod bulk;
mod cold;
mod content;
mod latency;
mod request;
mod rpc;

use std::{net::SocketAddr, path::PathBuf};

use clap::Subcommand;

use super::{Failure, PeerArgs, WireArgs, own_key};
use crate::endpoint::{Endpoint, server_of};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    end: End,
}

#[derive(Debug, Subcommand)]
enum End {
    /// Answer clients
    Server(ServerArgs),
    /// Ask a server, and print one line of JSON
    Client(ClientArgs),
}

#[derive(Debug, clap::Args)]
struct ServerArgs {
    /// The UDP address to listen at
    #[arg(long, value_name = "ADDR")]
    listen: SocketAddr,
    /// The server's private key; without it, one for this run is made and told
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    #[command(flatten)]
    wire: WireArgs,
}

#[derive(Debug, clap::Args)]
struct ClientArgs {
    #[command(flatten)]
    peer: PeerArgs,
    #[command(flatten)]
    wire: WireArgs,
    #[command(subcommand)]
    run: Run,
}

#[derive(Debug, Subcommand)]
enum Run {
    /// Calls on a warm connection, at fixed times whether earlier ones are answered or not
    Rpc(rpc::Args),
    /// A download
    Bulk(bulk::Args),
    /// Fresh connections, each until the first byte of an answer
    Cold(cold::Args),
}

pub(super) async fn run(args: Args) -> Result<(), Failure> {
    match args.end {
        End::Server(args) => serve(args).await,
        End::Client(args) => ask(args).await,
    }
}

async fn serve(args: ServerArgs) -> Result<(), Failure> {
    let key = own_key(args.key.as_deref())?;
    let endpoint = Endpoint::server(args.wire.wire, args.listen, &args.wire.settings(), server_of(key))
        .map_err(Failure::of(&format!("--listen {}", args.listen)))?;
    eprintln!("listening at {} ({})", endpoint.local_addr(), endpoint.wire_name());
    while let Some(connection) = endpoint.accept().await {
        tokio::spawn(request::serve(connection));
    }
    Err(Failure("the wire is broken".to_owned()))
}

async fn ask(args: ClientArgs) -> Result<(), Failure> {
    let keys = args.peer.keys()?;
    let endpoint = Endpoint::client(args.wire.wire, args.peer.peer, &args.wire.settings())
        .map_err(Failure::of("no UDP port could be had"))?;
    let target = Target { endpoint, peer: args.peer.peer, keys };
    let line = match args.run {
        Run::Rpc(args) => rpc::run(&target, &args).await?,
        Run::Bulk(args) => bulk::run(&target, &args).await?,
        Run::Cold(args) => cold::run(&target, &args).await?,
    };
    println!("{line}");
    Ok(())
}

/// Whom a measurement asks.
struct Target {
    endpoint: Endpoint,
    peer: SocketAddr,
    keys: crate::proto::handshake::ClientKeys,
}

impl Target {
    async fn connect(&self) -> Result<crate::endpoint::Connection, Failure> {
        self.endpoint
            .connect(self.peer, &self.keys)
            .await
            .map_err(|error| Failure(format!("no connection to {}: {error}", self.peer)))
    }
}
