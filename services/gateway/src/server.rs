//! The listening socket and its connections: how many, how long a head may take, and how they end.
//!
//! HTTP/1.1 only, in clear: whoever wants TLS or HTTP/2 puts a proxy in front.

use std::{sync::Arc, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use lowland_host::figures::Counter;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_util::sync::CancellationToken;

use crate::stall::Stalling;

/// Most connections at once; further ones wait to be accepted.
pub const CONNECTIONS_MAX: usize = 4096;
/// Time for a request's head, and for a connection to stay idle, in milliseconds.
pub const HEAD_WITHIN_MS: u64 = 30_000;
/// Largest head of a request, in bytes.
pub const HEAD_BYTES_MAX: usize = 64 << 10;
/// Time for which a client may take nothing of what is sent, in milliseconds.
pub const STALL_MS_MAX: u64 = 60_000;
/// Time that requests have for ending by themselves when the gateway stops, in milliseconds.
pub const DRAIN_MS: u64 = 3_000;
/// Pause after accepting failed (no file descriptors left), in milliseconds.
const ACCEPT_AGAIN_MS: u64 = 50;

/// Serves `router` on `listener` until `stop`, then lets requests end for [`DRAIN_MS`]. Counts in `full` how often a
/// connection has to wait for another to end.
pub async fn serve(listener: TcpListener, router: Router, full: Counter, stop: CancellationToken) {
    let connections = Connections {
        router,
        full,
        graceful: GracefulShutdown::new(),
        places: Arc::new(Semaphore::new(CONNECTIONS_MAX)),
        cut: CancellationToken::new(),
    };
    tokio::select! {
        () = connections.accept(&listener) => {}
        () = stop.cancelled() => {}
    }
    drop(listener);
    let cut = connections.cut.clone();
    tokio::select! {
        () = connections.graceful.shutdown() => {}
        () = tokio::time::sleep(Duration::from_millis(DRAIN_MS)) => tracing::info!("cutting what is still open"),
    }
    cut.cancel();
}

struct Connections {
    router: Router,
    full: Counter,
    graceful: GracefulShutdown,
    places: Arc<Semaphore>,
    cut: CancellationToken,
}

impl Connections {
    async fn accept(&self, listener: &TcpListener) {
        loop {
            if self.places.available_permits() == 0 {
                self.full.add(1);
            }
            let place = self.places.clone().acquire_owned().await.expect("the semaphore is never closed");
            match listener.accept().await {
                Ok((stream, _)) => self.open(stream, place),
                Err(error) => {
                    tracing::warn!(%error, "accepting a connection failed");
                    tokio::time::sleep(Duration::from_millis(ACCEPT_AGAIN_MS)).await;
                }
            }
        }
    }

    fn open(&self, stream: TcpStream, place: tokio::sync::OwnedSemaphorePermit) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "small pieces may wait for each other");
        }
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(Duration::from_millis(HEAD_WITHIN_MS))
            .max_buf_size(HEAD_BYTES_MAX)
            .serve_connection(
                TokioIo::new(Stalling::new(stream, Duration::from_millis(STALL_MS_MAX))),
                TowerToHyperService::new(self.router.clone()),
            );
        let connection = self.graceful.watch(connection);
        let cut = self.cut.clone();
        tokio::spawn(async move {
            tokio::select! {
                ended = connection => {
                    if let Err(error) = ended {
                        tracing::debug!(%error, "a connection broke");
                    }
                }
                () = cut.cancelled() => {}
            }
            drop(place);
        });
    }
}
