//! Counts every request by its route and the status of its answer.

use std::sync::Arc;

use axum::{
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::Response,
};

use super::App;

pub(super) async fn count(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().cloned();
    let response = next.run(request).await;
    app.counted.answered(route.as_ref().map(MatchedPath::as_str), response.status().as_u16());
    response
}
