//! Holding rebuilt states to those of running services, at exactly their positions.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use lowland_host::inspect::{ANSWER_WAIT, Seen};
use serde::Serialize;

use super::fold::{Rebuilt, Service};

/// Longest wait for a service's answer: its own, and some for the way.
const ANSWER_WITHIN: Duration = Duration::from_secs(ANSWER_WAIT.as_secs() + 5);

/// A running service's word, and whether the replay agrees.
#[derive(Debug, Serialize)]
pub struct Compared {
    /// The service.
    pub service: &'static str,
    /// What it says of itself.
    pub live: Seen,
    /// The rebuilt state's hash.
    pub replayed: String,
    /// Whether the two are equal.
    pub equal: bool,
}

/// Asks the service whose health port answers at `url` (any path) for its state.
pub async fn ask(service: Service, url: &str) -> Result<Seen> {
    let mut address = reqwest::Url::parse(url).with_context(|| format!("{url:?} is no address"))?;
    address.set_path("/state");
    let answer = reqwest::Client::new().get(address.clone()).timeout(ANSWER_WITHIN).send().await;
    let answer = answer.with_context(|| format!("asking {} at {address}", service.name()))?;
    if !answer.status().is_success() {
        let status = answer.status();
        bail!("{} at {address} says {status}: {}", service.name(), answer.text().await?.trim());
    }
    let seen: Seen = answer.json().await.with_context(|| format!("reading what {address} says"))?;
    if seen.service != service.id() {
        bail!("{address} is {}, not {}", seen.service, service.name());
    }
    if seen.logic_version != service.logic_version() {
        bail!(
            "{} folds by version {} of its logic, this build by version {}: compare with the build that runs",
            service.name(),
            seen.logic_version,
            service.logic_version()
        );
    }
    Ok(seen)
}

/// Compares.
pub fn compare(live: Seen, rebuilt: &Rebuilt) -> Compared {
    let equal = live.hash == rebuilt.hash && live.position == rebuilt.position;
    Compared { service: rebuilt.service, live, replayed: rebuilt.hash.clone(), equal }
}
