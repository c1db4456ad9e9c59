//! The one place that hands out telemetry: logs to standard error. Figures have their own ([`crate::figures`]).

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// Starts logging: `filter` as tracing's directives (`info`, `lowland_events=debug`), JSON lines if asked for.
pub fn init(filter: &str, json: bool) -> Result<(), crate::Error> {
    let filter = EnvFilter::try_new(filter)
        .map_err(|error| crate::Error::Other(format!("LOWLAND_LOG={filter:?}: {error}")))?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    let started = if json { builder.json().try_init() } else { builder.try_init() };
    started.map_err(|error| crate::Error::Other(error.to_string()))
}
