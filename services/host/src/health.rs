//! Health over HTTP: `/healthz` (the process runs), `/readyz` (it does its work, or why not), `/state` (what it knows),
//! `/metrics` (its figures, as Prometheus reads them).

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::IntoResponse,
    routing::get,
};
use tokio_util::sync::CancellationToken;

use crate::{
    Error, Figures,
    figures::Format,
    inspect::{self, Inspection},
};

/// Whether the service does its work. Clones share the answer.
#[derive(Debug, Clone)]
pub struct Health(Arc<Mutex<Option<String>>>);

impl Default for Health {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Some("starting".into()))))
    }
}

impl Health {
    /// It does its work.
    pub fn ready(&self) {
        *self.lock() = None;
    }

    /// It does not, and why.
    pub fn not_ready(&self, why: impl Into<String>) {
        *self.lock() = Some(why.into());
    }

    /// Why it is not ready, if it is not.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Answers health questions on `address` until `stop`.
pub async fn serve(
    address: SocketAddr,
    health: Health,
    inspection: Inspection,
    figures: Figures,
    stop: CancellationToken,
) -> Result<(), Error> {
    let listener = tokio::net::TcpListener::bind(address)
        .await
        .map_err(Error::io(format!("binding the health port {address}")))?;
    let routes = routes(health, inspection, figures);
    tokio::spawn(async move {
        let server = axum::serve(listener, routes).with_graceful_shutdown(stop.cancelled_owned());
        if let Err(error) = server.await {
            tracing::error!(%error, "the health port failed");
        }
    });
    Ok(())
}

/// What the health port answers.
pub fn routes(health: Health, inspection: Inspection, figures: Figures) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(readiness))
        .with_state(health)
        .merge(inspect::routes(inspection))
        .merge(Router::new().route("/metrics", get(metrics)).with_state(figures))
}

async fn metrics(State(figures): State<Figures>, headers: HeaderMap) -> impl IntoResponse {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let format = Format::accepted(accept);
    let written = tokio::task::spawn_blocking(move || figures.exposition(format)).await;
    ([(header::CONTENT_TYPE, format.content_type())], written.unwrap_or_default())
}

async fn readiness(State(health): State<Health>) -> (StatusCode, String) {
    match health.problem() {
        None => (StatusCode::OK, "ready\n".into()),
        Some(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
    }
}
