//! Stopping: SIGTERM and Ctrl-C become one token that every task watches.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::Error;

/// A token that is cancelled by SIGTERM or SIGINT.
pub fn stop_token() -> Result<CancellationToken, Error> {
    let token = CancellationToken::new();
    let mut terminate = signal(SignalKind::terminate()).map_err(Error::io("listening for SIGTERM"))?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Error::io("listening for SIGINT"))?;
    let stop = token.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping");
        stop.cancel();
    });
    Ok(token)
}
