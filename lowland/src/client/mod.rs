//! The command as a user of the bus: it posts requests the way any tenant does, and reads the log as the operator.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use lowland_events::log::{
    SharedLog,
    jetstream::{Connection, Credentials, JetStreamLog},
};

use crate::{
    containers::reach,
    folders::Data,
    nats::{keys::seed_file, permissions::Role},
    supervise::state::{self, Up},
};

pub mod chain;
pub mod credit;
pub mod document;
pub mod post;
pub mod replay;
pub mod sse;
pub mod tail;
pub mod top;
pub mod watch;
pub mod when;
pub mod why;

/// What runs on the data folder; an error where nothing does.
pub fn running(data: &Data) -> Result<Up> {
    match (state::supervisor(data), state::read(data)) {
        (Some(_), Some(up)) => Ok(up),
        (Some(_), None) => bail!("it is still starting, on {}", data.root().display()),
        _ => bail!("nothing runs on {}: start it with `lowland up`", data.root().display()),
    }
}

/// What runs on the data folder, else what the environment names (see [`reach`]).
pub fn reachable(data: &Data, env: &BTreeMap<String, String>) -> Result<Up> {
    running(data).or_else(|error| reach::named(data, env)?.ok_or(error))
}

/// The log, as the operator: on the bus that runs here, else on the one that the environment names.
pub async fn operator(data: &Data, env: &BTreeMap<String, String>) -> Result<SharedLog> {
    let url = match (running(data), env.get("LOWLAND_NATS_URL")) {
        (Ok(up), _) => up.nats_url,
        (Err(_), Some(url)) => url.clone(),
        (Err(error), None) => return Err(error),
    };
    operator_at(data, &url).await
}

/// The log at `url`, as the operator whose key is in the data folder.
pub async fn operator_at(data: &Data, url: &str) -> Result<SharedLog> {
    let path = seed_file(data, &Role::Operator);
    let seed =
        std::fs::read_to_string(&path).with_context(|| format!("the operator's key {}", path.display()))?;
    let connection = Connection {
        url: url.to_owned(),
        credentials: Credentials::NkeySeed(seed.trim().to_owned()),
        name: "lowland command".into(),
        inbox_prefix: Some(Role::Operator.inbox_prefix()),
    };
    let log = JetStreamLog::connect(&connection).await.with_context(|| format!("connecting to {url}"))?;
    Ok(std::sync::Arc::new(log))
}
