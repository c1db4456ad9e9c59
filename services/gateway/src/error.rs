//! What goes back when a request can't be served: OpenAI's error object, and the status that makes clients do what is
//! right.
//!
//! Statuses are chosen by what the official clients do with them. They repeat 408, 409, 429 and 5xx by themselves, so:
//! an empty balance is 402 and not OpenAI's own 429 `insufficient_quota` (waiting doesn't fill it); a key used again
//! for another body is 422 and not 409; a cancelled job is 410. Where a status that clients repeat must stand although a
//! repetition would only cost money again (504), `x-should-retry: false` says so, which those clients obey.

use axum::{
    Json,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

/// Header by which the official OpenAI clients are told whether to repeat a request.
pub const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

/// A request that can't be served.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    /// The HTTP status.
    pub status: StatusCode,
    /// A stable word for programs.
    pub code: &'static str,
    /// For people: what is wrong and what would be right.
    pub message: String,
    /// The parameter that is wrong, as the caller named it.
    pub param: Option<String>,
    /// What the client should do about it.
    pub retry: Retry,
}

/// What a client should do after an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// What clients do with such a status.
    AsUsual,
    /// Repeat after so many seconds.
    After(u32),
    /// Not repeat, though the status suggests it.
    Never,
}

impl ApiError {
    /// An error that clients treat as its status says.
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), param: None, retry: Retry::AsUsual }
    }

    /// 400: `param` is wrong.
    pub fn parameter(code: &'static str, param: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message).at(param)
    }

    /// 401: no key, or one that isn't known.
    pub fn unauthorized(message: &str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "invalid_api_key", message)
    }

    /// 404: the caller's account has no such job.
    pub fn no_job(job: &str) -> Self {
        let shown: String = job.chars().take(lowland_events::id::ID_BYTES_MAX).collect();
        Self::new(StatusCode::NOT_FOUND, "job_not_found", format!("your account has no job {shown:?}"))
    }

    /// 404: no worker offers the model.
    pub fn no_model(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "model_not_found", message).at("model")
    }

    /// 503: the log can't be reached, so nothing can be asked of anyone.
    pub fn log_unavailable(detail: &str) -> Self {
        let message =
            format!("the event log can't be reached at the moment, so the request was not taken: {detail}");
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "log_unavailable", message).after(1)
    }

    /// 504: the job's time is over.
    pub fn deadline() -> Self {
        let message = "the job was not done by its deadline; allow more time with `deadline_ms`";
        Self::new(StatusCode::GATEWAY_TIMEOUT, "deadline_exceeded", message).final_one()
    }

    /// The same error about `param`.
    #[must_use]
    pub fn at(mut self, param: impl Into<String>) -> Self {
        self.param = Some(param.into());
        self
    }

    /// The same error; repeating makes sense after `seconds`.
    #[must_use]
    pub fn after(mut self, seconds: u32) -> Self {
        self.retry = Retry::After(seconds);
        self
    }

    /// The same error; repeating makes no sense.
    #[must_use]
    pub fn final_one(mut self) -> Self {
        self.retry = Retry::Never;
        self
    }

    /// OpenAI's `error.type`.
    fn kind(&self) -> &'static str {
        match self.status {
            StatusCode::PAYMENT_REQUIRED => "insufficient_quota",
            StatusCode::TOO_MANY_REQUESTS => "rate_limit_error",
            status if status.is_server_error() => "server_error",
            _ => "invalid_request_error",
        }
    }

    /// OpenAI's error object.
    #[must_use]
    pub fn body(&self) -> Value {
        json!({"error": {
            "message": self.message,
            "type": self.kind(),
            "param": self.param,
            "code": self.code,
        }})
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.body())).into_response();
        let headers = response.headers_mut();
        match self.retry {
            Retry::AsUsual => {}
            Retry::After(seconds) => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            }
            Retry::Never => {
                headers.insert(SHOULD_RETRY, HeaderValue::from_static("false"));
            }
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_has_openais_shape() {
        let error = ApiError::parameter("invalid_type", "temperature", "expected a number");
        assert_eq!(
            error.body(),
            json!({"error": {
                "message": "expected a number",
                "type": "invalid_request_error",
                "param": "temperature",
                "code": "invalid_type",
            }})
        );
        assert!(ApiError::unauthorized("no").body()["error"]["param"].is_null());
    }

    #[test]
    fn headers_tell_clients_what_to_do() {
        let response = ApiError::log_unavailable("down").into_response();
        assert_eq!(response.headers()[header::RETRY_AFTER], "1");
        assert_eq!(ApiError::deadline().into_response().headers()[SHOULD_RETRY], "false");
        assert_eq!(
            ApiError::unauthorized("no").into_response().headers()[header::WWW_AUTHENTICATE],
            "Bearer"
        );
    }
}
