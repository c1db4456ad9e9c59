//! Reading a JSON object field by field: `null` is as good as absent, and what has the wrong type is named.

use lowland_events::request::OneOrMany;
use serde_json::{Map, Value};

use crate::error::ApiError;

/// The fields of a body that were not read yet.
pub(super) struct Fields(Map<String, Value>);

impl Fields {
    /// Reads a body.
    pub(super) fn parse(body: &[u8]) -> Result<Self, ApiError> {
        match serde_json::from_slice(body) {
            Ok(Value::Object(fields)) => Ok(Self(fields)),
            Ok(other) => Err(no_json(&format!("a JSON object is wanted, but this is {}", type_of(&other)))),
            Err(error) => Err(no_json(&error.to_string())),
        }
    }

    /// A field, left where it is.
    pub(super) fn peek(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// Takes a field out, unless it is absent or null.
    pub(super) fn take(&mut self, name: &str) -> Option<Value> {
        self.0.remove(name).filter(|value| !value.is_null())
    }

    pub(super) fn text(&mut self, name: &str) -> Result<Option<String>, ApiError> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(wrong_type(name, "a string", &other)),
        }
    }

    pub(super) fn required_text(&mut self, name: &str) -> Result<String, ApiError> {
        self.text(name)?.ok_or_else(|| missing(name))
    }

    pub(super) fn flag(&mut self, name: &str) -> Result<Option<bool>, ApiError> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(flag)),
            Some(other) => Err(wrong_type(name, "true or false", &other)),
        }
    }

    pub(super) fn number(&mut self, name: &str) -> Result<Option<f32>, ApiError> {
        let Some(value) = self.take(name) else { return Ok(None) };
        let number = value.as_f64().ok_or_else(|| wrong_type(name, "a number", &value))?;
        #[expect(clippy::cast_possible_truncation, reason = "sampling is done in 32 bits")]
        let narrow = number as f32;
        if narrow.is_finite() {
            Ok(Some(narrow))
        } else {
            Err(out_of_range(name, &value, "a number that fits 32 bits"))
        }
    }

    /// A whole number that fits `T`.
    pub(super) fn whole<T: TryFrom<i128>>(
        &mut self,
        name: &str,
        wanted: &str,
    ) -> Result<Option<T>, ApiError> {
        let Some(value) = self.take(name) else { return Ok(None) };
        let whole = value.as_i64().map(i128::from).or_else(|| value.as_u64().map(i128::from));
        let whole = whole.ok_or_else(|| wrong_type(name, "an integer", &value))?;
        T::try_from(whole).map(Some).map_err(|_| out_of_range(name, &value, wanted))
    }

    /// A text or a list of texts.
    pub(super) fn texts(&mut self, name: &str) -> Result<Option<OneOrMany>, ApiError> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(OneOrMany::One(text))),
            Some(Value::Array(items)) => {
                let texts = items.into_iter().enumerate().map(|(i, item)| item_text(name, i, item));
                Ok(Some(OneOrMany::Many(texts.collect::<Result<_, _>>()?)))
            }
            Some(other) => Err(wrong_type(name, "a string or an array of strings", &other)),
        }
    }

    /// Refuses a field unless its value is one that changes nothing.
    pub(super) fn refuse_unless(
        &mut self,
        name: &'static str,
        harmless: impl FnOnce(&Value) -> bool,
        why: &str,
    ) -> Result<(), ApiError> {
        match self.take(name) {
            Some(value) if !harmless(&value) => Err(unsupported(name, why)),
            _ => Ok(()),
        }
    }
}

fn item_text(name: &str, index: usize, item: Value) -> Result<String, ApiError> {
    match item {
        Value::String(text) => Ok(text),
        other => Err(wrong_type(&format!("{name}[{index}]"), "a string", &other)),
    }
}

fn no_json(detail: &str) -> ApiError {
    let message = format!("we could not parse the body of your request as JSON: {detail}");
    ApiError::new(axum::http::StatusCode::BAD_REQUEST, "invalid_json", message)
}

pub(super) fn missing(param: &str) -> ApiError {
    ApiError::parameter("missing_required_parameter", param, format!("missing required parameter: '{param}'"))
}

pub(super) fn unsupported(param: &str, why: &str) -> ApiError {
    ApiError::parameter("unsupported_parameter", param, format!("'{param}' is not supported here: {why}"))
}

pub(super) fn wrong_type(param: &str, wanted: &str, given: &Value) -> ApiError {
    let message = format!("invalid type for '{param}': expected {wanted}, but got {}", type_of(given));
    ApiError::parameter("invalid_type", param, message)
}

pub(super) fn out_of_range(param: &str, given: &Value, wanted: &str) -> ApiError {
    let message = format!("invalid value for '{param}': {given} is out of range; expected {wanted}");
    ApiError::parameter("invalid_value", param, message)
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(json: &str) -> Fields {
        Fields::parse(json.as_bytes()).unwrap()
    }

    #[test]
    fn null_is_absent() {
        let mut fields = of(r#"{"a":null}"#);
        assert_eq!(fields.text("a"), Ok(None));
        assert_eq!(fields.number("b"), Ok(None));
    }

    #[test]
    fn wrong_types_are_named() {
        let error = of(r#"{"t":"hot"}"#).number("t").unwrap_err();
        assert_eq!((error.code, error.param.as_deref()), ("invalid_type", Some("t")));
        assert!(error.message.contains("expected a number, but got a string"), "{}", error.message);
        assert_eq!(of(r#"{"s":["a",1]}"#).texts("s").unwrap_err().param.as_deref(), Some("s[1]"));
        assert_eq!(of(r#"{"n":1.5}"#).whole::<u32>("n", "x").unwrap_err().code, "invalid_type");
        assert_eq!(of(r#"{"n":-1}"#).whole::<u32>("n", "x").unwrap_err().code, "invalid_value");
        assert_eq!(of(r#"{"n":1e300}"#).number("n").unwrap_err().code, "invalid_value");
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for body in ["", "{", "[]", "\"x\"", "{} {}", "\u{1}"] {
            let error = Fields::parse(body.as_bytes()).err().expect(body);
            assert_eq!(error.code, "invalid_json");
        }
        let deep = "[".repeat(100_000);
        assert!(Fields::parse(deep.as_bytes()).is_err());
    }
}
