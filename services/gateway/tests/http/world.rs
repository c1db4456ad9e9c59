//! What every test needs: a log, a gateway on a free port, and a client.

use std::{path::PathBuf, sync::Arc, time::Duration};

use lowland_events::{
    log::{Log, SharedLog, memory::MemoryLog},
    stream,
};
use lowland_gateway::{config::Config, keys::Keys, serve_on};
use lowland_host::Host;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

use crate::backend::Backend;

/// Longest wait for anything that must happen.
const PATIENCE: Duration = Duration::from_secs(30);
/// The key of account `acme`.
pub(crate) const KEY: &str = "sk-acme";
/// The key of account `other`.
pub(crate) const OTHER_KEY: &str = "sk-other";

/// Waits for something that must happen.
pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("this was to happen soon")
}

/// A log and a gateway.
pub(crate) struct World {
    pub(crate) log: MemoryLog,
    pub(crate) backend: Backend,
    gateway: Running,
    config: Config,
}

struct Running {
    url: String,
    host: Host,
    task: JoinHandle<()>,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut Config)) -> Self {
        Self::over(change, |log| Arc::new(log)).await
    }

    /// A gateway whose log `wrap` puts something around.
    pub(crate) async fn over(
        change: impl FnOnce(&mut Config),
        wrap: impl FnOnce(MemoryLog) -> SharedLog,
    ) -> Self {
        let log = MemoryLog::new();
        for spec in stream::all() {
            log.ensure(&spec).await.unwrap();
        }
        let mut config = Config::new("127.0.0.1:0".parse().unwrap(), PathBuf::new());
        change(&mut config);
        let backend = Backend::new(Arc::new(log.clone())).await;
        let gateway = Running::start(wrap(log.clone()), config.clone()).await;
        Self { log, backend, gateway, config }
    }

    /// Another gateway takes the place of this one.
    pub(crate) async fn restart_gateway(&mut self) {
        let next = Running::start(Arc::new(self.log.clone()), self.config.clone()).await;
        let before = std::mem::replace(&mut self.gateway, next);
        before.host.stop.cancel();
        soon(before.task).await.unwrap();
    }

    /// Why the gateway is not ready, if it is not.
    pub(crate) fn problem(&self) -> Option<String> {
        self.gateway.host.health.problem()
    }

    /// One of the gateway's counters.
    pub(crate) fn figure(&self, name: &str) -> u64 {
        self.gateway.host.figures.sample(0).counters.get(name).copied().unwrap_or(0)
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.gateway.url)
    }

    pub(crate) fn get(&self, path: &str) -> reqwest::RequestBuilder {
        reqwest::Client::new().get(self.url(path)).bearer_auth(KEY)
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> reqwest::RequestBuilder {
        reqwest::Client::new().post(self.url(path)).bearer_auth(KEY).json(body)
    }

    pub(crate) fn chat(&self, body: &Value) -> reqwest::RequestBuilder {
        self.post("/v1/chat/completions", body)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.gateway.host.stop.cancel();
    }
}

impl Running {
    async fn start(log: SharedLog, config: Config) -> Self {
        let listener = TcpListener::bind(config.listen).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let host = Host::over(log, "gateway");
        let (_, keys) = watch::channel(keys());
        let task = tokio::spawn(serve_on(listener, host.clone(), config, keys));
        soon(async {
            while host.health.problem().is_some() {
                tokio::task::yield_now().await;
            }
        })
        .await;
        Self { url, host, task }
    }
}

fn keys() -> Keys {
    let entry = |(key, account): (&str, &str)| {
        let digest: String = Sha256::digest(key).iter().map(|byte| format!("{byte:02x}")).collect();
        format!("[[key]]\nsha256 = \"{digest}\"\naccount = \"{account}\"\nname = \"test\"\n")
    };
    Keys::parse(&[(KEY, "acme"), (OTHER_KEY, "other")].map(entry).concat()).unwrap()
}

/// A small conversation.
pub(crate) fn ask(more: Value) -> Value {
    let mut body = serde_json::json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}
