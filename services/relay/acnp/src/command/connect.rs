//! The tunnel's near end.

use std::net::SocketAddr;

use tokio::net::TcpListener;

use super::{Failure, PeerArgs, WireArgs};
use crate::{
    endpoint::Endpoint,
    tunnel::{Client, Mode},
};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The TCP address to listen at
    #[arg(long, value_name = "ADDR")]
    listen: SocketAddr,
    #[command(flatten)]
    peer: PeerArgs,
    /// What to be good at: calls, bulk, or each flow by what it does
    #[arg(long, default_value = "auto", value_name = "latency|bandwidth|auto")]
    mode: Mode,
    #[command(flatten)]
    wire: WireArgs,
}

pub(super) async fn run(args: Args) -> Result<(), Failure> {
    let keys = args.peer.keys()?;
    let endpoint = Endpoint::client(args.wire.wire, args.peer.peer, &args.wire.settings())
        .map_err(Failure::of("no UDP port could be had"))?;
    let listener =
        TcpListener::bind(args.listen).await.map_err(Failure::of(&format!("--listen {}", args.listen)))?;
    let at = listener.local_addr().map_err(Failure::of("--listen"))?;
    eprintln!("listening at {at}, to {} ({})", args.peer.peer, endpoint.wire_name());
    Client::new(listener, endpoint, args.peer.peer, keys, args.mode)
        .run()
        .await
        .map_err(Failure::of("--listen"))
}
