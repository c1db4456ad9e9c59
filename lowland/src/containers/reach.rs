//! Where a system is that nobody supervises from here: the environment says it, for the commands that otherwise ask the
//! supervisor's `up.json`.

use std::{collections::BTreeMap, path::PathBuf};

use anyhow::{Context, Result, bail};
use lowland_events::id::AccountId;

use crate::{
    folders::Data,
    nats::keys,
    supervise::{plan::DEMO_ACCOUNT, state::Up},
};

/// The bus.
pub const NATS_URL: &str = "LOWLAND_NATS_URL";
/// The gateway.
pub const GATEWAY_URL: &str = "LOWLAND_GATEWAY_URL";
/// Each service's page of readiness: `scheduler=http://scheduler:9180/readyz`, separated by commas.
pub const HEALTH_URLS: &str = "LOWLAND_HEALTH_URLS";
/// The tenant whose keys are used, if another than the demo account.
pub const ACCOUNT: &str = "LOWLAND_ACCOUNT";

/// The system that the environment names; none where it names no bus.
pub fn named(data: &Data, env: &BTreeMap<String, String>) -> Result<Option<Up>> {
    let setting = |name: &str| env.get(name).filter(|value| !value.is_empty()).cloned();
    let Some(nats_url) = setting(NATS_URL) else { return Ok(None) };
    let account = AccountId::new(setting(ACCOUNT).unwrap_or_else(|| DEMO_ACCOUNT.into())).context(ACCOUNT)?;
    Ok(Some(Up {
        gateway_url: setting(GATEWAY_URL),
        nats_url,
        nats_password: keys::password_kept(data, &account)?,
        api_key: keys::api_key_kept(data, &account)?,
        nats_user: account.to_string(),
        health: health(&setting(HEALTH_URLS).unwrap_or_default())?,
        pids: BTreeMap::new(),
        supervisor: 0,
        data: PathBuf::from(data.root()),
    }))
}

fn health(text: &str) -> Result<BTreeMap<String, String>> {
    let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
    entries
        .map(|entry| match entry.split_once('=') {
            Some((name, url)) if url.starts_with("http") => Ok((name.to_owned(), url.to_owned())),
            _ => bail!(
                "{HEALTH_URLS}: {entry:?} is to be NAME=URL, such as billing=http://billing:9180/readyz"
            ),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn the_environment_stands_in_for_a_supervisor() {
        let dir = tempfile::tempdir().unwrap();
        let data = Data::open(dir.path()).unwrap();
        assert!(named(&data, &env(&[])).unwrap().is_none());
        let acme = AccountId::new("acme").unwrap();
        let api_key = keys::api_key(&data, &acme).unwrap();
        keys::password(&data, &acme).unwrap();
        let all = env(&[
            (NATS_URL, "nats://nats:4222"),
            (GATEWAY_URL, "http://gateway:8080"),
            (ACCOUNT, "acme"),
            (HEALTH_URLS, "billing=http://billing:9180/readyz, gateway=http://gateway:9180/readyz"),
        ]);
        let up = named(&data, &all).unwrap().unwrap();
        assert_eq!((up.api_key, up.nats_user.as_str()), (api_key, "acme"));
        assert_eq!(up.health["gateway"], "http://gateway:9180/readyz");
    }

    #[test]
    fn what_is_wrong_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let data = Data::open(dir.path()).unwrap();
        let unknown = env(&[(NATS_URL, "nats://nats:4222"), (ACCOUNT, "nobody")]);
        let error = named(&data, &unknown).unwrap_err().to_string();
        assert!(error.contains("nobody"), "{error}");
        assert!(health("billing").unwrap_err().to_string().contains("NAME=URL"));
    }
}
