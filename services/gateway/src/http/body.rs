//! Reading a request's body within its bounds of size and time.

use std::time::Duration;

use axum::{
    body::Body,
    http::{HeaderMap, StatusCode, header},
};
use bytes::{Bytes, BytesMut};
use futures::StreamExt;

use super::App;
use crate::error::ApiError;

/// Time within which a body must have come, in milliseconds.
pub(super) const BODY_WITHIN_MS: u64 = 30_000;
/// Bytes of a body that is too large which are still read and thrown away: a client that is cut off while it sends
/// may never see the answer.
pub(super) const BODY_DRAINED_MAX: usize = 16 << 20;

/// The body, if it is not too large and comes in time.
pub(super) async fn read(app: &App, headers: &HeaderMap, body: Body) -> Result<Bytes, ApiError> {
    let most = app.config.body_bytes_max;
    let within = Duration::from_millis(BODY_WITHIN_MS);
    let read = tokio::time::timeout(within, gather(headers, body, most)).await;
    let gathered = read.map_err(|_| too_slow())??;
    gathered.ok_or_else(|| {
        app.bodies_too_large.add(1);
        too_large(most)
    })
}

/// The body, or nothing if it is larger than `most`.
async fn gather(headers: &HeaderMap, body: Body, most: usize) -> Result<Option<Bytes>, ApiError> {
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    let mut kept = BytesMut::with_capacity(announced.unwrap_or(0_usize).min(most));
    let mut length = 0_usize;
    let mut parts = body.into_data_stream();
    while let Some(part) = parts.next().await {
        let part = part.map_err(|error| broken(&error))?;
        length += part.len();
        if length > BODY_DRAINED_MAX.max(most) {
            break;
        }
        if length <= most {
            kept.extend_from_slice(&part);
        }
    }
    Ok((length <= most).then(|| kept.freeze()))
}

fn too_large(most: usize) -> ApiError {
    let message = format!("the request body is larger than {most} bytes, the most that is taken");
    ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", message)
}

fn too_slow() -> ApiError {
    let message = format!("the request body did not come within {BODY_WITHIN_MS} ms");
    ApiError::new(StatusCode::REQUEST_TIMEOUT, "body_too_slow", message)
}

fn broken(error: &axum::Error) -> ApiError {
    ApiError::new(StatusCode::BAD_REQUEST, "body_broken", format!("the request body broke off: {error}"))
}
