//! The HTTP side: one table of routes, and what every handler shares.

mod auth;
mod body;
mod counting;
mod embed;
mod feed;
mod generate;
mod jobs;
mod meta;
mod session;
pub(crate) mod trace;
mod wish;

use std::sync::Arc;

use axum::{
    Router,
    extract::Request,
    http::{HeaderName, HeaderValue, Method, StatusCode, header},
    middleware,
    response::{IntoResponse, Response},
    routing::{MethodRouter, get, post},
};
use lowland_host::{Host, figures::Counter};
use tokio::sync::watch;
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

use crate::{
    config::Config,
    departure::Departures,
    desk::Desk,
    error::ApiError,
    figures::Counted,
    hub::{Hub, Key},
    keys::Keys,
    limit::Limits,
    models::Models,
};

/// Response header that names the job.
pub const JOB: HeaderName = HeaderName::from_static("x-lowland-job");
/// Request header by which a caller announces that it may come back.
pub const RESUMABLE: HeaderName = HeaderName::from_static("x-lowland-resumable");
/// Request header that makes a repetition the same job.
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Request header that says what a resuming client has.
pub const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// The id that OpenAI's clients show with an error.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Time for which browsers may remember what is allowed, in seconds.
const PREFLIGHT_AGE_SECONDS: u64 = 3600;

/// What every handler shares.
pub struct App {
    pub(crate) config: Config,
    pub(crate) host: Host,
    pub(crate) hub: Hub,
    pub(crate) desk: Desk,
    pub(crate) departures: Departures,
    pub(crate) limits: Limits,
    pub(crate) keys: watch::Receiver<Keys>,
    pub(crate) models: watch::Receiver<Models>,
    pub(crate) counted: Counted,
    pub(crate) bodies_too_large: Counter,
}

/// A method on a path, and who answers it.
pub struct Route {
    /// The method.
    pub method: Method,
    /// The path, with `{name}` for what varies.
    pub path: &'static str,
    answer: MethodRouter<Arc<App>>,
}

/// Every route. The OpenAPI document describes exactly these.
#[must_use]
pub fn table() -> Vec<Route> {
    let gets = |path, answer| Route { method: Method::GET, path, answer };
    let posts = |path, answer| Route { method: Method::POST, path, answer };
    vec![
        gets("/", get(meta::page)),
        gets("/healthz", get(meta::healthz)),
        gets("/openapi.json", get(meta::openapi)),
        gets("/v1/models", get(meta::models)),
        gets("/v1/models/{model}", get(meta::model)),
        posts("/v1/chat/completions", post(generate::chat)),
        posts("/v1/completions", post(generate::completion)),
        posts("/v1/embeddings", post(embed::embeddings)),
        gets("/v1/jobs/{job}", get(jobs::status)),
        gets("/v1/jobs/{job}/stream", get(jobs::stream)),
        posts("/v1/jobs/{job}/cancel", post(jobs::cancel)),
    ]
}

/// The whole HTTP side.
pub fn router(app: Arc<App>) -> Router {
    let cors = cors(&app.config.cors_origins);
    let counting = axum::middleware::from_fn_with_state(app.clone(), counting::count);
    table()
        .into_iter()
        .fold(Router::new(), |router, route| router.route(route.path, route.answer))
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        .layer(middleware::from_fn_with_state(Arc::clone(&app), trace::traced))
        .layer(cors)
        .layer(counting)
        .with_state(app)
}

async fn no_route(request: Request) -> ApiError {
    let message = format!("there is no {} {}; see /openapi.json", request.method(), request.uri().path());
    ApiError::new(StatusCode::NOT_FOUND, "unknown_url", message)
}

async fn no_method(request: Request) -> ApiError {
    let message = format!("{} does not take {}; see /openapi.json", request.uri().path(), request.method());
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message)
}

fn cors(origins: &[String]) -> CorsLayer {
    let origin = if origins.iter().any(|origin| origin == "*") {
        AllowOrigin::any()
    } else {
        AllowOrigin::list(origins.iter().filter_map(|origin| origin.parse::<HeaderValue>().ok()))
    };
    CorsLayer::new()
        .allow_origin(origin)
        .allow_methods([Method::GET, Method::POST])
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers([JOB, REQUEST_ID, trace::TRACERESPONSE, header::RETRY_AFTER])
        .max_age(std::time::Duration::from_secs(PREFLIGHT_AGE_SECONDS))
}

/// The same response, naming the job that it is about.
fn about(key: &Key, answer: impl IntoResponse) -> Response {
    let mut response = answer.into_response();
    if let Ok(value) = HeaderValue::from_str(key.job.as_str()) {
        response.headers_mut().insert(JOB, value.clone());
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response.extensions_mut().insert(trace::Account(key.account.clone()));
    response
}
