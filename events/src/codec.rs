//! Bytes to values and back. Bodies are MessagePack maps; whoever is outside may send JSON objects instead.
//!
//! The first byte tells them apart: a MessagePack map never begins with `{` or white space.

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};

/// Deepest nesting of a body; deeper ones are refused before they can exhaust the stack.
pub const BODY_DEPTH_MAX: usize = 64;

/// Largest MessagePack body whose error is explained by reading it again, in bytes: values take much more room than bytes.
const EXPLAINED_BYTES_MAX: usize = 1 << 20;

/// A body that is not what its type says: where, and what is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{problem}", if .field.is_empty() { String::new() } else { format!("field `{}`: ", .field) })]
pub struct BodyError {
    /// Path of the offending field (`messages[0].role`), empty for the body as a whole.
    pub field: String,
    /// What is wrong, and what was expected.
    pub problem: String,
}

impl BodyError {
    /// An error at `field`.
    pub fn new(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { field: field.into(), problem: problem.into() }
    }
}

/// How a body is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// A MessagePack map.
    MessagePack,
    /// A JSON object.
    Json,
}

impl Encoding {
    /// Tells the encoding from the first byte, unless it is neither.
    pub fn of(body: &[u8]) -> Result<Self, BodyError> {
        match body.first() {
            Some(0x80..=0x8f | 0xde | 0xdf) => Ok(Self::MessagePack),
            Some(b'{' | b' ' | b'\t' | b'\r' | b'\n') => Ok(Self::Json),
            Some(byte) => Err(BodyError::new(
                "",
                format!(
                    "the body is neither a JSON object nor a MessagePack map: it begins with byte 0x{byte:02x}"
                ),
            )),
            None => {
                Err(BodyError::new("", "the body is empty; a JSON object or a MessagePack map is wanted"))
            }
        }
    }
}

/// Encodes as a MessagePack map.
pub fn to_msgpack<T: Serialize>(value: &T) -> Bytes {
    rmp_serde::to_vec_named(value)
        .expect("our types have string keys and known lengths, and a Vec takes every byte")
        .into()
}

/// Reads a value from a MessagePack map or a JSON object, naming the field that is wrong.
pub fn from_body<T: DeserializeOwned>(body: &[u8]) -> Result<T, BodyError> {
    match Encoding::of(body)? {
        Encoding::MessagePack => {
            let mut reader = rmp_serde::Deserializer::from_read_ref(body);
            reader.set_max_depth(BODY_DEPTH_MAX);
            serde_path_to_error::deserialize(&mut reader)
                .map_err(|error| explained::<T>(body, at_path(error)))
        }
        Encoding::Json => {
            let mut reader = serde_json::Deserializer::from_slice(body);
            let value = serde_path_to_error::deserialize(&mut reader).map_err(at_path)?;
            reader.end().map_err(|error| BodyError::new("", error.to_string()))?;
            Ok(value)
        }
    }
}

/// Reads a value from MessagePack, whatever it is (a body of an event is always a map, a state may be anything).
pub fn from_msgpack<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, BodyError> {
    rmp_serde::from_slice(bytes).map_err(|error| BodyError::new("", error.to_string()))
}

fn at_path<E: std::error::Error>(error: serde_path_to_error::Error<E>) -> BodyError {
    let path = error.path().to_string();
    BodyError::new(if path == "." { String::new() } else { path }, error.inner().to_string())
}

/// The MessagePack reader speaks of markers where a type is wrong. Read once more, as a value of its own, the same body
/// says which value came and which was expected, as JSON's reader does.
fn explained<T: DeserializeOwned>(body: &[u8], error: BodyError) -> BodyError {
    if body.len() > EXPLAINED_BYTES_MAX {
        return error;
    }
    let mut rest = body;
    let Ok(value) = rmpv::decode::read_value_with_max_depth(&mut rest, BODY_DEPTH_MAX) else { return error };
    match serde_path_to_error::deserialize::<_, T>(value) {
        Ok(_) => error,
        Err(again) => {
            let rmpv::ext::Error::Syntax(problem) = again.inner();
            BodyError { problem: problem.clone(), ..at_path(again) }
        }
    }
}

/// Reads any body as a MessagePack value.
pub(crate) fn any_value(body: &[u8]) -> Result<rmpv::Value, BodyError> {
    from_body(body)
}

/// Any body as JSON, for people; bytes that are neither encoding are shown as their length.
#[must_use]
pub fn any_to_json(body: &[u8]) -> serde_json::Value {
    from_body(body).unwrap_or_else(|_| serde_json::json!({ "undecodable_bytes": body.len() }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Inner {
        number: u8,
    }
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Outer {
        list: Vec<Inner>,
    }

    #[test]
    fn both_encodings_are_read() {
        let value = Outer { list: vec![Inner { number: 7 }] };
        assert_eq!(from_body::<Outer>(&to_msgpack(&value)).unwrap(), value);
        assert_eq!(from_body::<Outer>(b" {\"list\":[{\"number\":7}]}").unwrap(), value);
    }

    #[test]
    fn errors_say_where() {
        for body in [
            b"{\"list\":[{\"number\":7},{\"number\":\"x\"}]}".to_vec(),
            rmp_serde::to_vec_named(&serde_json::json!({"list":[{"number":7},{"number":"x"}]})).unwrap(),
        ] {
            let error = from_body::<Outer>(&body).unwrap_err();
            assert_eq!(error.field, "list[1].number");
            assert!(error.problem.starts_with("invalid type: string \"x\", expected u8"), "{error}");
        }
    }

    #[test]
    fn noise_is_refused() {
        assert!(from_body::<Outer>(b"").is_err());
        assert!(from_body::<Outer>(b"\xff\x00").unwrap_err().problem.contains("0xff"));
        assert!(from_body::<Outer>(b"{\"list\":[]} tail").is_err());
        let mut deep = vec![0x81, 0xa4];
        deep.extend(b"list");
        deep.extend(vec![0x91; 100_000]);
        assert!(from_body::<Outer>(&deep).is_err());
    }
}
