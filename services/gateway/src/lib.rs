//! The gateway: an OpenAI-compatible HTTP API in front of the event log.
//!
//! A request is translated ([`translate`]), posted to the requests stream ([`desk`]), and answered from the events that
//! follow: [`hub`] reads jobs and tokens once for the whole process and hands them to whoever waits, [`watch`] is one
//! request's view of its job, [`assemble`] makes each token of it arrive once and in order, [`render`] writes OpenAI's
//! JSON. It asks no service anything, and keeps nothing: whatever it answers it can answer again after a restart.

pub mod assemble;
pub mod config;
pub mod departure;
pub mod desk;
pub mod error;
pub mod figures;
pub mod follow;
pub mod history;
pub mod http;
pub mod hub;
pub mod keys;
pub mod keys_file;
pub mod limit;
pub mod mailbox;
pub mod models;
pub mod openapi;
pub mod outcome;
pub mod position;
pub mod render;
pub mod server;
pub mod stall;
pub mod status;
pub mod translate;
pub mod update;
pub mod watch;

use std::{sync::Arc, time::Duration};

use lowland_host::{Error, Host, Service, Settings};
use tokio::{net::TcpListener, sync::watch as channel};

use crate::{
    config::Config, departure::Departures, desk::Desk, figures::Counted, http::App, hub::Hub, keys::Keys,
    limit::Limits, models::Models,
};

/// Pause before opening the log is tried again at start, in milliseconds.
const OPEN_AGAIN_MS: u64 = 500;

/// The gateway, as `lowland serve gateway`.
pub struct Gateway;

impl Service for Gateway {
    const NAME: &'static str = "gateway";
    type Config = Config;

    fn config(settings: &mut Settings) -> Config {
        Config::read(settings)
    }

    async fn serve(host: Host, config: Config) -> Result<(), Error> {
        let keys = keys_file::watch(&host, &config.keys)?;
        let listener = TcpListener::bind(config.listen)
            .await
            .map_err(Error::io(format!("binding LOWLAND_LISTEN={}", config.listen)))?;
        serve_on(listener, host, config, keys).await;
        Ok(())
    }
}

/// Serves on a socket that listens already, until `host.stop`.
pub async fn serve_on(listener: TcpListener, host: Host, config: Config, keys: channel::Receiver<Keys>) {
    let hub = Hub::new(&host.figures);
    let Some(models) = open(&host, &hub).await else { return };
    match listener.local_addr() {
        Ok(address) => tracing::info!(%address, "listening"),
        Err(error) => tracing::warn!(%error, "listening, but where is not known"),
    }
    host.health.ready();
    let (stop, full) = (host.stop.clone(), host.figures.bound("connections"));
    server::serve(listener, http::router(Arc::new(app(host, config, hub, keys, models))), full, stop).await;
}

fn app(
    host: Host,
    config: Config,
    hub: Hub,
    keys: channel::Receiver<Keys>,
    models: channel::Receiver<Models>,
) -> App {
    let desk = Desk::new(&host, config.post_within);
    let departures = Departures::new(hub.clone(), desk.clone(), host.clone(), config.resume_grace);
    let limits = Limits::new(config.requests_max, config.account_requests_max, &host.figures);
    let (counted, bodies_too_large) = (Counted::new(&host.figures), host.figures.bound("body_bytes"));
    App { config, host, hub, desk, departures, limits, keys, models, counted, bodies_too_large }
}

/// Opens everything that is read from the log, as often as it takes; nothing when the service is to stop.
async fn open(host: &Host, hub: &Hub) -> Option<channel::Receiver<Models>> {
    loop {
        match follow::start(host, hub).await {
            Ok(models) => return Some(models),
            Err(error) => {
                tracing::warn!(%error, "the log can't be read yet");
                host.health.not_ready(format!("opening the log: {error}"));
            }
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(OPEN_AGAIN_MS)) => {}
            () = host.stop.cancelled() => return None,
        }
    }
}
