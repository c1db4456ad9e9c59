//! What a caller says in headers about repeating and resuming.

use axum::http::HeaderMap;
use lowland_events::{
    TraceContext,
    id::{AccountId, JobId},
};
use sha2::{Digest, Sha256};

use super::{IDEMPOTENCY_KEY, LAST_EVENT_ID, RESUMABLE, trace};
use crate::{error::ApiError, position::StreamId};

/// Longest `Idempotency-Key`, in bytes.
pub(super) const IDEMPOTENCY_KEY_BYTES_MAX: usize = 255;

/// What a caller says in headers about repeating and resuming.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Wish {
    /// The key that makes a repetition the same job.
    pub(super) idempotency_key: Option<String>,
    /// What a resuming client has.
    pub(super) resume: Option<StreamId>,
    /// Whether the caller announced that it may come back.
    announced: bool,
    /// The place in a trace that the request is answered in.
    pub(super) trace: Option<TraceContext>,
}

impl Wish {
    pub(super) fn read(headers: &HeaderMap) -> Result<Self, ApiError> {
        let text = |name| headers.get(name).map(|value: &axum::http::HeaderValue| value.to_str());
        let idempotency_key = match text(IDEMPOTENCY_KEY) {
            None => None,
            Some(Ok(key)) if (1..=IDEMPOTENCY_KEY_BYTES_MAX).contains(&key.len()) => Some(key.to_owned()),
            Some(_) => return Err(bad_idempotency_key()),
        };
        let resume = match text(LAST_EVENT_ID) {
            None | Some(Ok("")) => None,
            Some(Ok(id)) => Some(StreamId::parse(id).ok_or_else(bad_event_id)?),
            Some(Err(_)) => return Err(bad_event_id()),
        };
        let announced = text(RESUMABLE).is_some_and(|value| value.is_ok_and(|value| value == "true"));
        Ok(Self { idempotency_key, resume, announced, trace: trace::given(headers) })
    }

    /// Whether the caller may come back after it went away.
    pub(super) fn comes_back(&self) -> bool {
        self.announced || self.idempotency_key.is_some() || self.resume.is_some()
    }

    /// The id of the job that is asked for.
    pub(super) fn job(&self, account: &AccountId) -> JobId {
        let id = match &self.idempotency_key {
            Some(key) => {
                let digest = Sha256::digest(format!("{account}/{key}"));
                format!("once-{}", digest[..16].iter().map(|byte| format!("{byte:02x}")).collect::<String>())
            }
            None => uuid::Uuid::now_v7().simple().to_string(),
        };
        JobId::new(id).expect("hexadecimal digits are a valid id")
    }
}

fn bad_idempotency_key() -> ApiError {
    let message =
        format!("Idempotency-Key is to be 1 to {IDEMPOTENCY_KEY_BYTES_MAX} visible ASCII characters");
    ApiError::parameter("invalid_value", "Idempotency-Key", message)
}

fn bad_event_id() -> ApiError {
    let message = "Last-Event-ID is to be the id of an event of the stream, such as '<job>:12:57'";
    ApiError::parameter("invalid_value", "Last-Event-ID", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&'static str, &str)]) -> Result<Wish, ApiError> {
        let headers = pairs.iter().map(|(name, value)| {
            (axum::http::HeaderName::from_static(name), value.parse().expect("a header's value"))
        });
        Wish::read(&headers.collect())
    }

    #[test]
    fn an_idempotency_key_names_one_job_an_account() {
        let (a, b) = (AccountId::new("a").unwrap(), AccountId::new("b").unwrap());
        let wish = of(&[("idempotency-key", "k")]).unwrap();
        assert_eq!(wish.job(&a), wish.job(&a));
        assert_ne!(wish.job(&a), wish.job(&b));
        assert_ne!(wish.job(&a), of(&[("idempotency-key", "l")]).unwrap().job(&a));
        assert!(wish.comes_back());
    }

    #[test]
    fn other_jobs_are_ordered_by_time() {
        let (account, wish) = (AccountId::new("a").unwrap(), of(&[]).unwrap());
        let jobs: Vec<JobId> = (0..100).map(|_| wish.job(&account)).collect();
        assert!(jobs.is_sorted() && jobs.windows(2).all(|pair| pair[0] != pair[1]));
        assert!(!wish.comes_back());
    }

    #[test]
    fn announcements() {
        assert!(of(&[("x-lowland-resumable", "true")]).unwrap().comes_back());
        assert!(!of(&[("x-lowland-resumable", "false")]).unwrap().comes_back());
        assert!(of(&[("last-event-id", "j:1:2")]).unwrap().comes_back());
    }

    #[test]
    fn nonsense_is_refused() {
        assert_eq!(of(&[("last-event-id", "7")]).unwrap_err().param.as_deref(), Some("Last-Event-ID"));
        let long = "k".repeat(IDEMPOTENCY_KEY_BYTES_MAX + 1);
        assert_eq!(of(&[("idempotency-key", &long)]).unwrap_err().param.as_deref(), Some("Idempotency-Key"));
        assert_eq!(of(&[("traceparent", "00-x")]).unwrap().trace, None);
    }
}
