//! Everything that has to be there before the first process is started: space, programs, keys, configuration.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr},
    path::Path,
};

use anyhow::{Context, Result, bail};
use lowland_events::id::AccountId;

use super::{
    plan::{Bus, DEMO_ACCOUNT, Inference, KEYS_FILE, Member, PRICES_FILE, Plan, Secrets, roles},
    ports::{Chosen, Ports},
    stale,
};
use crate::{
    artifacts::{fetch::Fetcher, pins::PINS, unpack::sha256_hex},
    folders::{self, Data, write_secret},
    models::{install, store::Store},
    nats::{
        config::{Accounts, Flush, Server},
        keys,
        permissions::Role,
    },
};

/// Space that must be free for the data folder before anything is started, in bytes.
pub const DATA_FREE_BYTES_MIN: u64 = 512 << 20;
/// Most that JetStream keeps on disk, in bytes.
const FILE_STORE_BYTES_MAX: u64 = 64 << 30;
/// What JetStream leaves free: it refuses appends while there is still room to say so, in bytes.
const DISK_RESERVE_BYTES: u64 = 256 << 20;
/// A model that begins so is an echo of what it is told, for trying everything around a model.
const ECHO: &str = "echo:";
/// Where the gateway listens if that is free.
pub const GATEWAY_PORT: u16 = 8080;
/// Where the bus listens if that is free.
pub const NATS_PORT: u16 = 4222;
/// Where the bus answers for its health, where it has an address to itself.
pub const MONITOR_PORT: u16 = 8222;

/// What `lowland up` was asked for.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The gateway's port, if another than [`GATEWAY_PORT`] is wanted.
    pub port: Option<u16>,
    /// The bus's port, if another than [`NATS_PORT`] is wanted.
    pub nats_port: Option<u16>,
    /// A server that somebody else runs.
    pub nats_url: Option<String>,
    /// Worker processes.
    pub workers: usize,
    /// Models to serve; the default ones, if empty.
    pub models: Vec<String>,
    /// Jobs at once a model and worker; the worker's own default, if absent.
    pub slots: Option<u32>,
    /// When our own server flushes what it stores.
    pub flush: Flush,
}

/// Brings in what is missing, writes keys and configuration, and says how to start. Needs the run lock.
pub fn prepare(data: &Data, options: &Options, fetcher: &Fetcher, say: &dyn Fn(String)) -> Result<Plan> {
    clear_stale(data, say);
    check_space(data)?;
    let roles = roles(options.workers);
    let tenant: AccountId = AccountId::new(DEMO_ACCOUNT)?;
    let secrets =
        Secrets { password: keys::password(data, &tenant)?, api_key: keys::api_key(data, &tenant)? };
    let accounts = accounts(data, &roles, &[(tenant.clone(), secrets.password.clone())])?;
    write_files(data, &tenant, &secrets.api_key)?;
    let mut ports = Ports::default();
    let bus = bus(data, options, fetcher, accounts, &mut ports, say)?;
    let inference = inference(options, fetcher)?;
    let gateway = choose("the gateway", options.port, GATEWAY_PORT, &mut ports, say)?;
    Ok(Plan {
        data: data.clone(),
        program: std::env::current_exe().context("finding this program's own file")?,
        bus,
        members: members(roles, &mut ports)?,
        gateway_port: gateway,
        inference,
        tenant: (tenant, secrets),
    })
}

/// What workers need; nothing, when there are none.
fn inference(options: &Options, fetcher: &Fetcher) -> Result<Option<Inference>> {
    if options.workers == 0 {
        return Ok(None);
    }
    let store = install::store(fetcher);
    let (echoes, models): (Vec<&String>, Vec<&String>) =
        options.models.iter().partition(|model| model.starts_with(ECHO));
    let library = if models.is_empty() && !echoes.is_empty() {
        None
    } else {
        install_models(&models, fetcher, &store)?;
        let pinned = PINS.artifact("onnxruntime").context("artifacts.toml pins no onnxruntime")?;
        Some(fetcher.ensure(pinned)?.path)
    };
    Ok(Some(Inference {
        library,
        models: store.root().to_owned(),
        ids: options.models.clone(),
        slots: options.slots,
    }))
}

/// The default models of those that are wanted (all, if none is named); the others have to be there.
fn install_models(wanted: &[&String], fetcher: &Fetcher, store: &Store) -> Result<()> {
    install::ensure_defaults(fetcher, |id| wanted.is_empty() || wanted.iter().any(|named| *named == id))?;
    match wanted.iter().find(|id| !store.holds(id)) {
        Some(id) => bail!("there is no model {id:?} in {}: see `lowland model list`", store.root().display()),
        None => Ok(()),
    }
}

