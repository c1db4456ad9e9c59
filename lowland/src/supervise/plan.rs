//! What runs, and with which settings: from the options, the ports and the paths to one [`Spec`] a process. Pure.

use std::{collections::BTreeMap, ffi::OsString, path::PathBuf};

use lowland_events::id::{AccountId, WorkerId};

use super::{child::Spec, state::Up};
use crate::{
    folders::Data,
    nats::{keys::seed_file, permissions::Role},
};

/// Name of the server's process.
pub const NATS: &str = "nats";
/// The gateway's file of API keys, in the data folder.
pub const KEYS_FILE: &str = "keys.toml";
/// Billing's price book, in the data folder.
pub const PRICES_FILE: &str = "prices.toml";
/// The account that a fresh data folder has.
pub const DEMO_ACCOUNT: &str = "demo";

/// A service process of this run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its role on the bus, which names it.
    pub role: Role,
    /// Port for health.
    pub health_port: u16,
}

/// The bus of this run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bus {
    /// A server of ours.
    Ours {
        /// The program.
        program: PathBuf,
        /// Its configuration.
        config: PathBuf,
        /// Port for clients.
        port: u16,
        /// Port for health.
        monitor_port: u16,
    },
    /// A server that somebody else runs.
    Theirs {
        /// Where it is.
        url: String,
    },
}

/// All that a run is made of.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The data folder.
    pub data: Data,
    /// This program.
    pub program: PathBuf,
    /// The bus.
    pub bus: Bus,
    /// The services, in the order in which they are shown.
    pub members: Vec<Member>,
    /// Port of the gateway.
    pub gateway_port: u16,
    /// What workers need, where there are any.
    pub inference: Option<Inference>,
    /// The tenant whose keys are shown.
    pub tenant: (AccountId, Secrets),
}

/// What workers need.
#[derive(Debug, Clone)]
pub struct Inference {
    /// ONNX Runtime's library; not needed by echoes.
    pub library: Option<PathBuf>,
    /// The folder of model folders.
    pub models: PathBuf,
    /// Models to load (`echo:NAME` is an echo); all there are, if empty.
    pub ids: Vec<String>,
    /// Jobs at once a model and worker; the worker's own default, if absent.
    pub slots: Option<u32>,
}

/// A tenant's secrets.
#[derive(Debug, Clone)]
pub struct Secrets {
    /// Its password on the bus.
    pub password: String,
    /// Its key at the gateway.
    pub api_key: String,
}

/// The roles of a run with so many workers.
pub fn roles(workers: usize) -> Vec<Role> {
    let workers =
        (1..=workers).map(|n| Role::Worker(WorkerId::new(format!("w{n}")).expect("a letter and digits")));
    [Role::Scheduler, Role::Billing].into_iter().chain(workers).chain([Role::Gateway]).collect()
}

impl Bus {
    /// Where clients find it.
    pub fn url(&self) -> String {
        match self {
            Self::Ours { port, .. } => format!("nats://127.0.0.1:{port}"),
            Self::Theirs { url } => url.clone(),
        }
    }
}

impl Plan {
    /// The server's process, where it is ours.
    pub fn server(&self) -> Option<Spec> {
        let Bus::Ours { program, config, monitor_port, .. } = &self.bus else { return None };
        Some(Spec {
            name: NATS.into(),
            program: program.clone(),
            args: vec!["-c".into(), config.into()],
            env: Vec::new(),
            health: format!("http://127.0.0.1:{monitor_port}/healthz"),
            log: self.data.logs().join(format!("{NATS}.log")),
        })
    }

    /// The services' processes.
    pub fn services(&self) -> Vec<Spec> {
        self.members.iter().map(|member| self.service(member)).collect()
    }

    fn service(&self, member: &Member) -> Spec {
        let name = member.role.user();
        let verb = member.role.service();
        Spec {
            program: self.program.clone(),
            args: ["serve".into(), verb.into(), "--data".into(), self.data.root().into()].into(),
            env: self.bus_env(member).into_iter().chain(self.own_env(&member.role)).collect(),
            health: format!("http://127.0.0.1:{}/readyz", member.health_port),
            log: self.data.logs().join(format!("{name}.log")),
            name,
        }
    }

    fn bus_env(&self, member: &Member) -> Vec<(String, OsString)> {
        vec![
            ("LOWLAND_NATS_URL".into(), self.bus.url().into()),
            ("LOWLAND_NKEY_SEED_FILE".into(), seed_file(&self.data, &member.role).into()),
            ("LOWLAND_INBOX_PREFIX".into(), member.role.inbox_prefix().into()),
            ("LOWLAND_HEALTH_ADDR".into(), format!("127.0.0.1:{}", member.health_port).into()),
        ]
    }

    fn own_env(&self, role: &Role) -> Vec<(String, OsString)> {
        match role {
            Role::Worker(id) => self.worker_env(id),
            Role::Gateway => vec![
                ("LOWLAND_LISTEN".into(), format!("127.0.0.1:{}", self.gateway_port).into()),
                ("LOWLAND_KEYS".into(), self.data.config(KEYS_FILE).into()),
            ],
            Role::Billing => vec![("LOWLAND_PRICES".into(), self.data.config(PRICES_FILE).into())],
            Role::Scheduler | Role::Operator => Vec::new(),
        }
    }

    fn worker_env(&self, id: &WorkerId) -> Vec<(String, OsString)> {
        let mut env = vec![("LOWLAND_WORKER_ID".into(), id.as_str().into())];
        if let Some(inference) = &self.inference {
            if let Some(library) = &inference.library {
                env.push(("ORT_DYLIB_PATH".into(), library.into()));
            }
            env.push(("LOWLAND_MODELS".into(), inference.models.clone().into()));
            if !inference.ids.is_empty() {
                env.push(("LOWLAND_WORKER_MODELS".into(), inference.ids.join(",").into()));
            }
            if let Some(slots) = inference.slots {
                env.push(("LOWLAND_SLOTS".into(), slots.to_string().into()));
            }
        }
        env
    }

    /// What others are told, once every process has an id.
    pub fn up(&self, pids: BTreeMap<String, u32>) -> Up {
        let specs = self.server().into_iter().chain(self.services());
        let has_gateway = self.members.iter().any(|member| member.role == Role::Gateway);
        let (account, secrets) = &self.tenant;
        Up {
            gateway_url: has_gateway.then(|| format!("http://127.0.0.1:{}", self.gateway_port)),
            nats_url: self.bus.url(),
            nats_user: account.to_string(),
            nats_password: secrets.password.clone(),
            api_key: secrets.api_key.clone(),
            health: specs.map(|spec| (spec.name, spec.health)).collect(),
            pids,
            supervisor: std::process::id(),
            data: self.data.root().to_owned(),
        }
    }
}
