//! Who calls: the account that the bearer key belongs to.

use std::sync::Arc;

use axum::{
    extract::FromRequestParts,
    http::{header, request::Parts},
};
use lowland_events::id::AccountId;

use super::App;
use crate::error::ApiError;

/// A caller whose key is known.
pub(super) struct Caller {
    pub(super) account: AccountId,
}

impl FromRequestParts<Arc<App>> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        let given = parts.headers.get(header::AUTHORIZATION).ok_or_else(|| {
            ApiError::unauthorized("no API key was given: send it as 'Authorization: Bearer <key>'")
        })?;
        let key = given.to_str().ok().and_then(bearer).ok_or_else(|| {
            ApiError::unauthorized("the Authorization header is to be 'Authorization: Bearer <key>'")
        })?;
        match app.keys.borrow().account(key) {
            Some(account) => Ok(Self { account: account.clone() }),
            None => Err(ApiError::unauthorized("the API key is not known here")),
        }
    }
}

/// The token of a bearer header; the scheme's case doesn't matter (RFC 9110, section 11.1).
fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

#[cfg(test)]
mod tests {
    use super::bearer;

    #[test]
    fn only_bearer_tokens_are_keys() {
        assert_eq!(bearer("Bearer k"), Some("k"));
        assert_eq!(bearer("bearer  k "), Some("k"));
        for bad in ["Bearer", "Bearer ", "Basic k", "k", ""] {
            assert_eq!(bearer(bad), None, "{bad}");
        }
    }
}
