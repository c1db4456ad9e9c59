//! The tunnel's far end.

use std::{net::SocketAddr, path::PathBuf};

use super::{Failure, WireArgs, own_key};
use crate::{
    endpoint::{Endpoint, server_of},
    tunnel::Server,
};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The UDP address to listen at
    #[arg(long, value_name = "ADDR")]
    listen: SocketAddr,
    /// The TCP service that clients are to reach
    #[arg(long, value_name = "HOST:PORT")]
    to: String,
    /// The server's private key, as `keygen` wrote it; without it, one for this run is made and told
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    #[command(flatten)]
    wire: WireArgs,
}

pub(super) async fn run(args: Args) -> Result<(), Failure> {
    if args.to.rsplit_once(':').is_none_or(|(_, port)| port.parse::<u16>().is_err()) {
        return Err(Failure(format!("--to {}: it takes HOST:PORT, like 127.0.0.1:8080", args.to)));
    }
    let key = own_key(args.key.as_deref())?;
    let endpoint = Endpoint::server(args.wire.wire, args.listen, &args.wire.settings(), server_of(key))
        .map_err(Failure::of(&format!("--listen {}", args.listen)))?;
    eprintln!("listening at {} ({}), to {}", endpoint.local_addr(), endpoint.wire_name(), args.to);
    Server::new(endpoint, args.to).run().await;
    Err(Failure("the wire is broken".to_owned()))
}
