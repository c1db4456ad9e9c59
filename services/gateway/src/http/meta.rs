//! What is about the gateway and not about jobs: models, health, the API's description, and a page for people.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State, rejection::PathRejection},
    http::{HeaderName, HeaderValue, header},
    response::{Html, IntoResponse, Response},
};
use serde_json::Value;

use super::{App, auth::Caller};
use crate::{error::ApiError, openapi};

/// A small page that says what this is and lets people try it.
const PAGE: &str = include_str!("../page.html");
/// The page is self-contained: it loads nothing and talks to nobody but the gateway.
const PAGE_POLICY: (HeaderName, HeaderValue) = (
    header::CONTENT_SECURITY_POLICY,
    HeaderValue::from_static(
        "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; \
         img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
);

pub(super) async fn page() -> Response {
    ([PAGE_POLICY], Html(PAGE)).into_response()
}

pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

pub(super) async fn openapi() -> Json<Value> {
    Json(openapi::document())
}

pub(super) async fn models(State(app): State<Arc<App>>, _: Caller) -> Json<Value> {
    Json(app.models.borrow().list())
}

pub(super) async fn model(
    State(app): State<Arc<App>>,
    _: Caller,
    model: Result<Path<String>, PathRejection>,
) -> Result<Json<Value>, ApiError> {
    let Path(model) = model.map_err(|error| ApiError::no_model(error.body_text()))?;
    let models = app.models.borrow();
    models.one(&model).map(Json).ok_or_else(|| {
        let names: Vec<&str> = models.names().collect();
        let shown: String = model.chars().take(lowland_events::id::ID_BYTES_MAX).collect();
        ApiError::no_model(format!("no model {shown:?} is there now; these are: {}", names.join(", ")))
    })
}
