//! Two endpoints on each of the wires.

use std::{sync::Arc, time::Duration};

use lowland_acnp::{
    endpoint::{Connection, Endpoint, Settings, server_of},
    proto::{
        connection::Config,
        handshake::{ClientKeys, StaticKey},
    },
    wire::{
        Wire,
        memory::{Network, Path},
    },
};

/// What the wires that are tested are called.
pub(crate) const WIRES: [&str; 4] = ["memory", "lossy", "socket", "raw"];

pub(crate) fn key() -> StaticKey {
    StaticKey::from_private([7; 32])
}

pub(crate) fn keys() -> ClientKeys {
    ClientKeys::pinned(key().public())
}

/// A client's and a server's endpoint, connected by a wire of this name; `None` where the system does not allow it.
pub(crate) fn endpoints(wire: &str, config: Config) -> Option<(Endpoint, Endpoint)> {
    let settings = Settings { transport: Arc::new(config), qlog: None };
    let (client, server) = wires(wire)?;
    Some((Endpoint::on(client, &settings, None), Endpoint::on(server, &settings, Some(server_of(key())))))
}

fn wires(name: &str) -> Option<(Wire, Wire)> {
    let local = "127.0.0.1:0".parse().unwrap();
    let memory = |path| {
        let network = Network::new(path, 1);
        let wire = |address: &str| network.wire(address.parse().unwrap()).unwrap();
        Some((wire("10.0.0.1:1000"), wire("10.0.0.2:2000")))
    };
    let raw = || Wire::raw(local).inspect_err(|error| eprintln!("no raw wire: {error}")).ok();
    match name {
        "memory" => memory(Path { delay: Duration::from_millis(1), ..Path::default() }),
        "lossy" => {
            let delay = Duration::from_millis(5);
            memory(Path { delay, loss: 0.03, reorder: 0.05, held_back: delay, ..Path::default() })
        }
        "socket" => Some((Wire::socket(local).unwrap(), Wire::socket(local).unwrap())),
        "raw" => Some((raw()?, raw()?)),
        other => panic!("no wire {other}"),
    }
}

/// Both ends of a fresh connection; the endpoints live as long as they do.
pub(crate) async fn connected((client, server): &(Endpoint, Endpoint)) -> (Connection, Connection) {
    let keys = keys();
    let (ours, theirs) = tokio::join!(client.connect(server.local_addr(), &keys), server.accept());
    let (ours, theirs) = (ours.unwrap(), theirs.unwrap());
    theirs.established().await.unwrap();
    (ours, theirs)
}

/// Bytes that tell where they belong.
pub(crate) fn content(seed: usize, len: usize) -> Vec<u8> {
    (0..len).map(|at| ((at + seed) * 7 % 251) as u8).collect()
}
