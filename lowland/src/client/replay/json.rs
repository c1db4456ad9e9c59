//! A state's canonical encoding as JSON, whose keys are texts: a key of several parts is written with `/` between them. Pure.

use rmpv::Value as Packed;
use serde_json::{Map, Value};

/// The state as JSON.
pub fn of(encoded: &[u8]) -> Value {
    let mut bytes = encoded;
    rmpv::decode::read_value(&mut bytes).map_or(Value::Null, |value| value_of(&value))
}

fn value_of(packed: &Packed) -> Value {
    match packed {
        Packed::Nil => Value::Null,
        Packed::Boolean(truth) => Value::Bool(*truth),
        Packed::Integer(number) => match (number.as_u64(), number.as_i64()) {
            (Some(number), _) => number.into(),
            (None, Some(number)) => number.into(),
            (None, None) => Value::Null,
        },
        Packed::F32(number) => f64::from(*number).into(),
        Packed::F64(number) => (*number).into(),
        Packed::String(text) => text.as_str().unwrap_or_default().into(),
        Packed::Binary(bytes) if bytes.len() == 16 => uuid_or_bytes(bytes),
        Packed::Binary(bytes) | Packed::Ext(_, bytes) => bytes.clone().into(),
        Packed::Array(items) => items.iter().map(value_of).collect(),
        Packed::Map(pairs) => {
            let pairs = pairs.iter().map(|(key, value)| (key_of(key), value_of(value)));
            Value::Object(pairs.collect::<Map<_, _>>())
        }
    }
}

/// Event ids are sixteen bytes in a state, and text everywhere else.
fn uuid_or_bytes(bytes: &[u8]) -> Value {
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]).into()
}

fn key_of(packed: &Packed) -> String {
    match packed {
        Packed::String(text) => text.as_str().unwrap_or_default().to_owned(),
        Packed::Map(pairs) => pairs.iter().map(|(_, value)| key_of(value)).collect::<Vec<_>>().join("/"),
        Packed::Array(items) => items.iter().map(key_of).collect::<Vec<_>>().join("/"),
        other => match value_of(other) {
            Value::String(text) => text,
            value => value.to_string(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lowland_events::{EventId, snapshot::encode};
    use std::collections::BTreeMap;

    #[derive(serde::Serialize, PartialEq, Eq, PartialOrd, Ord)]
    struct Key {
        account: &'static str,
        job: &'static str,
    }

    #[test]
    fn keys_of_several_parts_become_text() {
        let map = BTreeMap::from([(Key { account: "acme", job: "j1" }, (-1, vec![Some(2.5)]))]);
        assert_eq!(of(&encode(&map)), serde_json::json!({ "acme/j1": [-1, [2.5]] }));
        assert_eq!(of(&encode(&BTreeMap::from([(7, true)]))), serde_json::json!({ "7": true }));
    }

    #[test]
    fn ids_look_as_they_do_elsewhere() {
        let id = EventId::derived("a", "b", 0);
        assert_eq!(of(&encode(&id)), serde_json::json!(id.to_string()));
    }
}
