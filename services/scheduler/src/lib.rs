//! The scheduler: whether a job is taken, who goes next, where it runs, what becomes of it when its worker is gone, and
//! when it is given up. Every decision is an event in the log, with its reasons.
//!
//! One request's way through this crate: [`incoming`] reads it, [`admission`] makes it a job or says what is wrong,
//! [`queue`] puts it in line, [`placement`] finds it a place, [`liveness`] tells whether that place is still there.
//! [`lifecycle`] is the table that all of it obeys, [`state`] what the log amounts to, [`decide`] what follows from it.
//! All of these are pure; [`desk`] and the shell around it are what touches the log.

pub mod admission;
pub mod config;
pub mod decide;
pub mod desk;
pub mod facts;
pub mod figures;
pub mod incoming;
pub mod key;
pub mod lifecycle;
pub mod liveness;
pub mod placement;
pub mod queue;
pub mod shell;
pub mod state;
pub mod trace;

#[cfg(test)]
mod given;

pub use config::Config;
use lowland_host::{Error, Host, Service, Settings};

/// The scheduler as a service.
pub struct Scheduler;

impl Service for Scheduler {
    const NAME: &'static str = "scheduler";
    const BEATS: bool = true;
    const IS_ONE_LOOP: bool = true;
    type Config = Config;

    fn config(settings: &mut Settings) -> Config {
        Config::read(settings)
    }

    async fn serve(host: Host, config: Config) -> Result<(), Error> {
        let clock = host.clock.clone();
        shell::run(host, config, move || clock.now()).await
    }
}