/// The services' own files, where they are missing; what people have changed in them stays.
pub fn write_files(data: &Data, tenant: &AccountId, api_key: &str) -> Result<()> {
    let prices = data.config(PRICES_FILE);
    if !prices.exists() {
        fs::write(&prices, lowland_billing::prices::SAMPLE).with_context(|| prices.display().to_string())?;
    }
    let keys = data.config(KEYS_FILE);
    let known = fs::read_to_string(&keys).unwrap_or_default();
    let digest = sha256_hex(api_key.as_bytes());
    if !known.contains(&digest) {
        let entry = format!(
            "{known}[[key]]\nsha256 = \"{digest}\"\naccount = \"{tenant}\"\nname = \"made by lowland up\"\n"
        );
        write_secret(&keys, entry.as_bytes())?;
    }
    Ok(())
}

fn clear_stale(data: &Data, say: &dyn Fn(String)) {
    let Some(left) = stale::clear(data) else { return };
    let left = if left.is_empty() {
        "nothing was left running".into()
    } else {
        format!("ended {}", left.join(", "))
    };
    say(format!("the last run was cut off; {left}"));
}

/// Refuses to start on a disk that is about to be full.
pub fn check_space(data: &Data) -> Result<()> {
    let free = folders::free_bytes(data.root()).context("asking for the free space")?;
    if free < DATA_FREE_BYTES_MIN {
        bail!(
            "{} MiB are free for {}, at least {} MiB are needed: make room, or give a data folder on another disk with --data",
            free >> 20,
            data.root().display(),
            DATA_FREE_BYTES_MIN >> 20
        );
    }
    Ok(())
}

/// The users of the bus, with keys made where they are missing.
pub fn accounts(data: &Data, roles: &[Role], tenants: &[(AccountId, String)]) -> Result<Accounts> {
    let with_key = |role: &Role| Ok((role.clone(), keys::public_key(data, role)?));
    let services =
        [&Role::Operator].into_iter().chain(roles).map(with_key).collect::<Result<_, keys::Error>>()?;
    Ok(Accounts { services, tenants: tenants.to_vec() })
}

fn bus(
    data: &Data,
    options: &Options,
    fetcher: &Fetcher,
    accounts: Accounts,
    ports: &mut Ports,
    say: &dyn Fn(String),
) -> Result<Bus> {
    if let Some(url) = &options.nats_url {
        return Ok(Bus::Theirs { url: url.clone() });
    }
    let pinned = PINS.artifact("nats-server").context("artifacts.toml pins no nats-server")?;
    let program = fetcher.ensure(pinned)?.path;
    let port = choose("the bus", options.nats_port, NATS_PORT, ports, say)?;
    let monitor_port = ports.any()?;
    let config = data.run().join("nats.conf");
    let server = Server {
        host: IpAddr::V4(Ipv4Addr::LOCALHOST),
        port,
        monitor_port,
        store: data.nats(),
        file_store_bytes_max: file_store_bytes(data)?,
        flush: options.flush,
        accounts,
    };
    write_secret(&config, server.render().as_bytes())?;
    Ok(Bus::Ours { program, config, port, monitor_port })
}

/// Never more than there is room for: refusing an append loses nothing, a failed write would.
pub fn file_store_bytes(data: &Data) -> Result<u64> {
    let room = folders::free_bytes(data.root())?.saturating_sub(DISK_RESERVE_BYTES);
    Ok((bytes_in(&data.nats()) + room).min(FILE_STORE_BYTES_MAX))
}

/// Size of all files below `dir`.
pub fn bytes_in(dir: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(dir) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(meta) if meta.is_dir() => bytes_in(&entry.path()),
            Ok(meta) => meta.len(),
            Err(_) => 0,
        })
        .sum()
}

/// A port that was asked for must be free; a default one may move, which is said.
fn choose(
    what: &str,
    asked: Option<u16>,
    preferred: u16,
    ports: &mut Ports,
    say: &dyn Fn(String),
) -> Result<u16> {
    let Chosen { port, moved } = ports.choose(asked.unwrap_or(preferred))?;
    match asked {
        Some(asked) if moved => bail!("port {asked} for {what} is taken"),
        None if moved => say(format!("port {preferred} is taken: {what} is on {port}")),
        _ => {}
    }
    Ok(port)
}

fn members(roles: Vec<Role>, ports: &mut Ports) -> Result<Vec<Member>> {
    roles.into_iter().map(|role| Ok(Member { role, health_port: ports.any()? })).collect()
}
