//! Identifiers. Each becomes one token of a subject, so each is checked where it enters and cannot be wrong afterwards.

use std::{fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// Longest identifier, in bytes: keeps the longest subject far below the server's limit.
pub const ID_BYTES_MAX: usize = 64;

/// An identifier that cannot be a subject token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{what} {given:?} is not a valid identifier: {problem}; use 1 to {ID_BYTES_MAX} of the characters A-Z a-z 0-9 - _"
)]
pub struct Invalid {
    /// Which identifier it was to be (`job id`).
    pub what: &'static str,
    /// What was given, cut to [`ID_BYTES_MAX`] characters.
    pub given: String,
    /// What is wrong with it.
    pub problem: String,
}

/// Says why `text` cannot be a subject token, if it cannot.
pub(crate) fn check(what: &'static str, text: &str) -> Result<(), Invalid> {
    let problem = if text.is_empty() {
        "it is empty".to_owned()
    } else if text.len() > ID_BYTES_MAX {
        format!("it has {} bytes", text.len())
    } else if let Some(c) = text.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))) {
        format!("it contains {c:?}")
    } else {
        return Ok(());
    };
    Err(Invalid { what, given: text.chars().take(ID_BYTES_MAX).collect(), problem })
}

macro_rules! id {
    ($name:ident, $what:literal, $doc:literal) => {
        #[doc = $doc]
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(std::sync::Arc<str>);

        impl $name {
            /// Checks `text` and makes it an identifier.
            pub fn new(text: impl AsRef<str>) -> Result<Self, Invalid> {
                check($what, text.as_ref())?;
                Ok(Self(text.as_ref().into()))
            }

            /// The identifier as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = Invalid;
            fn try_from(text: String) -> Result<Self, Invalid> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0.as_ref().to_owned()
            }
        }

        impl FromStr for $name {
            type Err = Invalid;
            fn from_str(text: &str) -> Result<Self, Invalid> {
                Self::new(text)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({
                    "type": "string",
                    "description": $doc,
                    "pattern": "^[A-Za-z0-9_-]+$",
                    "minLength": 1,
                    "maxLength": ID_BYTES_MAX,
                })
            }
        }
    };
}

id!(AccountId, "account id", "A customer's account.");
id!(JobId, "job id", "A job, unique within its account.");
id!(ModelId, "model id", "A model as callers name it.");
id!(WorkerId, "worker id", "A worker: a place that runs models, whatever process is there now.");
id!(InstanceId, "instance id", "One process of a service, or one loading of a model; never used twice.");
id!(RegionId, "region id", "A region, as law and latency see it.");
id!(ServiceId, "service id", "A kind of service (`scheduler`).");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_tokens_only() {
        assert_eq!(JobId::new("a-B_9").unwrap().as_str(), "a-B_9");
        for bad in ["", "a.b", "a b", "*", ">", "ä", "a\n", &"x".repeat(65)] {
            let error = JobId::new(bad).unwrap_err();
            assert!(error.to_string().contains("job id"), "{error}");
        }
    }

    #[test]
    fn decoding_checks_too() {
        assert!(serde_json::from_str::<JobId>("\"ok\"").is_ok());
        let error = serde_json::from_str::<JobId>("\"a.b\"").unwrap_err();
        assert!(error.to_string().contains("contains '.'"), "{error}");
    }
}
