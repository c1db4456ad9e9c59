//! Where a running system is, as `lowland up --json` says it, and the ways in.

use std::{collections::BTreeMap, fs, path::PathBuf, process::Command, sync::Arc, time::Duration};

use lowland_events::log::{
    SharedLog,
    jetstream::{Connection, Credentials, JetStreamLog},
};
use serde_json::Value;

use crate::{binary, bounded};

/// Longest time for one command.
const COMMAND_WITHIN: Duration = Duration::from_secs(600);
/// Inboxes of the operator, who may read the whole log.
const OPERATOR_INBOX: &str = "_INBOX_operator";

/// A running system, whoever started it.
#[derive(Debug, Clone, Default)]
pub struct Site {
    up: Value,
}

impl Site {
    /// The system of which `lowland up --json` said `line`.
    #[must_use]
    pub fn of(line: &str) -> Self {
        let up = serde_json::from_str(line);
        Self { up: up.unwrap_or_else(|error| panic!("lowland up said {line:?}: {error}")) }
    }

    /// What it said.
    #[must_use]
    pub fn said(&self, key: &str) -> &str {
        self.up[key].as_str().unwrap_or_else(|| panic!("lowland up says its {key}: {}", self.up))
    }

    /// Its data folder.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.said("data").into()
    }

    /// Process ids as of now, by name; what was started again has a new one, what is dead has none.
    #[must_use]
    pub fn pids(&self) -> BTreeMap<String, libc::pid_t> {
        let text = fs::read(self.data().join("run/up.json")).expect("it is there while the system runs");
        let Ok(up) = serde_json::from_slice::<Value>(&text) else { return BTreeMap::new() };
        let pids = up["pids"].as_object().into_iter().flatten();
        pids.filter_map(|(name, pid)| Some((name.clone(), pid.as_i64()?.try_into().ok()?))).collect()
    }

    /// URL of each process that answers 200 when it does its work.
    #[must_use]
    pub fn health(&self) -> BTreeMap<String, String> {
        let urls = self.up["health"].as_object().into_iter().flatten();
        urls.filter_map(|(name, url)| Some((name.clone(), url.as_str()?.to_owned()))).collect()
    }

    /// Runs the `lowland` command on the system's data folder and gives what it prints.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(binary::path());
        command.arg("--data").arg(self.data()).args(arguments).env_remove("LOWLAND_NATS_URL");
        let outcome = bounded::run(&mut command, COMMAND_WITHIN).expect("lowland can be started");
        assert!(
            outcome.succeeded(),
            "lowland {arguments:?} ended with {:?}:\n{}",
            outcome.status,
            outcome.output
        );
        outcome.output
    }

    /// The operator's secret on the bus.
    #[must_use]
    pub fn operator_seed(&self) -> String {
        let seed = fs::read_to_string(self.data().join("keys/operator.nk"));
        seed.expect("the operator has a key").trim().to_owned()
    }

    /// The log, as the operator reads it.
    pub async fn log(&self) -> SharedLog {
        log_at(self.said("nats_url"), &self.operator_seed()).await
    }
}

/// The log on the bus at `url`, as the operator reads it whose secret is `seed`.
pub async fn log_at(url: &str, seed: &str) -> SharedLog {
    let connection = Connection {
        url: url.to_owned(),
        credentials: Credentials::NkeySeed(seed.trim().to_owned()),
        name: "lowland tests".into(),
        inbox_prefix: Some(OPERATOR_INBOX.into()),
    };
    Arc::new(JetStreamLog::connect(&connection).await.expect("the operator may connect"))
}
