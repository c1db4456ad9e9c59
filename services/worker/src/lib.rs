//! The worker: loads models, takes the jobs that are assigned to it, publishes their tokens as they come, and says in the
//! log how each ended.
//!
//! [`publication`] keeps readers' text coherent whatever fails; [`roster`] and [`job`] say what to do about an event; the
//! rest performs it. The engine stands behind one narrow trait, [`engine::Engine`].

pub mod config;
pub mod engine;
pub mod figures;
pub mod job;
pub mod publication;
pub mod roster;

mod attempt;
mod bus;
mod desk;
mod heartbeat;
mod mail;
mod publisher;

use std::sync::Arc;

use lowland_events::{log, stream};
use lowland_host::{Error, Host, Service, Settings, sampler::Sampling};
use tokio::sync::mpsc;

pub use config::{Config, Source};
pub use heartbeat::HEARTBEAT_MS;

use bus::RETRY_WAIT;
use desk::{Desk, Loaded};
use engine::{Engine, echo::EchoEngine, onnx::OnnxEngine};
use mail::Mail;

/// The service.
pub struct Worker;

impl Service for Worker {
    const NAME: &'static str = "worker";
    const BEATS: bool = true;
    // Engines compute on threads of their own.
    const IS_ONE_LOOP: bool = true;
    type Config = Config;

    fn config(settings: &mut Settings) -> Config {
        Config::read(settings)
    }

    async fn serve(host: Host, config: Config) -> Result<(), Error> {
        work(host, config, load).await
    }
}

impl Worker {
    /// Serves with engines that are there already, in place of those that the settings name.
    pub async fn serve_engines(
        host: Host,
        config: Config,
        engines: Vec<Arc<dyn Engine>>,
    ) -> Result<(), Error> {
        work(host, config, |_| at_hand(engines)).await
    }
}

async fn work(
    host: Host,
    config: Config,
    load: impl FnOnce(Config) -> mpsc::Receiver<Loaded>,
) -> Result<(), Error> {
    host.health.not_ready("connecting");
    let stop = host.stop.clone();
    let mail = tokio::select! {
        biased;
        () = stop.cancelled() => return Ok(()),
        mail = begin(&host, &config) => mail?,
    };
    let _beating = Sampling::of(heartbeat::beat(host.clone()));
    host.health.not_ready("loading models");
    let loaded = load(config.clone());
    Desk::new(host, config).serve(mail, loaded).await
}

/// Makes the streams that live in the server's memory, and follows what is addressed to this worker.
async fn begin(host: &Host, config: &Config) -> Result<Mail, Error> {
    loop {
        match prepare(host, config).await {
            Ok(mail) => return Ok(mail),
            Err(error @ log::Error::Clash { .. }) => return Err(error.into()),
            Err(error) => {
                tracing::warn!(%error, "the log is not ready");
                tokio::time::sleep(RETRY_WAIT).await;
            }
        }
    }
}

async fn prepare(host: &Host, config: &Config) -> Result<Mail, log::Error> {
    host.log.ensure(&stream::tokens()).await?;
    host.log.ensure(&stream::metrics()).await?;
    Mail::open(&host.log, &config.worker, host.figures.bound("mail")).await
}

/// Loads one model after the other, on a thread of its own.
fn load(config: Config) -> mpsc::Receiver<Loaded> {
    let (loaded, engines) = mpsc::channel(1);
    tokio::task::spawn_blocking(move || {
        for source in &config.models {
            if loaded.blocking_send(open(source, &config)).is_err() {
                return;
            }
        }
    });
    engines
}

fn at_hand(engines: Vec<Arc<dyn Engine>>) -> mpsc::Receiver<Loaded> {
    let (loaded, receiver) = mpsc::channel(engines.len().max(1));
    for engine in engines {
        loaded.try_send(Ok(engine)).expect("there is room for each");
    }
    receiver
}

fn open(source: &Source, config: &Config) -> Loaded {
    match source {
        Source::Folder(folder) => {
            tracing::info!(folder = %folder.display(), "loading a model");
            let engine: Result<Arc<dyn Engine>, String> =
                OnnxEngine::load(folder, &config.engine).map(|engine| Arc::new(engine) as _);
            engine.map_err(|error| format!("model folder {}: {error}", folder.display()))
        }
        Source::Echo(echo) => Ok(Arc::new(EchoEngine::new(echo.clone()))),
    }
}
