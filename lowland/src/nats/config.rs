//! nats-server's configuration, written from the permissions. A pure function from [`Server`] to text.

use std::{fmt::Write, net::IpAddr, path::PathBuf};

use lowland_events::id::AccountId;

use super::permissions::{Permissions, Role, tenant};

/// Largest message, in bytes.
pub const PAYLOAD_BYTES_MAX: usize = 8 << 20;
/// Most memory for memory streams (tokens, measurements), in bytes; their own bounds add up to less.
pub const MEMORY_STORE_BYTES_MAX: u64 = 512 << 20;
/// Most bytes that may wait for one slow client before it is cut off.
const PENDING_BYTES_MAX: u64 = 64 << 20;
/// Most clients at once.
const CONNECTIONS_MAX: u32 = 4096;
/// Most subscriptions a client, so that a tenant cannot fill the server's memory with them.
const SUBSCRIPTIONS_MAX: u32 = 10_000;
/// Name of the services' account.
pub const SERVICES_ACCOUNT: &str = "LOWLAND";

/// When what is stored is flushed to disk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Flush {
    /// Before it is acknowledged.
    #[default]
    Always,
    /// Whenever nats-server does by default, every two minutes: a power cut can lose whole streams. For comparisons.
    ByDefault,
}

/// What the configuration says.
#[derive(Debug, Clone)]
pub struct Server {
    /// Address that clients find it at: loopback, unless they are elsewhere.
    pub host: IpAddr,
    /// Port for clients.
    pub port: u16,
    /// Port for health and monitoring, on loopback.
    pub monitor_port: u16,
    /// Folder of JetStream's file store.
    pub store: PathBuf,
    /// Most bytes on disk.
    pub file_store_bytes_max: u64,
    /// When what is stored is flushed.
    pub flush: Flush,
    /// Who connects, beside the tenants.
    pub accounts: Accounts,
}

/// The users of the bus.
#[derive(Debug, Clone, Default)]
pub struct Accounts {
    /// Services, each with its public nkey.
    pub services: Vec<(Role, String)>,
    /// Tenants, each with its password.
    pub tenants: Vec<(AccountId, String)>,
}

impl Server {
    /// The file for `nats-server -c`.
    pub fn render(&self) -> String {
        format!(
            "# Written by Lowland at each start: changes are lost. Holds passwords.\n\
             server_name: lowland\n\
             listen: \"{host}:{port}\"\n\
             http: \"127.0.0.1:{monitor}\"\n\
             max_payload: {PAYLOAD_BYTES_MAX}\n\
             max_pending: {PENDING_BYTES_MAX}\n\
             max_connections: {CONNECTIONS_MAX}\n\
             max_subscriptions: {SUBSCRIPTIONS_MAX}\n\
             # `always`: what is acknowledged has been flushed to disk. The default can lose whole streams in a power cut.\n\
             jetstream {{\n  store_dir: {store}\n  {sync}\n  max_memory_store: {MEMORY_STORE_BYTES_MAX}\n  max_file_store: {file}\n}}\n\
             {accounts}",
            host = self.host,
            port = self.port,
            monitor = self.monitor_port,
            store = quoted(&self.store.display().to_string()),
            file = self.file_store_bytes_max,
            sync = self.flush.render(),
            accounts = self.accounts.render(),
        )
    }
}

impl Flush {
    fn render(self) -> &'static str {
        match self {
            Self::Always => "sync_interval: always",
            Self::ByDefault => "",
        }
    }
}

impl Accounts {
    /// The `accounts` block by itself, for a server that is run by somebody else.
    pub fn render(&self) -> String {
        let mut text =
            format!("accounts {{\n  {SERVICES_ACCOUNT} {{\n    jetstream: enabled\n    users: [\n");
        for (role, key) in &self.services {
            let permissions = role.permissions().render();
            let _ = writeln!(
                text,
                "      # {}\n      {{ nkey: {key}, permissions: {permissions} }}",
                role.user()
            );
        }
        text.push_str("    ]\n    exports: [\n");
        for (account, _) in &self.tenants {
            text.push_str(&exports(account));
        }
        text.push_str("    ]\n  }\n");
        for (account, password) in &self.tenants {
            text.push_str(&tenant_account(account, password));
        }
        text.push_str("}\n");
        text
    }
}

fn account_name(account: &AccountId) -> String {
    format!("tenant_{account}")
}

fn exports(account: &AccountId) -> String {
    let (shared, to) = (tenant::shared(account), quoted(&account_name(account)));
    let requests =
        shared.requests.iter().map(|s| format!("      {{ service: {}, accounts: [{to}] }}\n", quoted(s)));
    let live = shared.live.iter().map(|s| format!("      {{ stream: {}, accounts: [{to}] }}\n", quoted(s)));
    requests.chain(live).collect()
}

fn tenant_account(account: &AccountId, password: &str) -> String {
    let shared = tenant::shared(account);
    let import = |kind: &str, subject: &String| {
        format!("      {{ {kind}: {{ account: {SERVICES_ACCOUNT}, subject: {} }} }}\n", quoted(subject))
    };
    let requests = shared.requests.iter().map(|subject| import("service", subject));
    let imports: String =
        requests.chain(shared.live.iter().map(|subject| import("stream", subject))).collect();
    format!(
        "  {name} {{\n    users: [ {{ user: {user}, password: {password}, permissions: {permissions} }} ]\n    imports: [\n{imports}    ]\n  }}\n",
        name = quoted(&account_name(account)),
        user = quoted(account.as_str()),
        password = quoted(password),
        permissions = tenant::permissions(account).render(),
    )
}

impl Permissions {
    fn render(&self) -> String {
        let list = |subjects: &[String]| subjects.iter().map(|s| quoted(s)).collect::<Vec<_>>().join(", ");
        format!(
            "{{ publish: {{ allow: [{}], deny: [{}] }}, subscribe: {{ allow: [{}] }} }}",
            list(&self.publish),
            list(&self.deny_publish),
            list(&self.subscribe)
        )
    }
}

/// A string of the configuration's language.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
