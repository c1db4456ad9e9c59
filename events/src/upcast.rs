//! Old shapes to new ones. Stored bytes are never rewritten; each step here lifts one version of one event by one.

use bytes::Bytes;
use rmpv::Value;

use crate::{
    codec::{self, BodyError},
    event::EventType,
    subject::Domain,
};

/// One step: lifts the body of an event from `from` to the next version.
pub(crate) struct Step {
    pub(crate) domain: Domain,
    pub(crate) name: &'static str,
    pub(crate) from: u16,
    pub(crate) lift: fn(Value) -> Value,
}

/// Every step there is; empty while every event is at its first version.
pub(crate) const STEPS: &[Step] = &[];

/// Lifts `body` from `version` to the version of `known`, one step at a time.
pub(crate) fn to_current(
    steps: &[Step],
    known: &EventType,
    version: u16,
    body: &Bytes,
) -> Result<Bytes, BodyError> {
    let mut value = codec::any_value(body)?;
    for from in version..known.version {
        let step = steps
            .iter()
            .find(|step| step.domain == known.domain && step.name == known.name && step.from == from)
            .ok_or_else(|| BodyError::new("", format!("version {from} of {} has no upcast", known.name)))?;
        value = (step.lift)(value);
    }
    Ok(codec::to_msgpack(&value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn renamed(value: Value) -> Value {
        let Value::Map(fields) = value else { return value };
        Value::Map(
            fields
                .into_iter()
                .map(
                    |(key, value)| {
                        if key == Value::from("old") { (Value::from("new"), value) } else { (key, value) }
                    },
                )
                .collect(),
        )
    }

    fn doubled(value: Value) -> Value {
        let Value::Map(fields) = value else { return value };
        Value::Map(
            fields
                .into_iter()
                .map(|(key, value)| (key, Value::from(value.as_u64().unwrap_or(0) * 2)))
                .collect(),
        )
    }

    #[test]
    fn steps_are_taken_in_order() {
        let steps = [
            Step { domain: Domain::Job, name: "moved", from: 2, lift: doubled },
            Step { domain: Domain::Job, name: "moved", from: 1, lift: renamed },
        ];
        let known = EventType {
            domain: Domain::Job,
            name: "moved",
            version: 3,
            schema: |_| schemars::Schema::default(),
        };
        let old = Bytes::from(rmp_serde::to_vec_named(&serde_json::json!({"old": 21})).unwrap());
        let new = to_current(&steps, &known, 1, &old).unwrap();
        assert_eq!(rmp_serde::from_slice::<serde_json::Value>(&new).unwrap(), serde_json::json!({"new": 42}));
        assert!(to_current(&steps[..1], &known, 1, &old).is_err());
    }
}
