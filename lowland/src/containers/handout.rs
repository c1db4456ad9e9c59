//! Handing out: from the data folder, which holds everything, to one folder a service, which holds what that service
//! needs and nothing else. Each folder is a volume that only its own container sees.

use std::{
    fs, io,
    net::{IpAddr, Ipv4Addr},
    path::Path,
};

use anyhow::{Context, Result};
use lowland_events::id::AccountId;

use crate::{
    folders::{Data, write_secret},
    nats::{
        config::{Flush, Server},
        keys::{self, seed_file},
        permissions::Role,
    },
    supervise::{
        plan::{KEYS_FILE, PRICES_FILE, roles},
        prepare::{MONITOR_PORT, NATS_PORT, accounts, file_store_bytes, write_files},
    },
};

/// Name of the server's folder, and of its configuration in it.
pub const NATS_FOLDER: &str = "nats";
/// nats-server's configuration.
pub const NATS_FILE: &str = "nats.conf";

/// What is to run.
#[derive(Debug, Clone)]
pub struct Deployment {
    /// Workers that may run at once.
    pub workers: usize,
    /// The accounts of tenants.
    pub tenants: Vec<AccountId>,
}

/// Makes what is missing in the data folder, and writes each service's folder below `out`. What people changed in the
/// data folder stays; what they changed below `out` doesn't.
pub fn hand_out(data: &Data, out: &Path, deployment: &Deployment) -> Result<()> {
    let roles = roles(deployment.workers);
    let server = server(data, &roles, &deployment.tenants)?;
    put(out, NATS_FOLDER, NATS_FILE, server.render().as_bytes())?;
    for role in &roles {
        let seed = seed_file(data, role);
        copy(&seed, out, role.service(), &format!("{}.nk", role.user()))?;
    }
    for tenant in &deployment.tenants {
        write_files(data, tenant, &keys::api_key(data, tenant)?)?;
    }
    copy(&data.config(KEYS_FILE), out, Role::Gateway.service(), KEYS_FILE)?;
    copy(&data.config(PRICES_FILE), out, Role::Billing.service(), PRICES_FILE)
}

/// The server, heard by the other containers; monitoring stays inside its own, for the health check.
fn server(data: &Data, roles: &[Role], tenants: &[AccountId]) -> Result<Server> {
    let with_password = |tenant: &AccountId| Ok((tenant.clone(), keys::password(data, tenant)?));
    let tenants: Vec<_> = tenants.iter().map(with_password).collect::<Result<_, keys::Error>>()?;
    Ok(Server {
        host: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        port: NATS_PORT,
        monitor_port: MONITOR_PORT,
        store: data.nats(),
        file_store_bytes_max: file_store_bytes(data)?,
        flush: Flush::Always,
        accounts: accounts(data, roles, &tenants)?,
    })
}

fn copy(from: &Path, out: &Path, folder: &str, name: &str) -> Result<()> {
    let bytes = fs::read(from).with_context(|| from.display().to_string())?;
    put(out, folder, name, &bytes)
}

/// Writes a file, unless it is there with just that content: who watches it sees only true changes.
fn put(out: &Path, folder: &str, name: &str, bytes: &[u8]) -> Result<()> {
    let folder = out.join(folder);
    let path = folder.join(name);
    let written = fs::create_dir_all(&folder).and_then(|()| match fs::read(&path) {
        Ok(there) if there == bytes => Ok(()),
        _ => write_secret(&path, bytes),
    });
    written.map_err(|error: io::Error| anyhow::anyhow!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, path::PathBuf};

    use super::*;

    fn deployment(workers: usize) -> Deployment {
        Deployment { workers, tenants: ["demo", "acme"].map(|id| AccountId::new(id).unwrap()).to_vec() }
    }

    /// Every file below `folder` with its content, by its path from there.
    fn files(folder: &Path) -> BTreeMap<String, String> {
        let mut found = BTreeMap::new();
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
            if path.is_dir() {
                found.extend(
                    files(&path).into_iter().map(|(file, text)| (format!("{}/{file}", name(&path)), text)),
                );
            } else {
                found.insert(name(&path), fs::read_to_string(&path).unwrap());
            }
        }
        found
    }

    #[test]
    fn each_service_is_handed_its_own_key_and_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let data = Data::open(dir.path().join("data")).unwrap();
        let out = dir.path().join("out");
        hand_out(&data, &out, &deployment(2)).unwrap();
        let files = files(&out);
        let names: Vec<&str> = files.keys().map(String::as_str).collect();
        assert_eq!(
            names,
            [
                "billing/billing.nk",
                "billing/prices.toml",
                "gateway/gateway.nk",
                "gateway/keys.toml",
                "nats/nats.conf",
                "scheduler/scheduler.nk",
                "worker/worker-w1.nk",
                "worker/worker-w2.nk",
            ]
        );
        let secret = |path: &Path| fs::read_to_string(path).unwrap();
        let operator = secret(&seed_file(&data, &Role::Operator));
        let api_key = keys::api_key(&data, &AccountId::new("acme").unwrap()).unwrap();
        for (name, text) in &files {
            assert!(!text.contains(&operator), "{name} holds the operator's key");
            assert!(!text.contains(&api_key), "{name} holds an API key, not its digest");
        }
        let seeds = |name: &str| files.values().filter(|text| **text == files[name]).count();
        assert_eq!(seeds("worker/worker-w1.nk"), 1, "no two users share a key");
        assert!(files["nats/nats.conf"].contains("listen: \"0.0.0.0:4222\""));
        assert!(
            files["nats/nats.conf"].contains("tenant_acme")
                && files["nats/nats.conf"].contains("sync_interval: always")
        );
    }

    #[test]
    fn doing_it_again_changes_no_key_and_keeps_what_people_wrote() {
        let dir = tempfile::tempdir().unwrap();
        let data = Data::open(dir.path().join("data")).unwrap();
        let out = dir.path().join("out");
        hand_out(&data, &out, &deployment(1)).unwrap();
        let first = files(&out);
        fs::write(data.config(PRICES_FILE), "# mine\n").unwrap();
        hand_out(&data, &out, &deployment(2)).unwrap();
        let second = files(&out);
        for name in ["scheduler/scheduler.nk", "worker/worker-w1.nk", "gateway/keys.toml"] {
            assert_eq!(first[name], second[name], "{name}");
        }
        assert_eq!(second["billing/prices.toml"], "# mine\n");
        assert!(second.contains_key("worker/worker-w2.nk"), "more workers are added");
    }
}
