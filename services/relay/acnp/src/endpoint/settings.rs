//! What an endpoint is told at its beginning.

use std::{path::PathBuf, sync::Arc, time::Duration};

use crate::proto::{
    connection::Config,
    handshake::{ServerKeys, StaticKey, TokenKey},
    listener::{Retry, ServerConfig},
};

/// Connections that a server keeps at once unless it is told otherwise.
const CONNECTIONS_MAX: usize = 10_000;
/// How far a client's clock may be off for its early data to be taken.
const EARLY_WINDOW: Duration = Duration::from_secs(10);

/// Settings of an endpoint.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Settings of its connections.
    pub transport: Arc<Config>,
    /// The folder into which every connection writes what happens to it, as a qlog file of its own; `None`: nowhere. Costs CPU time.
    pub qlog: Option<PathBuf>,
}

/// A server of these keys, with the usual settings: early data is taken, clients have to show their addresses when there are many.
#[must_use]
pub fn server_config(keys: ServerKeys) -> ServerConfig {
    ServerConfig {
        keys,
        retry: Retry::WhenBusy,
        early: Some(EARLY_WINDOW),
        connections_max: CONNECTIONS_MAX,
        token_key: TokenKey::new(rand::random()),
    }
}

/// [`server_config`] of a server that is known by its key alone.
#[must_use]
pub fn server_of(own: StaticKey) -> ServerConfig {
    server_config(ServerKeys { own, shared: None, client_key_required: false })
}
