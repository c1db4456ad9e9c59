//! How a job that came to nothing is told to its caller: the problem in the event becomes a status and a code.

use std::sync::Arc;

use axum::http::StatusCode;
use lowland_events::job::{Completed, Problem, ProblemCode};

use crate::{error::ApiError, translate::Aliases, update::End};

/// The error for a job that was rejected or failed with `problem`; `aliases` gives fields the names that the caller
/// used.
#[must_use]
pub fn problem(problem: &Problem, aliases: &Aliases) -> ApiError {
    let error = base(problem.code, problem.message.clone());
    match &problem.field {
        Some(field) => error.at(aliases.as_asked(field)),
        None => error,
    }
}

/// What was made, or the error for a job that ended otherwise.
pub fn completed(end: End, aliases: &Aliases) -> Result<Arc<Completed>, ApiError> {
    match end {
        End::Completed(completed) => Ok(completed),
        End::Problem(reason) => Err(problem(&reason, aliases)),
        End::Cancelled(reason) => Err(cancelled(&reason)),
        End::Expired => Err(ApiError::deadline()),
    }
}

/// The error for a job that somebody cancelled.
fn cancelled(reason: &str) -> ApiError {
    ApiError::new(StatusCode::GONE, "job_cancelled", format!("the job was cancelled: {reason}"))
}

fn base(code: ProblemCode, message: String) -> ApiError {
    use ProblemCode as P;
    let error = |status, code| ApiError::new(status, code, message.clone());
    match code {
        P::InvalidRequest => error(StatusCode::BAD_REQUEST, "invalid_value"),
        P::UnknownModel => ApiError::no_model(message),
        P::WrongTask => error(StatusCode::BAD_REQUEST, "wrong_task").at("model"),
        P::TooLong => error(StatusCode::PAYLOAD_TOO_LARGE, "too_long"),
        P::ContextLengthExceeded => error(StatusCode::BAD_REQUEST, "context_length_exceeded"),
        P::IdUsed => error(StatusCode::UNPROCESSABLE_ENTITY, "id_used"),
        P::InsufficientFunds => error(StatusCode::PAYMENT_REQUIRED, "insufficient_quota").final_one(),
        P::NoPrice => error(StatusCode::SERVICE_UNAVAILABLE, "no_price").final_one(),
        P::NoPlace => error(StatusCode::BAD_REQUEST, "no_place").at("regions"),
        P::TooManyJobs => error(StatusCode::TOO_MANY_REQUESTS, "too_many_jobs").after(1),
        P::WorkerLost => error(StatusCode::BAD_GATEWAY, "worker_lost"),
        P::WorkerStopped => error(StatusCode::BAD_GATEWAY, "worker_stopped"),
        P::WorkerFailed => error(StatusCode::BAD_GATEWAY, "worker_failed"),
        P::RetriesExhausted => error(StatusCode::BAD_GATEWAY, "retries_exhausted"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(code: ProblemCode, field: Option<&str>) -> ApiError {
        let mut aliases = Aliases::default();
        aliases.note("max_tokens", "max_completion_tokens");
        problem(&Problem { code, message: "m".into(), field: field.map(str::to_owned) }, &aliases)
    }

    #[test]
    fn statuses_are_those_that_clients_expect() {
        let table = [
            (ProblemCode::InvalidRequest, 400),
            (ProblemCode::UnknownModel, 404),
            (ProblemCode::TooLong, 413),
            (ProblemCode::ContextLengthExceeded, 400),
            (ProblemCode::InsufficientFunds, 402),
            (ProblemCode::TooManyJobs, 429),
            (ProblemCode::NoPrice, 503),
            (ProblemCode::RetriesExhausted, 502),
        ];
        for (code, status) in table {
            assert_eq!(told(code, None).status.as_u16(), status, "{code:?}");
        }
        assert_eq!(told(ProblemCode::UnknownModel, None).param.as_deref(), Some("model"));
        assert_eq!(told(ProblemCode::InsufficientFunds, None).code, "insufficient_quota");
    }

    #[test]
    fn fields_bear_the_callers_names() {
        let error = told(ProblemCode::InvalidRequest, Some("max_tokens"));
        assert_eq!(error.param.as_deref(), Some("max_completion_tokens"));
        let error = told(ProblemCode::InvalidRequest, Some("messages[0].role"));
        assert_eq!(error.param.as_deref(), Some("messages[0].role"));
    }
}
