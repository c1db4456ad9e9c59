//! `lowland health`: one question to one service, for health checks in images that have no HTTP client.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    process::ExitCode,
};

use anyhow::{Context as _, Result, bail};

use super::{Context, block_on};
use crate::supervise::health;

/// Where a service answers for its health.
const HEALTH_ADDR: &str = "LOWLAND_HEALTH_ADDR";

/// Ask a service whether it is ready; the exit status is 0 if it is, else 1
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  lowland health                                    the service that LOWLAND_HEALTH_ADDR belongs to
  lowland health http://127.0.0.1:9180/readyz       any page that answers 200 when all is well")]
pub struct Args {
    /// The page [default: /readyz at $LOWLAND_HEALTH_ADDR]
    url: Option<String>,
}

pub(super) fn run(context: &Context, args: Args) -> Result<ExitCode> {
    let url = args.url.map_or_else(|| own(&context.env), Ok)?;
    block_on(async {
        let client = reqwest::Client::new();
        if health::is_ready(&client, &url).await {
            println!("ready");
            return Ok(ExitCode::SUCCESS);
        }
        let why = health::problem(&client, &url).await.unwrap_or_else(|| "no answer".into());
        eprintln!("{url}: {}", why.trim());
        Ok(ExitCode::FAILURE)
    })
}

/// The page of the service whose settings these are. One that hears on every address is asked on loopback.
fn own(env: &BTreeMap<String, String>) -> Result<String> {
    let Some(text) = env.get(HEALTH_ADDR).filter(|text| !text.is_empty()) else {
        bail!("say which page: lowland health http://127.0.0.1:9180/readyz, or set {HEALTH_ADDR}");
    };
    let mut address: SocketAddr = text.parse().with_context(|| format!("{HEALTH_ADDR}={text:?}"))?;
    if address.ip().is_unspecified() {
        address.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    Ok(format!("http://{address}/readyz"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_follows_from_the_address() {
        let url = |text: &str| own(&BTreeMap::from([(HEALTH_ADDR.to_owned(), text.to_owned())]));
        assert_eq!(url("0.0.0.0:9180").unwrap(), "http://127.0.0.1:9180/readyz");
        assert_eq!(url("10.0.0.7:1").unwrap(), "http://10.0.0.7:1/readyz");
        assert!(url("9180").is_err() && url("").is_err());
    }
}
